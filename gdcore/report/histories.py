"""Training logs as charts: the same ones in the report and in Prefect's UI."""

from collections.abc import Iterable, Sequence
from typing import Any

from gdcore.report.svg import Point, Series, chart

Row = dict[str, Any]

Trace = tuple[str, str, str, bool]
"""A line of a chart: its name, colour, the log's key, and whether single readings are marked."""

CHARTS: dict[str, list[tuple[str, str, list[Trace]]]] = {
    "pretraining": [
        (
            "Pretraining",
            "NLL, nats per token",
            [("training", "mle", "generator_nll", False), ("held-out", "real", "valid_nll", True)],
        ),
    ],
    "finetuning": [
        ("Fine-tuning: held-out NLL", "nats per token", [("", "adv", "guard_valid_nll", True)]),
        (
            "Fine-tuning: the discriminator",
            "share it tells rightly",
            [("training", "adv", "discriminator_accuracy", False), ("held-out", "real", "guard_accuracy", True)],
        ),
        ("Fine-tuning: reward", "as the objective defines it", [("", "adv", "generator_reward", False)]),
        ("Collapse guard: unique texts", "share of texts", [("", "adv", "guard_unique", True)]),
        ("Collapse guard: entropy", "of the tokens, nats", [("", "adv", "guard_entropy", True)]),
        ("Collapse guard: vocabulary", "different tokens in use", [("", "adv", "guard_coverage", True)]),
    ],
    "classification": [
        ("Classifier: loss", "of a batch", [("", "mle", "classifier_loss", False)]),
        (
            "Classifier: accuracy",
            "share of texts",
            [("training", "mle", "classifier_accuracy", False), ("held-out", "real", "valid_accuracy", True)],
        ),
    ],
}
NUM_BINS = 160
"""Points of a training curve: steps in between are averaged."""


def draw(stage: str, lines: list[Row]) -> list[str]:
    """The charts of one stage's log, but for those of which it holds nothing."""
    charts = (_history(lines, *wanted) for wanted in CHARTS[stage])
    return [each for each in charts if each]


def _history(lines: list[Row], title: str, y_label: str, wanted: Sequence[Trace]) -> str:
    """Figures of a training log over its steps; "" where it holds none of them."""
    series = [
        Series(name, colour, [Point(*pair) for pair in _binned(lines, key)], marks)
        for name, colour, key, marks in wanted
    ]
    if not any(each.points for each in series):
        return ""
    return chart(series, title=title, x_label="step", y_label=y_label, width=460, height=290)


def _binned(lines: Iterable[Row], key: str) -> list[tuple[float, float]]:
    pairs = [(float(line["step"]), float(line[key])) for line in lines if line.get(key) is not None]
    width = max(1, -(-len(pairs) // NUM_BINS))
    bins = [pairs[i : i + width] for i in range(0, len(pairs), width)]
    return [(sum(x for x, _ in each) / len(each), sum(y for _, y in each) / len(each)) for each in bins]
