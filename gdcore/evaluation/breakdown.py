"""Figures by label, where texts have one: a model may write one class well and another not at all.

All labels are measured at the same sizes, those of the smallest that is measured, so that they can be compared with one
another; with figures of the whole they cannot.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NotRequired

from typing_extensions import TypedDict

from gdcore.evaluation.intervals import Figure, Ratio, Sampling, figures
from gdcore.evaluation.judging import Judge
from gdcore.evaluation.protocol import Protocol
from gdcore.metrics import bleu, distinct, length, self_bleu, unique
from gdcore.settings import Settings

FEWEST = 50
"""Texts of a label below which its figures would be noise."""


class OfLabel(TypedDict):
    """The texts of one label."""

    label: str
    samples: int
    references: int
    note: NotRequired[str]
    """Why there are no figures."""
    metrics: dict[str, Figure]
    """At sizes that are the same for all labels."""


def by_label(
    samples: Sequence[str],
    labels: Sequence[str],
    references: Sequence[str],
    of_references: Sequence[str] | None,
    protocol: Protocol,
) -> list[OfLabel]:
    """Each label's samples against its own references, where those have labels too, else against all of them.

    Most frequent labels first. A label with fewer than `FEWEST` texts on either side is counted and not measured.
    """
    groups = {label: [text for text, its in zip(samples, labels, strict=True) if its == label] for label in labels}
    real: dict[str, Sequence[str]] = dict.fromkeys(groups, references)
    if of_references is not None:
        real = {
            label: [t for t, its in zip(references, of_references, strict=True) if its == label] for label in groups
        }
    written = {label: sum(map(bool, map(str.strip, texts))) for label, texts in real.items()}
    enough = {label for label, texts in groups.items() if min(len(texts), written[label]) >= FEWEST}
    small = _at_one_size(protocol, [groups[label] for label in enough])
    found: list[OfLabel] = []
    for label, number in Counter(labels).most_common():
        each: OfLabel = {"label": label, "samples": number, "references": written[label], "metrics": {}}
        if label in enough:
            each["metrics"] = Judge(real[label], None, small)(groups[label])["metrics"]
        else:
            each["note"] = f"fewer than {FEWEST} texts"
        found.append(each)
    return found


def nll_by_label(ratio: Ratio, labels: Sequence[str], sampling: Sampling) -> dict[str, Figure]:
    """A measurement of real texts, such as their NLL, label by label, most frequent first.

    `labels`: one a text of the ratio. Labels of fewer than `FEWEST` texts are left out.
    """
    rows: dict[str, list[int]] = {label: [] for label, number in Counter(labels).most_common() if number >= FEWEST}
    for row, label in enumerate(labels):
        if label in rows:
            rows[label].append(row)
    parts: Mapping[str, Ratio] = {
        label: Ratio(ratio.numerators_N[chosen], ratio.denominators_N[chosen]) for label, chosen in rows.items()
    }
    return figures(parts, sampling)


def _at_one_size(protocol: Protocol, groups: Sequence[Sequence[str]]) -> Protocol:
    """The protocol with few metrics, each at a size that every group has."""
    size = min(map(len, groups), default=FEWEST)
    # A fifth less than the poorest label's spaces promise: budgets count words, and few texts are below the average.
    budget = min((round(0.8 * sum(len(text.split()) for text in texts)) for texts in groups), default=1)
    metrics: dict[str, Settings] = {
        "bleu": bleu.Config(orders=(4,)),
        "self_bleu": self_bleu.Config(orders=(4,), size=size),
        "distinct": distinct.Config(orders=(2,), budget=max(1, budget)),
        "unique": unique.Config(size=size),
        "length": length.Config(),
    }
    if "lm_score" in protocol.metrics:
        metrics["lm_score"] = protocol.metrics["lm_score"]
    return protocol.model_copy(update={"metrics": metrics})
