"""Classifier two-sample test: how well a fresh judge tells the samples from real text (Lopez-Paz and Oquab 2017).

The one figure that no trick of quality or diversity gets round: whatever differs, in wording, length or how often a
thing is said, a judge may learn. `gdcore/evaluation/two_sample.py` says how it is kept honest.
"""

from typing import Any, Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.embedding import in_random_order
from gdcore.evaluation.evidence import Evidence, Exhibit
from gdcore.evaluation.intervals import Measurement
from gdcore.evaluation.ngram_counts import Counts, Ints
from gdcore.evaluation.two_sample import Verdict, tell_apart
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["c2st"] = "c2st"
    classifier: str = "linear"
    """Who judges: a file of `gdcore/classifiers`."""
    size: int = Field(default=5000, ge=2)
    """Texts of either side, as many of one as of the other; a judge that learns from more tells more."""
    folds: int = Field(default=5, ge=2)
    """Parts that the texts are cut into; each is judged by a classifier that learnt from all the others."""
    shown: int = Field(default=8, ge=0)
    """Texts of each kind in the exhibits."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`c2st_auc`."""
    return {"c2st_auc": _verdict(config, evidence).auc}


def exhibits(config: Config, evidence: Evidence) -> list[Exhibit]:
    """Samples surely told, samples taken for real, real texts taken for generated; and the wording that tells them."""
    verdict = _verdict(config, evidence)
    by_logit = np.argsort(verdict.logits_T, kind="stable")
    fake, real = by_logit[~verdict.real_T[by_logit]], by_logit[verdict.real_T[by_logit]]
    kinds: list[tuple[str, str, Ints]] = [
        ("Told as generated", "Samples that the classifier was surest are not real.", fake),
        ("Taken for real", "Samples that the classifier was surest are real, wrongly.", fake[::-1]),
        ("Told as real", "Real texts that the classifier was surest are real.", real[::-1]),
        ("Taken for generated", "Real texts that the classifier was surest are not, wrongly.", real),
    ]
    return [
        *(
            Exhibit(title=title, about=about, columns=["text", "real with probability"], rows=rows)
            for title, about, order in kinds
            if (rows := _shown(verdict, order, config.shown))
        ),
        *_telling(verdict, config.shown),
    ]


def _verdict(config: Config, evidence: Evidence) -> Verdict:
    def make() -> Verdict:
        size = min(config.size, len(evidence.samples), len(evidence.references))
        real = in_random_order(evidence.references, evidence.seed + 1)[:size]
        fake = in_random_order(evidence.samples, evidence.seed)[:size]
        return tell_apart(real, fake, config.classifier, config.folds, evidence.seed)

    return evidence.shared(f"c2st: {config.model_dump(exclude={'shown'})}", make)


def _shown(verdict: Verdict, order: Ints, number: int) -> list[list[Any]]:
    """The first different texts of an order, with the probability that the classifier gave them."""
    rows: dict[str, list[Any]] = {}
    for row in order.tolist():
        if len(rows) == number:
            break
        text = " ".join(verdict.texts[row])
        rows.setdefault(text, [text, round(float(1 / (1 + np.exp(-verdict.logits_T[row]))), 3)])
    return list(rows.values())


def _telling(verdict: Verdict, number: int) -> list[Exhibit]:
    """Wording that one side holds in more texts than the other: the largest z-scores of two proportions."""
    counts = Counts(verdict.texts)
    num_real = int(verdict.real_T.sum())
    found: list[tuple[float, str, int, int]] = []
    for order in (1, 2, 3):
        postings = counts.postings(order)
        if not len(postings.gram_P):
            continue
        ours_G = np.bincount(postings.gram_P[verdict.real_T[postings.text_P]], minlength=postings.gram_P[-1] + 1)
        both_G = np.bincount(postings.gram_P)
        share_G = both_G / len(verdict.texts)
        spread_G = np.sqrt(both_G * np.maximum(1 - share_G, 1e-9) * num_real * (len(verdict.texts) - num_real))
        surprise_G = (ours_G - num_real * share_G) * len(verdict.texts) / np.maximum(1e-9, spread_G)
        first_G = np.unique(counts.grams(order), return_index=True)[1][-len(both_G) :]
        for gram in np.argsort(-np.abs(surprise_G), kind="stable")[: 4 * number].tolist():
            start = int(first_G[gram])
            text = int(counts.text_T[start])
            at = start - int(counts.lengths_N[:text].sum())
            wording = " ".join(verdict.texts[text][at : at + order])
            found.append((float(surprise_G[gram]), wording, int(ours_G[gram]), int(both_G[gram] - ours_G[gram])))
    found.sort(key=lambda row: (-abs(row[0]), row[1]))
    return [
        Exhibit(
            title=title,
            about=f"Words, pairs and triples, by how unevenly they are spread over {num_real:,} texts of either side.",
            columns=["wording", "real texts with it", "samples with it"],
            rows=[list(row[1:]) for row in found if (row[0] > 0) == of_real][:number],
        )
        for title, of_real in (("Wording that tells samples", False), ("Wording that samples lack", True))
    ]
