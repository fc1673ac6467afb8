"""Classifier two-sample test: can anyone tell real texts from generated ones? (Lopez-Paz and Oquab 2017)

A fresh classifier learns to, and is asked about texts that it did not learn from, fold by fold. Its AUC is the
probability that of one real and one generated text it calls the real one more real: .5 where they cannot be told apart,
1 where they always can.

Texts that are word for word alike are kept in one fold: none is ever recognised instead of judged.

Shapes: T texts of both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gdcore.evaluation.evidence import Texts, joined
from gdcore.evaluation.intervals import NORMAL, Stated
from gdcore.evaluation.ngram_counts import Bools, Floats, Ints
from gdcore.plugins import load as load_plugin


class Classifier(Protocol):
    """What a file of `gdcore/classifiers` makes with `prepare(texts, seed)`, which is not told whose texts they are."""

    def logits(self, learn: Ints, real: Bools, judge: Ints) -> Floats:
        """Learn from the rows `learn`, of which `real` says whose they are; judge the rows `judge`, positive: real."""
        ...


@dataclass(frozen=True)
class Verdict:
    """What the classifier said of each text while it did not know it."""

    auc: Stated
    texts: list[Sequence[str]]
    real_T: Bools
    logits_T: Floats


def tell_apart(real: Texts, fake: Texts, classifier: str, folds: int, seed: int) -> Verdict:
    """Cross-validate a classifier on two lists of texts. Equal numbers of either are best.

    Raises UserError where there is no classifier of that name.
    """
    texts = [*real, *fake]
    real_T = np.arange(len(texts)) < len(real)
    group_T: Ints = np.unique(joined(texts), return_inverse=True)[1]
    num_groups = int(group_T.max(initial=-1)) + 1
    fold_T: Ints = (np.random.default_rng(seed).permutation(num_groups) % folds)[group_T]
    prepared: Classifier = load_plugin("classifiers", classifier).prepare(texts, seed)
    logits_T = np.zeros(len(texts))
    for fold in range(folds):
        learn, judge = np.flatnonzero(fold_T != fold), np.flatnonzero(fold_T == fold)
        if len(judge) and real_T[learn].any() and not real_T[learn].all():
            logits_T[judge] = prepared.logits(learn, real_T[learn], judge)
    return Verdict(area_under_curve(logits_T, real_T, fold_T, group_T), texts, real_T, logits_T)


def area_under_curve(logits_T: Floats, real_T: Bools, fold_T: Ints, group_T: Ints) -> Stated:
    """AUC over the pairs that lie in one fold, with its interval.

    Logits of different folds come of different classifiers and are never compared. The variance is DeLong's (1988),
    texts of one group counted as one draw (Obuchowski 1997), and doubled: of two texts in different folds each helps to
    judge the other, so that every pair's chance likeness enters twice. Where there is nothing to learn that makes the
    spread just √2 times DeLong's, and elsewhere less.
    """
    influence_T = np.zeros(len(logits_T))
    pairs = right = 0.0
    for fold in np.unique(fold_T):
        ours, theirs = (np.flatnonzero((fold_T == fold) & side_T) for side_T in (real_T, ~real_T))
        if len(ours) and len(theirs):
            below = _below(logits_T[ours], logits_T[theirs])
            above = 1 - _below(logits_T[theirs], logits_T[ours])
            pairs += len(ours) * len(theirs)
            right += len(theirs) * below.sum()
            influence_T[ours] = len(theirs) * (below - below.mean())
            influence_T[theirs] = len(ours) * (above - above.mean())
    if not pairs:
        return Stated(0.5, 0.0, 1.0)
    auc = float(right / pairs)
    variance = 2 * (np.bincount(group_T, influence_T / pairs) ** 2).sum()
    # Where all pairs are right no variance is seen; that the next text is not, cannot be excluded.
    least = 1 / min(real_T.sum(), (~real_T).sum())
    half = NORMAL * float(max(np.sqrt(variance), least))
    return Stated(auc, max(0.0, auc - half), min(1.0, auc + half))


def _below(values: Floats, others: Floats) -> Floats:
    """The share of others that lie below each value, equal ones counted half."""
    others = np.sort(others)
    return (np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")) / (2 * len(others))
