"""What every metric file must offer; a new file is found by itself."""

from collections.abc import Callable

import numpy as np
import pytest

from gdcore import plugins
from gdcore.corpora.exact import Verdict
from gdcore.evaluation.evidence import Evidence, Likelihoods, NextTokens, Training, joined
from gdcore.evaluation.intervals import Figure, Ratio, Sampling, figures
from gdcore.report import wording

Texts = list[list[str]]
SAMPLING = Sampling(seed=0, resamples=100, subsamples=4)


@pytest.mark.parametrize("name", plugins.names("metrics"))
def test_metric(name: str, random_texts: Callable[..., Texts]) -> None:
    metric = plugins.load("metrics", name)
    config = metric.Config()
    assert config.name == name
    samples, references = random_texts(40, 1), random_texts(40, 2)
    training = Training(frozenset(joined(references)), references)
    held_out = Ratio(np.linspace(1, 9, 40), np.full(40, 3.0))
    guesses = NextTokens(np.arange(120) % 7, np.repeat(np.arange(40), 3), lambda order: np.arange(120) % (order + 4))
    likelihoods = Likelihoods(held_out, np.full(40, 20.0), held_out, guesses, held_out)
    verdict = Verdict(np.linspace(2, 8, 40), np.full(40, 4.0), np.arange(40) % 3 > 0)
    answers = [[text, *references[:row]] for row, text in enumerate(references)]

    def evidence(step: int = 1) -> Evidence:
        oracle = Verdict(*(values_N[::step] for values_N in verdict))
        return Evidence(
            samples[::step], references[::step], training, likelihoods, answers=answers[::step], oracle=lambda: oracle
        )

    def measured(evidence: Evidence) -> dict[str, Figure]:
        return figures(metric.score(config, evidence), SAMPLING)

    found = measured(evidence())
    assert found
    for key, figure in found.items():
        assert key in wording.METRICS, f"{key} has no name for people"
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert measured(evidence()) == found
    for key, figure in measured(evidence(-1)).items():
        assert figure["value"] == pytest.approx(found[key]["value"], abs=1e-9), "the order of texts must not matter"
    for exhibit in metric.exhibits(config, evidence()) if hasattr(metric, "exhibits") else ():
        assert all(len(row) == len(exhibit["columns"]) for row in exhibit["rows"])
