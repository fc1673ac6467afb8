"""What every metric file must offer; a new file is found by itself."""

from collections.abc import Callable

import numpy as np
import pytest

from gdcore import plugins
from gdcore.evidence import Evidence, joined
from gdcore.intervals import Ratio, Sampling, figures
from gdcore.report import wording

Texts = list[list[str]]
SAMPLING = Sampling(seed=0, resamples=100, subsamples=4)


@pytest.mark.parametrize("name", plugins.names("metrics"))
def test_metric(name: str, random_texts: Callable[..., Texts]) -> None:
    metric = plugins.load("metrics", name)
    assert metric.Config().name == name
    samples, references = random_texts(40, 1), random_texts(40, 2)
    nll = Ratio(np.linspace(1, 9, 40), np.full(40, 3.0))
    found = figures(
        metric.score(metric.Config(), Evidence(samples, references, frozenset(joined(references)), nll)), SAMPLING
    )
    assert found
    for key, figure in found.items():
        assert key in wording.METRICS, f"{key} has no name for people"
        assert figure["low"] <= figure["value"] <= figure["high"]
    again = figures(
        metric.score(metric.Config(), Evidence(samples, references, frozenset(joined(references)), nll)), SAMPLING
    )
    assert again == found
    backwards = Evidence(samples[::-1], references[::-1], frozenset(joined(references)), nll)
    for key, figure in figures(metric.score(metric.Config(), backwards), SAMPLING).items():
        assert figure["value"] == pytest.approx(found[key]["value"], abs=1e-9), "the order of texts must not matter"
