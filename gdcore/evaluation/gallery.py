"""Texts as a person wants to see them: what the discriminator says of each, and which training text is nearest.

Shapes: B texts, T tokens, N texts.
"""

import json
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, NotRequired

import torch
from typing_extensions import TypedDict

from gdcore.batches import ordered_batches
from gdcore.evaluation.calibration import probability
from gdcore.evaluation.intervals import Values
from gdcore.evaluation.nearest import Library
from gdcore.evaluation.words import Splitter, split
from gdcore.shards import Shards
from gdcore.tokenizer import Tokenizer
from gdcore.training.checkpoint import load_discriminator

NUM_SHOWN = 100
"""Texts of each model that `evaluation.json` quotes; all of them lie in `samples/`."""
BATCH = 64
MOST = 200_000
"""Training texts looked through; of a larger corpus, the first so many."""

Span = tuple[int, int]
"""Where something stands in a text: from this character up to, not including, that one."""


class Nearest(TypedDict):
    """The training text that takes the fewest changes."""

    text: str
    distance: float
    """Edit distance in words and punctuation marks (characters where words are not spaced), as a share of the longer
    text's length: 0 is a copy."""
    differs: list[Span]
    """Where it reads differently."""


class Sample(TypedDict):
    """One text of the page."""

    text: str
    prompt: str | None
    """What it answers."""
    logit: float
    """The discriminator's; more is more like real text."""
    probability: float
    """That the text is real, where as many are generated: the logit on the line that calibration fitted."""
    nearest: Nearest | None
    spans: NotRequired[list[tuple[int, int, float]]]
    """Where the discriminator sees something: from and up to which character, with what probability."""


class Texts(TypedDict):
    """Texts side by side with what they answer."""

    texts: Sequence[str]
    prompts: Sequence[str | None]


class Critic:
    """A trained discriminator that is asked about texts; it reads them as anybody would, through the tokenizer."""

    def __init__(self, checkpoint: Path, tokens: Path, device: torch.device | str) -> None:
        self.discriminator: Any = load_discriminator(checkpoint).to(device)
        self.context: int = json.loads((checkpoint / "config.json").read_text())["context"]
        self.tokenizer, self.device = Tokenizer.load(tokens), device

    @torch.no_grad()
    def __call__(self, shown: Texts) -> Values:
        """Logits `(N,)`; positive means «real»."""
        batches = ordered_batches(self._shards(shown), BATCH)
        batches = (batch.to(self.device) for batch in batches)
        logits = [self.discriminator(batch.tokens_BT, batch.mask_BT).float().cpu() for batch in batches]
        return torch.cat(logits).double().numpy()

    def spans(self, shown: Texts) -> list[list[tuple[int, int, float]]] | None:
        """Where each text looks made up, in characters, with the probability; None if the discriminator cannot say."""
        if not hasattr(self.discriminator, "spans"):
            return None
        # The tokenizer knows which characters a token was made of; the text stands behind BOS, or prompt and SEP.
        offsets = [
            each.offsets for each in self.tokenizer.backend.encode_batch(list(shown["texts"]), add_special_tokens=False)
        ]
        found: list[list[tuple[int, int, float]]] = []
        for batch in ordered_batches(self._shards(shown), BATCH):
            batch = batch.to(self.device)
            told = self.discriminator.spans(batch.tokens_BT, batch.mask_BT)
            for spans, given in zip(told, batch.prompt_lengths_B.tolist(), strict=True):
                text, places = shown["texts"][len(found)], offsets[len(found)]
                inside = [(max(0, a - given), min(b - given, len(places)), p) for a, b, p in spans]
                ends = [(places[a][0], places[b - 1][1], round(p, 4)) for a, b, p in inside if b > a]
                # A token may carry the space before it, which nobody made up.
                found.append([(b - len(text[a:b].lstrip()), b, p) for a, b, p in ends])
        return found

    def _shards(self, shown: Texts) -> Shards:
        """The texts as ids, cut where the context ends."""
        prompts = self.tokenizer.encode([prompt or "" for prompt in shown["prompts"]])
        texts = self.tokenizer.encode(shown["texts"])
        room = [self.context - 2 - (1 + len(prompt) if prompt else 0) for prompt in prompts]
        rows = [prompt + text[: max(0, left)] for prompt, text, left in zip(prompts, texts, room, strict=True)]
        return Shards.of(rows, [len(prompt) for prompt in prompts])


def gallery(
    shown: Texts, critic: Critic, logits_N: Values, line: tuple[float, float], train: "TrainingTexts"
) -> list[Sample]:
    """The first texts with all that is known of each; `line` is the slope and offset of a calibrated logit."""
    quoted: Texts = {"texts": shown["texts"][:NUM_SHOWN], "prompts": shown["prompts"][:NUM_SHOWN]}
    near, spans = train.nearest_to(quoted["texts"]), critic.spans(quoted)
    samples: list[Sample] = [
        {
            "text": text,
            "prompt": prompt,
            "logit": round(float(logit), 4),
            "probability": round(float(probability(line[0] * logit + line[1])), 4),
            "nearest": nearest,
        }
        for text, prompt, logit, nearest in zip(quoted["texts"], quoted["prompts"], logits_N, near, strict=False)
    ]
    for sample, found in zip(samples, spans or [], strict=False):
        sample["spans"] = found
    return samples


class TrainingTexts:
    """The training text, ready to be looked through for what is nearest."""

    def __init__(self, texts: Sequence[str], how: Splitter) -> None:
        # NLTK's tokeniser rewrites quotation marks, which could not be found again in the text.
        self.texts = texts[:MOST]
        self.how: Splitter = "words" if how == "nltk" else how
        self.library = Library(self._units(self.texts))

    def nearest_to(self, texts: Sequence[str]) -> list[Nearest | None]:
        """Of each text the training text with the least edit distance, case ignored; None for an empty text."""
        units = self._units(texts)
        asked = [i for i, each in enumerate(units) if each]
        found: list[Nearest | None] = [None] * len(texts)
        if not asked:
            return found
        rows, distances = self.library.nearest([units[i] for i in asked])
        for i, row, distance in zip(asked, rows, distances, strict=True):
            text = self.texts[int(row)]
            differs = differing(text, split([text], self.how)[0], units[i])
            found[i] = {"text": text, "distance": round(float(distance), 4), "differs": differs}
        return found

    def _units(self, texts: Sequence[str]) -> list[list[str]]:
        return split([text.lower() for text in texts], self.how)


def differing(text: str, units: Sequence[str], others: Sequence[str]) -> list[Span]:
    """Where `text`, made of `units`, has what `others` (lower case) have not; neighbours are one span."""
    places: list[Span] = []
    at = 0
    for unit in units:
        at = text.index(unit, at)
        places.append((at, at := at + len(unit)))
    matcher = SequenceMatcher(None, [unit.lower() for unit in units], list(others), autojunk=False)
    changed = [(first, last) for tag, first, last, _, _ in matcher.get_opcodes() if tag != "equal" and last > first]
    return [(places[first][0], places[last - 1][1]) for first, last in changed]
