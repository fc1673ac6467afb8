"""Figures that two draws of texts move: real texts, each judged by a set of samples.

Recall figures are of this kind: how well so many samples prepare one for what people write. The value moves with the
samples that happened to be drawn and with the real texts that happened to be at hand; the two errors are independent,
so their intervals add in quadrature, each side by itself.
"""

from collections.abc import Callable

import numpy as np

from gdcore.evaluation.intervals import Ratio, Rows, Sampling, SetFigure, Stated, figure


def crossed(
    measure: Callable[[Rows], Ratio],
    num_samples: int,
    size: int | None,
    sampling: Sampling,
    limits: tuple[float, float],
) -> Stated:
    """The property of `size` samples that `measure` finds, with an interval for both draws.

    `measure` takes rows of samples and gives one value a real text, the denominators always the same ones. Samples are
    drawn without repetition, as many times as `sampling.subsamples` says; where there are no more than `size` (or it is
    None) all are taken, and halves tell the spread (see `SetFigure`). Real texts are resampled with replacement, and
    their values averaged over the draws before.
    """
    size = num_samples if size is None else min(size, num_samples)
    measured: list[Ratio] = []

    def value(rows: Rows) -> float:
        ratio = measure(rows)
        if len(rows) == size:  # a half only tells the spread
            measured.append(ratio)
        return float(ratio.numerators_N.sum() / ratio.denominators_N.sum())

    of_samples = SetFigure(value, num_samples, size, limits=(-np.inf, np.inf)).figure(sampling)
    averages_N = np.mean([ratio.numerators_N for ratio in measured], axis=0)
    of_real = figure(Ratio(averages_N, measured[0].denominators_N), sampling)
    below = np.hypot(of_samples["value"] - of_samples["low"], of_real["value"] - of_real["low"])
    above = np.hypot(of_samples["high"] - of_samples["value"], of_real["high"] - of_real["value"])
    least, most = limits
    value_of_all = of_real["value"]
    return Stated(value_of_all, max(least, float(value_of_all - below)), min(most, float(value_of_all + above)))
