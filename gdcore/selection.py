"""Which of a run's two models goes on: the adversarial one only if nothing says that it is worse.

Decided on the validation split; the test split is for reporting. A criterion speaks against the adversarial model when
the whole 95 % interval of its difference lies on the worse side. With five criteria a model that is no worse at all
fails one by chance in about one run of eight: the doubt goes to the simpler model.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from typing_extensions import TypedDict

from gdcore.intervals import Figure, Ratio, Sampling, difference, figure, paired_difference
from gdcore.metrics import bleu, copy_rate, self_bleu, unique
from gdcore.protocol import Protocol
from gdcore.report.wording import signed

Model = Literal["pretrained", "finetuned"]


class Criterion(NamedTuple):
    """What a figure is called, which way is worse, and what it means that it got worse."""

    label: str
    worse: Literal["higher", "lower"]
    meaning: str
    digits: int = 3


CRITERIA = {
    "nll": Criterion("held-out NLL", "higher", "real text became less likely"),
    "bleu_4": Criterion("BLEU-4", "lower", "its wording occurs less in real text"),
    "self_bleu_4": Criterion("self-BLEU-4", "higher", "its texts resemble one another more"),
    "unique": Criterion("unique texts", "lower", "it repeats itself word for word more often"),
    "copy_rate": Criterion("copy rate", "higher", "it copies its training text more often", 4),
}


class Comparison(TypedDict):
    """One criterion, measured on both models."""

    metric: str
    pretrained: Figure
    finetuned: Figure
    difference: Figure
    worse: bool


class Selection(TypedDict):
    """Which model goes on, and why."""

    selected: Model
    reason: str
    comparisons: list[Comparison]


def criteria_protocol(protocol: Protocol) -> Protocol:
    """The protocol with the selection's metrics instead of its own, at its sizes where it has them."""
    known = protocol.metrics
    metrics = {
        "bleu": bleu.Config(orders=(4,)),
        "self_bleu": self_bleu.Config(orders=(4,), size=getattr(known.get("self_bleu"), "size", None)),
        "unique": known.get("unique", unique.Config()),
        "copy_rate": copy_rate.Config(),
    }
    return protocol.model_copy(update={"metrics": metrics})


def compare(
    pretrained: Mapping[str, Figure],
    finetuned: Mapping[str, Figure],
    nll: tuple[Ratio, Ratio],
    sampling: Sampling,
) -> list[Comparison]:
    """Every criterion; `nll` of both on the same held-out texts is paired text by text, samples are independent."""
    comparisons: list[Comparison] = []
    for metric, criterion in CRITERIA.items():
        if metric == "nll":
            before, after = figure(nll[0], sampling), figure(nll[1], sampling)
            change = paired_difference(*nll, sampling)
        else:
            before, after = pretrained[metric], finetuned[metric]
            change = difference(before, after)
        worse = change["low"] > 0 if criterion.worse == "higher" else change["high"] < 0
        comparisons.append(
            {"metric": metric, "pretrained": before, "finetuned": after, "difference": change, "worse": worse}
        )
    return comparisons


def select(comparisons: list[Comparison], *, same: bool, stopped: str | None) -> Selection:
    """Decide. `same`: both checkpoints hold the same weights. `stopped`: why the collapse guard ended fine-tuning."""
    guard = f" The collapse guard stopped adversarial training ({stopped})." if stopped else ""
    if same:
        why = (
            f"{guard} Adversarial training ended with the weights it began with, so there is nothing to choose "
            "between: the pretrained model goes on."
        )
        return {"selected": "pretrained", "reason": why.strip(), "comparisons": comparisons}
    if guard:
        guard += " What is compared here are the best weights before that."
    against = [each for each in comparisons if each["worse"]]
    better = [each for each in comparisons if not each["worse"] and _clear(each)]
    if against:
        why = "The pretrained model goes on: adversarial training made it worse, beyond the 95 % interval, on "
        why += "; ".join(f"{_words(each)}, so {CRITERIA[each['metric']].meaning}" for each in against) + "."
        if better:
            why += f" It improved {'; '.join(map(_words, better))}, which does not make up for that."
        return {"selected": "pretrained", "reason": why + guard, "comparisons": comparisons}
    why = "The adversarial model goes on: on none of the five criteria is it worse beyond the 95 % interval."
    if better:
        why += f" It is better on {'; '.join(map(_words, better))}."
    else:
        why += " Nor is it clearly better on any: at this number of texts the two cannot be told apart."
    return {"selected": "finetuned", "reason": why + guard, "comparisons": comparisons}


def _clear(comparison: Comparison) -> bool:
    """Whether zero lies outside the difference's interval."""
    return comparison["difference"]["low"] > 0 or comparison["difference"]["high"] < 0


def _words(comparison: Comparison) -> str:
    criterion, change = CRITERIA[comparison["metric"]], comparison["difference"]
    digits = criterion.digits
    before, after = (f"{comparison[model]['value']:.{digits}f}" for model in ("pretrained", "finetuned"))
    low, high = signed(change["low"], digits), signed(change["high"], digits)
    return f"{criterion.label} ({before} → {after}; difference between {low} and {high})"
