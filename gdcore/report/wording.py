"""What the figures are called and how they are written, for the page and for the terminal alike."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from gdcore.evaluation.intervals import Figure

MODEL = {"real": "real text", "pretrained": "MLE", "finetuned": "adversarial", "samples": "samples"}
COLOUR = {"real": "real", "pretrained": "mle", "finetuned": "adv", "samples": "adv"}


Family = Literal["likelihood", "quality", "diversity", "distance", "memorisation", "surface", "other"]

FAMILIES: dict[Family, str] = {
    "likelihood": "Likelihood: how surprised the model is by real text",
    "quality": "Quality: would people have written this?",
    "diversity": "Diversity: does it say different things?",
    "distance": "Distance to real text: the two sets as a whole",
    "memorisation": "Memorisation: is it copied?",
    "surface": "Surface: lengths, signs, repetition",
    "other": "Other figures",
}
"""In the order of the page, each with what it asks."""

Better = Literal["higher", "lower", "real"]
"""Which way is better; `real`: nearer to what real text has, from either side."""
DIRECTION: dict[Family, Better | None] = {
    "likelihood": "lower",
    "quality": "real",
    "diversity": "real",
    "distance": "real",
    "memorisation": "lower",
    "surface": "real",
    "other": None,
}
"""Of a family's metrics, where a metric does not say otherwise."""
NO_VERDICT = (
    "perplexity", "nll_per_text", "nll_gap", "mmd_p", "energy_p",
    "next_word_1_ngram", "next_word_5_ngram", "next_word_gain",
)  # fmt: skip
"""What says nothing of its own about which model is better: another way of writing a figure, a diagnosis, tests, and
what is measured of another model."""


class Metric(NamedTuple):
    """A metric's name for people, and what it says in one line."""

    label: str
    about: str
    digits: int = 3
    family: Family = "other"
    headline: bool = False
    """Whether it is shown where there is room for a few only."""
    better: Better | None = None
    """Which way is better, where it is not as for the rest of the family."""


METRICS = {
    "nll": Metric(
        "held-out NLL", "surprise at unseen real text, nats per token; lower is better", 3, "likelihood", True
    ),
    "exact_match": Metric(
        "exact match", "answers that are word for word one that people gave", 3, "quality", True, "higher"
    ),
    "exact_match_floor": Metric(
        "exact match, floor", "the same of the most frequent training answer, given to every prompt", 3, "quality"
    ),
    "next_word_1": Metric(
        "next word, first guess", "tokens of unseen real text guessed at once", 3, "likelihood", False, "higher"
    ),
    "next_word_5": Metric("next word, five guesses", "the same in five guesses", 3, "likelihood", False, "higher"),
    "next_word_1_ngram": Metric(
        "next word, first guess, n-grams", "the same of a Kneser–Ney model of the same training text", 3, "likelihood"
    ),
    "next_word_5_ngram": Metric("next word, five guesses, n-grams", "the same in five guesses", 3, "likelihood"),
    "next_word_gain": Metric(
        "next word, over n-grams", "first guesses right, more than of that model", 3, "likelihood", False, "higher"
    ),
    "nll_tempered": Metric(
        "held-out NLL, tempered",
        "surprise at unseen real text of the model as it is decoded: at the row's temperature",
        3,
        "likelihood",
        True,
    ),
    "nll_oracle": Metric(
        "NLL under the oracle",
        "surprise at the samples of the distribution that real text was drawn from, nats per token",
        3,
        "quality",
        True,
    ),
    "in_language": Metric(
        "in the language", "texts that the source of the real text could have written", 4, "quality", False, "higher"
    ),
    "bleu_2": Metric("BLEU-2", "wording that real text has too, pieces of up to 2 (3, 4, 5) words", 3, "quality"),
    **{f"bleu_{n}": Metric(f"BLEU-{n}", "", 3, "quality", n == 4) for n in range(3, 10)},
    "self_bleu_2": Metric(
        "self-BLEU-2", "wording shared with the other samples; lower is more diverse", 3, "diversity"
    ),
    **{f"self_bleu_{n}": Metric(f"self-BLEU-{n}", "", 3, "diversity", n == 4) for n in range(3, 10)},
    "distinct_1": Metric(
        "distinct-1", "different words (pairs, triples …) among all, on a fixed number of tokens", 3, "diversity"
    ),
    **{f"distinct_{n}": Metric(f"distinct-{n}", "", 3, "diversity", n == 2) for n in range(2, 10)},
    "unique": Metric("unique texts", "texts that are not word for word repeats", 4, "diversity", True),
    "copy_rate": Metric("copy rate", "texts that stand word for word in the training text", 4, "memorisation", True),
    "copy_rate_floor": Metric(
        "copy rate, floor", "the same for real held-out text: only more than this is memorised", 4, "memorisation"
    ),
    "nearest": Metric(
        "nearest training text",
        "share of a text to be changed to make it a training text",
        3,
        "memorisation",
        True,
        "higher",
    ),
    "nearest_floor": Metric(
        "nearest training text, floor", "the same for real held-out text: only less is memorised", 3, "memorisation"
    ),
    "longest_copy": Metric("longest copy", "words in a row that stand so in a training text", 2, "memorisation"),
    "longest_copy_floor": Metric(
        "longest copy, floor", "the same for real held-out text: only more is memorised", 2, "memorisation"
    ),
    "longest_copy_share": Metric("longest copy, share", "the same as a share of the text", 3, "memorisation"),
    "longest_copy_share_floor": Metric(
        "longest copy, share, floor", "the same for real held-out text", 3, "memorisation"
    ),
    "frechet": Metric(
        "Fréchet distance", "how far the samples lie from real text, as points", 4, "distance", True, "lower"
    ),
    "mmd": Metric(
        "MMD²", "the same, whatever the shape of the two clouds; 0 for real text", 5, "distance", False, "lower"
    ),
    "mmd_p": Metric("MMD², p-value", "how often chance alone makes it as large", 4, "distance"),
    "energy": Metric("energy distance", "as MMD², more of it from what lies far off", 5, "distance", False, "lower"),
    "energy_p": Metric("energy distance, p-value", "how often chance alone makes it as large", 4, "distance"),
    "precision": Metric("precision", "samples that lie where real texts do", 3, "distance"),
    "recall": Metric("recall", "real texts that lie where samples do", 3, "distance"),
    "density": Metric("density", "how thickly real texts lie around a sample", 3, "distance"),
    "coverage": Metric("coverage", "real texts that have a sample near by", 3, "distance", False, "higher"),
    "mauve": Metric("MAUVE", "how much the two clouds overlap, cell by cell; 1 at best", 3, "distance", True, "higher"),
    "c2st_auc": Metric(
        "told from real text",
        "how surely a fresh classifier tells samples: .5 never, 1 always",
        3,
        "distance",
        True,
        "lower",
    ),
    "vocabulary_coverage": Metric(
        "vocabulary coverage", "words of the real text that are used at all", 3, "diversity", True
    ),
    "length": Metric("length", "words and punctuation marks (or characters) per text", 2, "surface", True),
    "bits_per_byte": Metric(
        "bits per byte", "the same surprise, in bits per byte of text: whatever the tokeniser", 3, "likelihood"
    ),
    "perplexity": Metric("perplexity", "held-out NLL as a number of equally likely tokens", 1, "likelihood"),
    "nll_per_text": Metric("NLL per text", "surprise at a whole unseen real text, nats", 2, "likelihood"),
    "nll_gap": Metric(
        "train–test gap", "how much better training text is known than unseen text, nats per token", 3, "likelihood"
    ),
    "lm_score": Metric(
        "LM score", "surprise of an n-gram model of real text at the samples, nats per token", 3, "quality", True
    ),
    "reverse_lm": Metric(
        "reverse LM score",
        "surprise at real text of an n-gram model that has read only samples; lower is better",
        3,
        "diversity",
        True,
        "lower",
    ),
    "reverse_neural_lm": Metric(
        "reverse LM score, neural",
        "the same of a small recurrent model; lower is better",
        3,
        "diversity",
        False,
        "lower",
    ),
    "backward_bleu_2": Metric(
        "backward BLEU-2",
        "real text's wording that the samples have too; higher is better",
        3,
        "diversity",
        False,
        "higher",
    ),
    **{f"backward_bleu_{n}": Metric(f"backward BLEU-{n}", "", 3, "diversity", False, "higher") for n in range(3, 10)},
    "entropy_1": Metric(
        "entropy of words", "how evenly words (pairs …) are used, nats, on a fixed number of tokens", 3, "diversity"
    ),
    "entropy_2": Metric("entropy of word pairs", "", 3, "diversity"),
    **{f"entropy_{n}": Metric(f"entropy of {n} words in a row", "", 3, "diversity") for n in range(3, 10)},
    "length_distance": Metric(
        "length distance", "words by which lengths differ from real text's", 3, "surface", False, "lower"
    ),
    "length_distance_floor": Metric("length distance, floor", "the same between real and real text", 3, "surface"),
    **{
        f"repetition_{n}": Metric(
            f"repetition-{n}", f"{n} words in a row that stood in the same text before", 4, "surface"
        )
        for n in range(1, 10)
    },
    "immediate_repeats": Metric("immediate repeats", "words that equal the word before", 4, "surface"),
    "unk_rate": Metric("unknown words", "words that no reference has", 4, "surface"),
    "unk_rate_floor": Metric("unknown words, floor", "words of a reference that no other has", 4, "surface"),
    "invented_rate": Metric(
        "invented words", "words that no training text and no reference has", 4, "surface", False, "lower"
    ),
    "literal_unk": Metric("written <unk>", "texts that hold a sign for «unknown»", 4, "surface", False, "lower"),
    "punctuation": Metric("punctuation", "marks among words and marks", 4, "surface"),
    "punctuation_gap": Metric("punctuation, gap", "the same less real text's", 4, "surface"),
    "terminal_punctuation": Metric("ends with a mark", "texts whose last sign is punctuation", 3, "surface"),
    "terminal_punctuation_gap": Metric("ends with a mark, gap", "the same less real text's", 3, "surface"),
}


def metric(name: str) -> Metric:
    return METRICS.get(name, Metric(name.replace("_", " "), ""))


def better(name: str) -> Better | None:
    """Which way a metric is better; None for one that has no verdict: a floor, a diagnosis, one that is unknown."""
    if name in NO_VERDICT or name.endswith("_floor"):
        return None
    return metric(name).better or DIRECTION[metric(name).family]


def value(figure: Figure, digits: int) -> str:
    return f"{figure['value']:.{digits}f}"


def spread(figure: Figure, digits: int) -> str:
    """Half the interval; its one limit where the value is the other; both where the value lies off the middle."""
    low, high = f"{figure['low']:.{digits}f}", f"{figure['high']:.{digits}f}"
    if low == high:
        return f"± {0:.{digits}f}"
    if value(figure, digits) in (low, high):
        return f"≥ {low}" if value(figure, digits) == high else f"≤ {high}"
    half = (figure["high"] - figure["low"]) / 2
    if max(figure["value"] - figure["low"], figure["high"] - figure["value"]) > 1.5 * half:
        return f"{low} to {high}"
    return f"± {half:.{digits}f}"


def told(figure: Figure | None, digits: int) -> str:
    """A value with its interval; a dash where there is none."""
    return f"{value(figure, digits)} {spread(figure, digits)}" if figure else "–"


def signed(number: float, digits: int) -> str:
    """With its sign, the minus as long as the plus."""
    return f"{number:+.{digits}f}".replace("-", "−")


def decoding(settings: dict[str, Any] | None) -> str:
    """A decoding in a few characters; empty for real text."""
    if settings is None:
        return ""
    parts = ["greedy" if settings["temperature"] == 0 else f"T={settings['temperature']:g}"]
    parts += [f"top-k {settings['top_k']}"] if settings.get("top_k") else []
    parts += [f"top-p {settings['top_p']:g}"] if settings.get("top_p", 1) < 1 else []
    parts += [f"min-p {settings['min_p']:g}"] if settings.get("min_p") else []
    if settings.get("candidates", 1) > 1:
        parts.append(f"{'likeliest' if settings['choose'] == 'likelihood' else 'guided'} of {settings['candidates']}")
    return ", ".join(parts)


def family(settings: dict[str, Any] | None) -> str:
    """What a decoding belongs to: which knob, besides the temperature, it turns."""
    if settings is None:
        return ""
    if settings.get("candidates", 1) > 1:
        return "likelihood rejection" if settings["choose"] == "likelihood" else "guided by the discriminator"
    parts = ["top-k"] if settings.get("top_k") else []
    parts += ["top-p"] if settings.get("top_p", 1) < 1 else []
    parts += ["min-p"] if settings.get("min_p") else []
    return " and ".join(parts) or "temperature"


def ordered(names: Iterable[str]) -> list[str]:
    """Metrics without repetition, in the order of `METRICS`; those unknown to it at the end."""
    found = dict.fromkeys(names)
    return [name for name in METRICS if name in found] + [name for name in found if name not in METRICS]


def by_family(names: Iterable[str]) -> dict[Family, list[str]]:
    """Metrics under their families, both in the page's order; a family without any is left out."""
    found = ordered(names)
    inside: dict[Family, list[str]] = {each: [] for each in FAMILIES}
    for name in found:
        inside[metric(name).family].append(name)
    return {each: members for each, members in inside.items() if members}


def quoted(sample: dict[str, Any]) -> str:
    """A text as it is quoted: behind its prompt where it answers one."""
    return sample["text"] if sample["prompt"] is None else f"{sample['prompt']} → {sample['text']}"


def cautioned(rows: Iterable[dict[str, Any]]) -> list[str]:
    """What warns about the rows' figures, each once, with whose figures it is about where not all share it."""
    warned: dict[str, list[str]] = {}
    told = list(rows)
    for row in told:
        for warning in row.get("warnings", []):
            names = warned.setdefault(warning, [])
            names += [MODEL[row["model"]]] if MODEL[row["model"]] not in names else []
    models = {row["model"] for row in told}
    return [
        warning if len(names) == len(models) else f"{' and '.join(names)}: {warning}"
        for warning, names in warned.items()
    ]


def main_rows(evaluation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each model's row at the first decoding, the one that selection looked at; real text first."""
    rows: dict[str, dict[str, Any]] = {}
    for row in evaluation["rows"]:
        rows.setdefault(row["model"], row)
    return rows
