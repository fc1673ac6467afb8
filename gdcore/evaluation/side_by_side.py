"""Evaluations found by the name a person gives, checked for whether they may be compared, and compared.

A side is `NAME`, `NAME:MODEL` or `NAME:MODEL:DECODING`: a run, an `evaluation.json`, or what `gdflow evaluate --json`
printed; by default the model that was selected, at the decoding that selection looked at.
"""

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from gdcore import runs
from gdcore.errors import UserError
from gdcore.evaluation import protocol as protocols
from gdcore.evaluation.comparison import Contrast, compare, compare_seeds, summary
from gdcore.evaluation.intervals import Figure, Ratio
from gdcore.report import wording

LIKELIHOODS = "likelihoods.npz"
SHOWN = 6
"""Settings of two protocols that are named where they differ."""


@dataclass(frozen=True)
class Side:
    """One model at one decoding, as it was measured."""

    name: str
    """As it was given."""
    model: str
    decoding: str
    protocol: str
    seed: int | None
    counts: Mapping[str, Any]
    metrics: Mapping[str, Figure]
    real: Mapping[str, Figure]
    """What real text has under the same protocol; empty where it was not measured."""
    held_out: str | None = None
    """Digest of the held-out texts, where it is known."""
    likelihoods: Mapping[str, Ratio] = field(default_factory=dict[str, Ratio])
    """By metric, what the model says of each held-out text."""

    @property
    def label(self) -> str:
        """The model, its decoding and where it is from."""
        model = wording.MODEL.get(self.model, self.model)
        return f"{model} of {self.name}" + (f" at {self.decoding}" if self.decoding else "")


class SideBySide(TypedDict):
    """What a comparison says."""

    a: list[str]
    b: list[str]
    protocol: str
    summary: str
    notes: list[str]
    """What to bear in mind."""
    contrasts: list[Contrast]


def side_by_side(a: Sequence[Side], b: Sequence[Side], metrics: Sequence[str] | None = None) -> SideBySide:
    """Compare one result with another, or several training seeds of one with the same seeds of the other.

    All metrics, or those named; every one more costs the others certainty, since all are corrected for their number.

    Raises UserError, saying what differs, where figures must not be compared.
    """
    for each in (*a[1:], *b):
        _check_protocols(a[0], each)
    wanted = metrics or wording.ordered(a[0].metrics)
    if any(_cut_otherwise(one, other) for one in a for other in b):
        wanted = [name for name in wanted if name not in PER_TOKEN]
    if len(a) == len(b) == 1:
        contrasts = _of_two(a[0], b[0], wanted)
    else:
        a, b = _paired_by_seed(a, b)
        real = [one.real or other.real for one, other in zip(a, b, strict=True)]
        sides = [each.metrics for each in a], [each.metrics for each in b], real
        contrasts = compare_seeds(*sides, wanted)
    if not contrasts:
        asked = f" among {', '.join(metrics)}" if metrics else ""
        raise UserError(f"{a[0].name} and {b[0].name} have no metric in common that has a better side{asked}")
    return {
        "a": [each.label for each in a],
        "b": [each.label for each in b],
        "protocol": a[0].protocol,
        "summary": summary(contrasts, _named(a), _named(b)),
        "notes": _notes(a, b),
        "contrasts": contrasts,
    }


def _of_two(a: Side, b: Side, metrics: Sequence[str]) -> list[Contrast]:
    paired = {name: (a.likelihoods[name], b.likelihoods[name]) for name in a.likelihoods if _alike(a, b, name)}
    samples = min(int(each.counts.get("samples", 0)) for each in (a, b))
    return compare(a.metrics, b.metrics, samples=samples, real=a.real or b.real, paired=paired, metrics=metrics)


PER_TOKEN = ("nll", "perplexity", "nll_gap")


def _alike(a: Side, b: Side, likelihood: str) -> bool:
    """Whether both say something of the same held-out texts, measured in the same units."""
    return _both_say(a, b, likelihood) and np.array_equal(
        a.likelihoods[likelihood].denominators_N, b.likelihoods[likelihood].denominators_N
    )


def _cut_otherwise(a: Side, b: Side) -> bool:
    """Whether two tokenisers cut the same texts into other tokens: a surprise per token then compares nothing."""
    return _both_say(a, b, "nll") and not _alike(a, b, "nll")


def _both_say(a: Side, b: Side, likelihood: str) -> bool:
    """Whether both say something of the same held-out texts."""
    same = a.held_out is not None and a.held_out == b.held_out
    return same and likelihood in a.likelihoods and likelihood in b.likelihoods


def _check_protocols(a: Side, b: Side) -> None:
    if a.protocol == b.protocol:
        if a.held_out and b.held_out and a.held_out != b.held_out:
            raise UserError(
                f"{a.name} and {b.name} were judged against different real texts, so their figures do not compare. "
                "Train both on the same corpus with the same split."
            )
        return
    names = [each.protocol.partition("@")[0] for each in (a, b)]
    if names[0] == names[1]:
        detail = f"both are called {names[0]}, but their settings differ: one was judged by another version of gdflow"
    else:
        detail = "; ".join(_differences(*names)) or "their settings differ"
    raise UserError(
        f"{a.name} was judged under {a.protocol} and {b.name} under {b.protocol}, whose figures must not be compared: "
        f"{detail}. Judge both under one protocol: gdflow evaluate --protocol NAME."
    )


def _differences(a: str, b: str) -> list[str]:
    """How two protocols differ, setting by setting."""
    if not {a, b} <= set(protocols.names()):
        return []
    one, other = (protocols.load(name).model_dump(mode="json", exclude={"name", "about"}) for name in (a, b))
    metrics = [one.pop("metrics"), other.pop("metrics")]
    found = [f"{key} {_said(one[key])} against {_said(other[key])}" for key in one if one[key] != other[key]]
    shared = [name for name in metrics[0] if name in metrics[1]]
    loaded = [protocols.load(name).metrics for name in (a, b)]
    found += [f"{name} is set otherwise" for name in shared if loaded[0][name] != loaded[1][name]]
    return found[:SHOWN]


def _said(value: Any) -> str:
    return "all" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _paired_by_seed(a: Sequence[Side], b: Sequence[Side]) -> tuple[list[Side], list[Side]]:
    """Both sides in the order of their seeds, which must be the same, two or more."""
    seeds: list[list[int]] = []
    for side in (a, b):
        if without := [each.name for each in side if each.seed is None]:
            raise UserError(f"{', '.join(without)} holds no training seed, so it cannot be paired with others by seed")
        seeds.append(sorted(int(each.seed or 0) for each in side))
        if len(set(seeds[-1])) < len(side):
            raise UserError(f"{_named(side)}: two results have the same seed; give one result a seed")
    if seeds[0] != seeds[1]:
        lists = " and ".join(", ".join(map(str, each)) for each in seeds)
        raise UserError(f"the two sides have different training seeds, {lists}: give the same seeds on both sides")
    if len(a) == 1:
        raise UserError("one seed says nothing about the spread over seeds: give two results a side or more")
    order = [sorted(side, key=lambda each: each.seed or 0) for side in (a, b)]
    return order[0], order[1]


def _named(side: Sequence[Side]) -> str:
    return side[0].label if len(side) == 1 else f"{side[0].label} and {len(side) - 1} more seeds"


def _notes(a: Sequence[Side], b: Sequence[Side]) -> list[str]:
    notes: list[str] = []
    counts = [{int(each.counts.get("samples", 0)) for each in side} for side in (a, b)]
    if len(counts[0] | counts[1]) > 1:
        shown = " against ".join("/".join(f"{count:,}" for count in sorted(each)) for each in counts)
        notes.append(f"Different numbers of samples: {shown}. Set figures below their protocol's size move with it.")
    if a[0].decoding != b[0].decoding:
        notes.append(f"Different decodings: {a[0].decoding or 'unknown'} against {b[0].decoding or 'unknown'}.")
    if not (a[0].real or b[0].real):
        notes.append("No row of real text: metrics whose aim is real text (BLEU among them) are left out.")
    return notes


def named(metrics: Sequence[str], sides: Sequence[Side]) -> list[str]:
    """The same, if there are such. Raises UserError for one that no side has, with the one probably meant."""
    measured = wording.ordered(name for each in sides for name in each.metrics)
    for name in metrics:
        if name not in measured:
            near = difflib.get_close_matches(name, measured, 1)
            what = f"did you mean {near[0]}?" if near else f"there are {', '.join(measured)}"
            raise UserError(f"no metric {name!r} was measured: {what}")
    return list(metrics)


def headlines() -> list[str]:
    """The metrics that are compared unless others are asked for: a few that were settled on beforehand."""
    return [name for name, metric in wording.METRICS.items() if metric.headline and wording.better(name)]


def read_side(given: str, home: Path) -> Side:
    """What a person means by `NAME[:MODEL[:DECODING]]`. Raises UserError, naming what there is."""
    name, _, rest = (given, "", "") if Path(given).exists() else given.partition(":")
    model, _, decoding = rest.partition(":")
    path = _located(name, home)
    evaluation = _loaded(path)
    rows = [row for row in evaluation["rows"] if row["model"] != "real"]
    chosen = model or _selected(evaluation) or rows[0]["model"]
    own = [row for row in rows if row["model"] == chosen]
    if not own:
        there = ", ".join(dict.fromkeys(row["model"] for row in rows))
        raise UserError(f"{name} has no model {chosen!r}; there are {there}")
    labels = [wording.decoding(row["decoding"]) for row in own]
    if decoding and decoding not in labels:
        raise UserError(f"{name} has no decoding {decoding!r} of {chosen}; there are {'; '.join(labels)}")
    row = own[labels.index(decoding) if decoding else 0]
    real = next((each for each in evaluation["rows"] if each["model"] == "real"), None)
    # What belongs to a set moves with its size: fewer real texts would pass for more diverse ones.
    alike = real is not None and real["counts"]["samples"] >= 0.9 * row["counts"]["samples"]
    return Side(
        name=name,
        model=chosen,
        decoding=wording.decoding(row["decoding"]),
        protocol=row["protocol"],
        seed=evaluation.get("seed") if chosen in ("pretrained", "finetuned") else None,
        counts=row["counts"],
        metrics=row["metrics"],
        real=real["metrics"] if real and alike else {},
        held_out=evaluation.get("held_out"),
        likelihoods=_likelihoods(path.parent / LIKELIHOODS, chosen, evaluation.get("held_out")),
    )


def _located(name: str, home: Path) -> Path:
    """The file that a name stands for."""
    path = Path(name)
    if path.is_dir() and (path / "evaluation.json").is_file():
        return path / "evaluation.json"
    if path.is_file():
        return path
    return runs.find(home, name).path("evaluation") / "evaluation.json"


def _loaded(path: Path) -> dict[str, Any]:
    try:
        evaluation = json.loads(path.read_text("utf-8"))
        rows = [row for row in evaluation["rows"] if row["model"] != "real" and {"protocol", "counts"} <= row.keys()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no evaluation ({error!r}); expected an evaluation.json, or what `gdflow evaluate --json` prints"
        ) from error
    if not rows:
        raise UserError(f"{path} holds no row of a model; expected an evaluation.json of this version of gdflow")
    return evaluation


def _selected(evaluation: Mapping[str, Any]) -> str | None:
    selection = evaluation.get("selection")
    return selection["selected"] if selection else evaluation.get("selected")


def _likelihoods(path: Path, model: str, held_out: str | None) -> dict[str, Ratio]:
    if held_out is None or not path.is_file():
        return {}
    with np.load(path) as kept:
        if str(kept["texts"]) != held_out or model not in kept:
            return {}
        nll_N, tokens_N, bytes_N = kept[model], kept["tokens"], kept["bytes"]
    return {"nll": Ratio(nll_N, tokens_N), "bits_per_byte": Ratio(nll_N / math.log(2), bytes_N)}
