"""Which model goes on: worse on anything beyond the interval, and it is the pretrained one."""

from typing import Any

import numpy as np
import pytest

from gdcore.evaluation import protocol
from gdcore.evaluation.intervals import Figure, Ratio, Sampling
from gdcore.evaluation.selection import CRITERIA, compare, criteria_protocol, select

SAMPLING = Sampling(0, 200, 5)
TOKENS = np.full(200, 10.0)
HARD = np.random.default_rng(0).normal(40, 10, 200)
BEFORE: dict[str, Figure] = {
    "bleu_4": {"value": 0.30, "low": 0.29, "high": 0.31},
    "self_bleu_4": {"value": 0.40, "low": 0.39, "high": 0.41},
    "unique": {"value": 0.99, "low": 0.985, "high": 0.995},
    "copy_rate": {"value": 0.001, "low": 0.0, "high": 0.004},
}


def decide(nll_shift: float = 0.0, same: bool = False, stopped: str | None = None, **shifts: float) -> Any:
    after: Any = {
        name: {part: number + shifts.get(name, 0) for part, number in figure.items()} for name, figure in BEFORE.items()
    }
    noise = np.random.default_rng(1).normal(0, 0.3, 200)
    nll = Ratio(HARD, TOKENS), Ratio(HARD + nll_shift * TOKENS + noise, TOKENS)
    return select(compare(BEFORE, after, nll, SAMPLING), same=same, stopped=stopped)


def test_no_difference_lets_the_adversarial_model_go_on() -> None:
    chosen = decide()
    assert chosen["selected"] == "finetuned"
    assert "cannot be told apart" in chosen["reason"]
    assert [each["metric"] for each in chosen["comparisons"]] == list(CRITERIA)
    assert not any(each["worse"] for each in chosen["comparisons"])


@pytest.mark.parametrize(
    ("name", "shift"), [("bleu_4", -0.05), ("self_bleu_4", 0.05), ("unique", -0.05), ("copy_rate", 0.05)]
)
def test_worse_on_one_criterion_is_enough(name: str, shift: float) -> None:
    chosen = decide(**{name: shift})
    assert chosen["selected"] == "pretrained"
    assert [each["metric"] for each in chosen["comparisons"] if each["worse"]] == [name]
    assert CRITERIA[name].label in chosen["reason"]
    assert CRITERIA[name].meaning in chosen["reason"]


@pytest.mark.parametrize(
    ("name", "shift"), [("bleu_4", 0.05), ("self_bleu_4", -0.05), ("unique", 0.05), ("copy_rate", -0.05)]
)
def test_better_is_never_worse(name: str, shift: float) -> None:
    chosen = decide(**{name: shift})
    assert chosen["selected"] == "finetuned"
    assert "better on" in chosen["reason"]


def test_a_small_loss_of_likelihood_is_seen_because_texts_are_paired() -> None:
    assert decide(nll_shift=0.01)["selected"] == "pretrained"
    assert decide(nll_shift=-0.01)["selected"] == "finetuned"


def test_what_improved_is_named_beside_what_did_not() -> None:
    reason = decide(bleu_4=0.05, self_bleu_4=0.05)["reason"]
    assert "self-BLEU-4" in reason
    assert "improved BLEU-4 (0.300 → 0.350" in reason


def test_claims_are_corrected_for_being_several_and_vetoes_are_not() -> None:
    """.0161 is 2.2 standard errors: p = .026 by itself, .13 among five."""
    better, worse = decide(bleu_4=0.0161), decide(bleu_4=-0.0161)
    assert better["selected"] == "finetuned"
    assert "cannot be told apart" in better["reason"]
    assert worse["selected"] == "pretrained"
    assert better["comparisons"][1]["p"] == pytest.approx(worse["comparisons"][1]["p"])
    assert better["comparisons"][1]["p_holm"] > 0.05 > better["comparisons"][1]["p"]


def test_a_small_difference_is_written_with_the_digits_that_show_its_sign() -> None:
    reason = decide(nll_shift=-0.004)["reason"]
    assert "better on held-out NLL" in reason
    assert "−0.000 " not in reason
    assert "−0.000)" not in reason


def test_equal_weights_and_the_guard_are_said() -> None:
    chosen = decide(same=True, stopped="texts repeat one another (unique 0.5, at first 1)")
    assert chosen["selected"] == "pretrained"
    assert "the weights it began with" in chosen["reason"]
    assert "texts repeat one another" in chosen["reason"]
    assert "collapse guard" in decide(stopped="few words are left")["reason"]


def test_the_criteria_are_measured_whatever_the_protocol_reports() -> None:
    for name in protocol.names():
        metrics = criteria_protocol(protocol.load(name)).metrics
        assert set(metrics) == {"bleu", "self_bleu", "unique", "copy_rate"}
    assert criteria_protocol(protocol.load("gdflow")).metrics["self_bleu"].model_dump()["size"] == 2000
