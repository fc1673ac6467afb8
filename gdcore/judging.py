"""Texts against texts, under a named protocol: the part of evaluation that needs no model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from gdcore.errors import UserError
from gdcore.evidence import Evidence
from gdcore.plugins import load as load_plugin
from gdcore.protocol import Protocol
from gdcore.protocol import load as load_protocol
from gdcore.statistics import Figure, Ratio
from gdcore.words import DESCRIPTION, split, splitter_for


class Result(TypedDict):
    """What one set of samples is worth."""

    protocol: str
    counts: dict[str, Any]
    warnings: list[str]
    metrics: dict[str, Figure]


def read_texts(path: Path) -> list[str]:
    """The lines of a UTF-8 file, one text each; an empty line is an empty text.

    Raises UserError for a file that is missing, not UTF-8, or without any text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected a text file, one text a line") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not UTF-8; expected a text file, one text a line; convert it") from error
    # Not splitlines(): it also breaks at U+2028 and at control signs that may stand inside a text.
    lines = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
    if not any(map(str.strip, lines)):
        raise UserError(f"{path}: holds no text; expected one text a line")
    if "\0" in text:
        raise UserError(f"{path}: a binary file; expected a text file, one text a line")
    return lines


def evaluate_texts(
    samples: Sequence[str],
    references: Sequence[str],
    train: Sequence[str] | None = None,
    protocol: str | Protocol = "gdflow",
    nll: Ratio | None = None,
) -> Result:
    """Judge samples against real held-out text.

    `train` is the text that the generator learnt from, for the copy rate. `nll` is a generator's likelihood of
    held-out text. An empty sample is kept and scores 0; an empty reference is dropped. Too few texts for the protocol
    are judged all the same, and a warning says so. Raises UserError where a side holds no text at all.
    """
    chosen = protocol if isinstance(protocol, Protocol) else load_protocol(protocol)
    real = [text for text in references if text.strip()]
    for side, texts in (("samples", [text for text in samples if text.strip()]), ("references", real)):
        if not texts:
            raise UserError(f"the {side} hold no text; expected at least one that is not empty")
    rng = np.random.default_rng(chosen.seed)
    judged, against = _at_most(samples, chosen.samples, rng), _at_most(real, chosen.references, rng)

    how = splitter_for(against) if chosen.words == "auto" else chosen.words
    sides = [_normal(texts, chosen) for texts in (judged, against, train or [])]
    units = split([text for side in sides for text in side], how)
    ends = np.cumsum([len(side) for side in sides])
    evidence = Evidence(
        samples=units[: ends[0]],
        references=[text for text in units[ends[0] : ends[1]] if text],
        train=units[ends[1] :] if train is not None else None,
        nll=nll,
    )

    metrics: dict[str, Figure] = {}
    for name, config in chosen.metrics.items():
        measured = load_plugin("metrics", name).score(config, evidence)
        metrics |= {key: measurement.figure(chosen.sampling) for key, measurement in measured.items()}
    counts = {
        "samples": len(judged),
        "references": len(against),
        "train": None if train is None else len(train),
        "empty": sum(not text for text in evidence.samples),
        "words": DESCRIPTION[how],
        "tokens": int(evidence.sample_lengths.sum()),
    }
    return {"protocol": chosen.name, "counts": counts, "warnings": _warnings(chosen, evidence), "metrics": metrics}


def _normal(texts: Sequence[str], protocol: Protocol) -> list[str]:
    return [text.lower() for text in texts] if protocol.lowercase else list(texts)


def _at_most(texts: Sequence[str], number: int | None, rng: np.random.Generator) -> list[str]:
    """All texts, or so many of them drawn at random, in their order."""
    if number is None or len(texts) <= number:
        return list(texts)
    return [texts[i] for i in np.sort(rng.choice(len(texts), number, replace=False))]


def _warnings(protocol: Protocol, evidence: Evidence) -> list[str]:
    """Where this evaluation falls short of the protocol, or the texts look wrong."""
    warnings: list[str] = []
    for side, found, asked in (
        ("samples", len(evidence.samples), protocol.samples),
        ("references", len(evidence.references), protocol.references),
    ):
        if asked is not None and found < asked:
            warnings.append(f"{found:,} {side} of the {asked:,} that the protocol {protocol.name} asks for")
    for name, config in protocol.metrics.items():
        size = getattr(config, "size", None)
        if size is not None and len(evidence.samples) < size:
            warnings.append(f"{name} is defined on {size:,} texts and was taken on {len(evidence.samples):,}")
        budget = getattr(config, "budget", None)
        if budget is not None and (tokens := int(evidence.sample_lengths.sum())) < budget:
            warnings.append(f"{name} is defined on {budget:,} tokens and was taken on {tokens:,}")
    if empty := sum(not text for text in evidence.samples):
        warnings.append(f"{empty:,} samples are empty; they score 0")
    return warnings
