"""Which of today's texts two bundles may be held to: texts that neither can have learnt from, and both can read.

A text's side of the split is a hash of the text, the same for every run with the same fractions and seed; but a run may
have had other ones, or files of its own for each side. So whatever stands in either model's training text, but for
case, spacing and punctuation, is left out: it would favour the one that has seen it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from gdcore.errors import UserError
from gdcore.facts import text_facts
from gdcore.release.code_length import fits
from gdcore.serving.session import Session


@dataclass(frozen=True)
class HeldOut:
    """Today's texts that neither model can have learnt from and both can read."""

    texts: list[str]
    prompts: list[str] | None
    readable: dict[str, float]
    """By model, the share of texts that fit its context."""
    left_out: dict[str, int]
    """How many texts of the test split are not among these, by reason."""


def held_out(
    num_texts: int, sessions: Mapping[str, Session], learnt: Mapping[str, Path], today: Path, seed: int
) -> HeldOut:
    """Draw what the models are held to from the test split. Raises UserError where nothing is left of it."""
    frame = _gists(today / "test.parquet").collect()
    total = len(frame)
    left_out: dict[str, int] = {}
    for name, corpus in learnt.items():
        known = [_gists(corpus / f"{split}.parquet").select("gist") for split in ("train", "valid")]
        # Of a training text that may be larger than memory, what stands in the held-out one alone is held.
        shared = pl.concat(known).join(frame.lazy(), on="gist", how="semi").unique().collect(engine="streaming")
        fresh = frame.filter(~pl.col("gist").is_in(shared["gist"].implode()))
        left_out[f"stand in the {name}'s training text"] = len(frame) - len(fresh)
        frame = fresh
    prompted = frame["prompt"].is_not_null().any()
    if prompted:
        left_out["answer no prompt"] = frame["prompt"].null_count()
        frame = frame.drop_nulls("prompt")
    texts: list[str] = frame["text"].to_list()
    prompts: list[str] | None = frame["prompt"].to_list() if prompted else None
    fitting = {name: np.array(fits(session, texts, prompts), bool) for name, session in sessions.items()}
    rows = np.flatnonzero(np.logical_and.reduce(list(fitting.values())))
    left_out["too long for one of the models"] = len(texts) - len(rows)
    if not len(rows):
        why = "; ".join(f"{number:,} {reason}" for reason, number in left_out.items() if number)
        raise UserError(
            f"none of the {total:,} texts held out today can be used to judge the models: {why or 'there are none'}. "
            "Give more text, or hold out more of it (corpus.test_fraction)."
        )
    if len(rows) > num_texts:
        left_out["not drawn"] = len(rows) - num_texts
        rows = np.sort(np.random.default_rng(seed).choice(rows, num_texts, replace=False))
    return HeldOut(
        [texts[row] for row in rows],
        prompts and [prompts[row] for row in rows],
        {name: float(fit.mean()) for name, fit in fitting.items()},
        {reason: number for reason, number in left_out.items() if number},
    )


def _gists(path: Path) -> pl.LazyFrame:
    """Texts, prompts, and what is left of each without case, spacing and punctuation."""
    texts = pl.scan_parquet(path).select("text", "prompt")
    return text_facts(texts, []).select("text", "prompt", "gist")
