"""A run's two models against real held-out text: the same seeds, decodings and protocol for both, and a real-text row.

What is reported is measured on the test split; which model goes on is decided on the validation split.
"""

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from gdcore import plugins
from gdcore.corpora import drawn
from gdcore.corpora.exact import ExactSource
from gdcore.corpora.rows import gather, spread
from gdcore.decoding import Decoding
from gdcore.errors import UserError
from gdcore.evaluation import protocol as protocols
from gdcore.evaluation.breakdown import nll_by_label
from gdcore.evaluation.calibration import calibrate
from gdcore.evaluation.document import Evaluation, ModelName, Row
from gdcore.evaluation.drawing import Drawing, slug
from gdcore.evaluation.evidence import Likelihoods
from gdcore.evaluation.frontier import frontier
from gdcore.evaluation.gallery import NUM_SHOWN, Critic, Texts, TrainingTexts, gallery
from gdcore.evaluation.intervals import Figure, Ratio, figure
from gdcore.evaluation.judging import Judge, texts_digest
from gdcore.evaluation.next_tokens import held_out_guesses
from gdcore.evaluation.selection import compare, criteria_protocol, select
from gdcore.evaluation.tempered import tempered_nll
from gdcore.metrics.nll import held_out
from gdcore.networks import latent
from gdcore.progress import Progress
from gdcore.settings import Settings
from gdcore.shards import Shards
from gdcore.tokenizer import Tokenizer
from gdcore.training.checkpoint import load_generator

MODELS: tuple[ModelName, ModelName] = ("pretrained", "finetuned")
GRID = (
    *(Decoding(temperature=temperature) for temperature in (1.0, 0.9, 0.8, 0.7)),
    Decoding(top_k=40),
    Decoding(top_p=0.9),
    Decoding(min_p=0.02),
    Decoding(candidates=4),
    Decoding(candidates=4, choose="discriminator"),
)
"""Each way of making a model safer than it is, so that a claim to be better is held against all of them."""
CURVE_METRICS = (
    "nll", "nll_tempered", "nll_oracle", "exact_match", "bleu", "self_bleu", "lm_score", "reverse_lm", "distinct",
    "unique", "copy_rate", "length",
)  # fmt: skip
"""Every plane of the frontier, and what shows that a decoding went wrong."""
NUM_JUDGED = 2000
"""Texts of each side that the discriminator is asked about."""
LIKELIHOODS = "likelihoods.npz"
"""Per held-out text its tokens, its bytes, and its summed NLL under each model."""


class EvaluationConfig(Settings):
    """How a run's models are measured."""

    protocol: str = "gdflow"
    """Which named protocol (`gdflow list protocols`); figures of different protocols must not be compared."""
    num_samples: int = Field(default=2000, ge=2)
    """Texts drawn from each model at each decoding; with prompts, no more than there are test prompts."""
    decodings: tuple[Decoding, ...] = Field(default=GRID, min_length=1)
    """How texts are drawn, the same for every model. The first is the one that selection looks at; all of them make the
    curves. Decodings that differ in their candidates alone share them, and cost as much as the one with the most."""
    curve_metrics: tuple[str, ...] = CURVE_METRICS
    """What is measured at the decodings after the first, as far as the protocol measures it: they only make curves, and
    some metrics cost more than that is worth. Empty: everything."""
    batch_size: int = Field(default=512, ge=1)
    """Texts drawn at a time."""
    max_held_out_texts: int = Field(default=50_000, ge=1)
    """Texts of the validation and of the test split at most that models are held to, evenly spread where there are
    more."""
    max_train_texts: int = Field(default=1_000_000, ge=1)
    """Training texts at most that copies are looked for in and reference models learn from, evenly spread where there
    are more: they are held in memory. Copies of the others are not seen, which the report says."""

    @field_validator("protocol")
    @classmethod
    def _known(cls, name: str) -> str:
        protocols.load(name)
        return name

    @field_validator("curve_metrics")
    @classmethod
    def _existing(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(names) - set(plugins.names("metrics")):
            raise ValueError(f"no metrics named {', '.join(sorted(unknown))}; `gdflow list metrics` names them")
        return names


@dataclass(frozen=True)
class Split:
    """The rows of one split that validation let through, or as many of them as fit in memory."""

    texts: list[str]
    prompts: list[str | None]
    labels: list[str | None]
    shards: Shards
    left_out: int
    """How many more there are."""

    def some(self, number: int) -> Shards:
        """The tokens of so many texts, evenly spread."""
        return self.shards.only(spread(len(self.texts), number))

    @property
    def prompted(self) -> list[int]:
        """Rows that answer a prompt."""
        return [row for row, prompt in enumerate(self.prompts) if prompt is not None]

    def answers(self, number: int) -> list[list[str]] | None:
        """To each of the first so many prompts, all its answers in this split; None where nothing has a prompt."""
        given: defaultdict[str | None, list[str]] = defaultdict(list)
        for prompt, text in zip(self.prompts, self.texts, strict=True):
            given[prompt].append(text)
        return [given[self.prompts[row]] for row in self.prompted[:number]] or None


def evaluate_models(
    config: EvaluationConfig,
    corpus: Path,
    tokens: Path,
    validation: Path,
    pretraining: Path,
    finetuning: Path,
    out: Path,
    seed: int,
    device: str = "cpu",
) -> Iterator[Progress]:
    """Measure, select, and write `evaluation.json` and `samples/` into `out`."""
    before, after = MODELS
    same = _digest(pretraining) == _digest(finetuning)
    checkpoints: dict[ModelName, Path] = {before: pretraining} if same else {before: pretraining, after: finetuning}
    total = 3 + len(checkpoints) * (2 + len(config.decodings))
    done = 0

    def progress(note: str) -> Progress:
        nonlocal done
        done += 1
        return Progress(done, total, note)

    most = {"train": config.max_train_texts, "valid": config.max_held_out_texts, "test": config.max_held_out_texts}
    splits = {name: _open(corpus, tokens, validation, name, most[name]) for name in most}
    train, valid, test = splits["train"], splits["valid"], splits["test"]
    tokenizer = Tokenizer.load(tokens)
    protocol = protocols.load(config.protocol)
    source = drawn.kept(corpus)
    judge = Judge(test.texts, train.texts, protocol, source)
    (out / "samples").mkdir(parents=True, exist_ok=True)

    asked = test.prompted[: config.num_samples]  # whose prompts are answered, where there are prompts
    num = len(asked) or config.num_samples
    answers = test.answers(num)
    rows: list[Row] = [_real_row(train, valid, test, num, protocol, source)]
    # Answers are shown beside the same prompts; texts without prompts come from all over the split.
    step = max(1, len(test.texts) // NUM_SHOWN)
    quoted = asked or sorted(range(len(test.texts)), key=lambda row: (row % step, row))
    shown = {"real": _shown(test, quoted)}
    yield progress("real text")

    judge_valid = Judge(valid.texts, train.texts, criteria_protocol(protocol))
    lengths = np.array([len(text.encode()) for text in test.texts], np.float64)
    valid_figures: dict[str, Any] = {}
    valid_nll: dict[str, Ratio] = {}
    test_nll: dict[str, Ratio] = {}
    critic = Critic(finetuning, tokens, device)
    for model, checkpoint in checkpoints.items():
        generator: Any = load_generator(checkpoint).to(device)
        drawing = Drawing(generator, critic.discriminator, tokenizer, seed, config.batch_size)
        nll, guesses = held_out_guesses(generator, test.shards, train.shards)
        test_nll[model], valid_nll[model] = nll, held_out(generator, valid.shards)
        likelihoods = Likelihoods(nll, lengths, held_out(generator, train.some(len(test.texts))), guesses)
        yield progress(f"{model}: held-out NLL {figure(nll, protocol.sampling)['value']:.3f}")
        for i, (decoding, texts) in enumerate(drawing.each(config.decodings, test, num)):
            path = out / "samples" / f"{model}_{slug(decoding)}.txt"
            path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
            # The likelihoods are the model's own, at temperature 1, whatever the decoding, but for the tempered one.
            if "nll_tempered" in protocol.metrics:
                ends = source is None or source.ends
                tempered = tempered_nll(generator, test.shards, decoding, ends=ends)
                likelihoods = replace(likelihoods, tempered=tempered)
            result = judge(texts, likelihoods, answers=answers, only=config.curve_metrics if i else ())
            if latent.noise_dim(generator):
                result["warnings"] = [*result["warnings"], latent.BOUND]
            rows.append({"model": model, "decoding": decoding.model_dump(), **result})
            if i == 0:
                shown[model] = _shown(test, asked, texts)
                judged = drawing.texts(decoding, valid, num) if valid.prompted else texts
                valid_figures[model] = judge_valid(judged)["metrics"]
            bleu = rows[-1]["metrics"].get("bleu_4")
            yield progress(f"{model} at {decoding}" + (f": BLEU-4 {bleu['value']:.3f}" if bleu else ""))
        yield progress(f"{model}: judged on the validation split")

    if same:  # nothing was fine-tuned, or the guard took it all back: what was measured of one holds of the other
        shown[after], valid_figures[after] = shown[before], valid_figures[before]
        test_nll[after], valid_nll[after] = test_nll[before], valid_nll[before]
        rows += [_renamed(row, after) for row in rows if row["model"] == before]
        for path in (out / "samples").glob(f"{before}_*.txt"):
            shutil.copyfile(path, path.with_name(path.name.replace(before, after, 1)))
    nll_of_both = valid_nll[before], valid_nll[after]
    comparisons = compare(valid_figures[before], valid_figures[after], nll_of_both, protocol.sampling)
    stopped = json.loads((finetuning / "summary.json").read_text()).get("stopped")
    selection = select(comparisons, same=same, stopped=stopped)
    logits = {name: critic(texts) for name, texts in shown.items()}
    calibration = {model: calibrate(logits["real"], logits[model], protocol.sampling) for model in MODELS}
    yield progress("the discriminator asked")
    line = calibration[after]["slope"], calibration[after]["offset"]
    known = TrainingTexts(train.texts, judge.how)
    samples = {name: gallery(texts, critic, logits[name], line, known) for name, texts in shown.items()}
    evaluation: Evaluation = {
        "protocol": protocol.id,
        "about": protocol.about,
        "seed": seed,
        "splits": {name: len(split.texts) for name, split in splits.items()},
        "not_looked_at": {name: split.left_out for name, split in splits.items() if split.left_out},
        "rows": rows,
        "frontier": frontier(rows, protocol.seed),
        "selection": selection,
        "held_out": _write_likelihoods(out / LIKELIHOODS, test.texts, lengths, test_nll),
        "nll_by_label": {model: _by_label(nll, test.labels, protocol) for model, nll in test_nll.items()},
        "calibration": calibration,
        "samples": samples,
    }
    (out / "evaluation.json").write_text(json.dumps(evaluation, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    yield progress(f"{selection['selected']} selected")


def _open(corpus: Path, tokens: Path, validation: Path, split: str, most: int) -> Split:
    kept = np.load(validation / f"kept_{split}.npy")
    if not len(kept):
        raise UserError(f"validation left no text in the {split} split; loosen its rules or give more text")
    rows = kept[spread(len(kept), most)]
    frame = gather(corpus / f"{split}.parquet", ["text", "prompt", "label"], rows)
    texts, prompts, labels = (frame[name].to_list() for name in ("text", "prompt", "label"))
    return Split(texts, prompts, labels, Shards.open(tokens, split, rows), len(kept) - len(rows))


def _real_row(
    train: Split, valid: Split, test: Split, num: int, protocol: protocols.Protocol, source: ExactSource | None
) -> Row:
    """As many real texts as samples, held against the test split as they are: from valid, and where it is small, train.

    A text taken from train is no copy of itself: it is left out of what copies are looked for in.
    """
    from_valid = valid.texts[:num]
    topped_up = train.texts[: num - len(from_valid)]
    result = Judge(test.texts, train.texts[len(topped_up) :], protocol, source)([*from_valid, *topped_up])
    result["counts"] |= {"from_valid": len(from_valid), "from_train": len(topped_up)}
    return {"model": "real", "decoding": None, **result}


def _shown(split: Split, rows: Sequence[int], texts: Sequence[str] | None = None) -> Texts:
    """Texts with the prompts of these rows; without texts given, the rows' own."""
    rows = rows[:NUM_JUDGED]
    texts = [split.texts[row] for row in rows] if texts is None else texts[:NUM_JUDGED]
    return {"texts": texts, "prompts": [split.prompts[row] for row in rows] if rows else [None] * len(texts)}


def _renamed(row: Row, model: ModelName) -> Row:
    renamed = row.copy()
    renamed["model"] = model
    return renamed


def _by_label(nll: Ratio, labels: Sequence[str | None], protocol: protocols.Protocol) -> dict[str, Figure]:
    """Held-out NLL of each label; nothing where texts have none."""
    rows = [row for row, label in enumerate(labels) if label is not None]
    known = Ratio(nll.numerators_N[rows], nll.denominators_N[rows])
    return nll_by_label(known, [str(labels[row]) for row in rows], protocol.sampling)


def _digest(checkpoint: Path) -> str:
    return hashlib.sha256((checkpoint / "generator.safetensors").read_bytes()).hexdigest()


def _write_likelihoods(path: Path, texts: Sequence[str], bytes_N: NDArray[np.float64], nll: Mapping[str, Ratio]) -> str:
    """Keep what each model says of each held-out text, so that other models can be compared with it text by text.

    Returns the digest of the texts: only figures that were taken on the same ones are paired.
    """
    digest = texts_digest(texts)
    tokens_N = next(iter(nll.values())).denominators_N
    arrays: dict[str, Any] = {"texts": np.array(digest), "tokens": tokens_N, "bytes": bytes_N}
    arrays |= {model: ratio.numerators_N for model, ratio in nll.items()}
    np.savez(path, **arrays)
    return digest
