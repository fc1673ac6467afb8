"""What the planes of quality against diversity are called, and how they are read, wherever they are drawn."""

from typing import NamedTuple


class Words(NamedTuple):
    """What a plane's axes are called."""

    title: str
    x_label: str
    y_label: str
    guide: str


PLANES = {
    "wording": Words(
        "Wording",
        "self-BLEU-4: more alike →",
        "BLEU-4: closer to real wording",
        "Sharper decoding moves a model up (wording that real text has) and right (texts that resemble one another). "
        "The better model is higher at the same place on the horizontal axis.",
    ),
    "language_models": Words(
        "Language models",
        "LM score: a model of real text reads samples →",
        "reverse LM: the other way round",
        "An independent language model learns from one side and reads the other: nats of surprise a word. The "
        "better model is lower at the same place on the horizontal axis; left of real text is safer, not better.",
    ),
    "oracle": Words(
        "The two numbers of the oracle",
        "NLL under the oracle: unlikelier samples →",
        "held-out NLL at that temperature",
        "What the known source of the real text says of the samples, and what the model at that temperature says of "
        "real text. The better model is lower at the same place on the horizontal axis.",
    ),
}
