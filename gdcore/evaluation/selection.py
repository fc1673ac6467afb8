"""Which of a run's two models goes on: the adversarial one only if nothing says that it is worse.

Decided on the validation split; the test split is for reporting. A criterion speaks against the adversarial model when
the whole 95 % interval of its difference lies on the worse side. These vetoes are not corrected for being five: a model
that is no worse at all then fails one by chance in about one run of eight, and the simpler model goes on, which costs
little; a correction would let through models that did get worse. What is called better is a claim, and is corrected
(Holm).
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from typing_extensions import TypedDict

from gdcore.evaluation.comparison import contrast
from gdcore.evaluation.intervals import Figure, Ratio, Sampling, figure
from gdcore.evaluation.protocol import Protocol
from gdcore.evaluation.significance import LEVEL, holm
from gdcore.metrics import bleu, copy_rate, self_bleu, unique
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
    """Finetuned − pretrained."""
    test: str
    p: float
    p_holm: float
    """Corrected for the number of criteria."""
    worse: bool
    """The whole interval of the difference lies on the worse side: a veto."""
    better: bool
    """It lies on the better side, and not because there are several criteria."""


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
    before = {**pretrained, "nll": figure(nll[0], sampling)}
    after = {**finetuned, "nll": figure(nll[1], sampling)}
    contrasts = [
        contrast(
            metric,
            before[metric],
            after[metric],
            better="lower" if criterion.worse == "higher" else "higher",
            paired=nll if metric == "nll" else None,
            sampling=sampling,
        )
        for metric, criterion in CRITERIA.items()
    ]
    corrected = holm([each["p"] for each in contrasts])
    return [
        {
            "metric": each["metric"],
            "pretrained": each["a"],
            "finetuned": each["b"],
            "difference": each["difference"],
            "test": each["test"],
            "p": each["p"],
            "p_holm": p_holm,
            "worse": each["gain"]["high"] < 0,
            "better": each["gain"]["value"] > 0 and p_holm < LEVEL,
        }
        for each, p_holm in zip(contrasts, corrected, strict=True)
    ]


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
    better = [each for each in comparisons if each["better"]]
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


def _words(comparison: Comparison) -> str:
    """With as many digits as it takes to see on which side of zero the difference lies."""
    criterion, change = CRITERIA[comparison["metric"]], comparison["difference"]
    limits = change["low"], change["high"]
    digits = next((n for n in range(criterion.digits, 8) if all(float(f"{x:.{n}f}") or x == 0 for x in limits)), 8)
    before, after = (f"{comparison[model]['value']:.{digits}f}" for model in ("pretrained", "finetuned"))
    low, high = signed(change["low"], digits), signed(change["high"], digits)
    return f"{criterion.label} ({before} → {after}; difference between {low} and {high})"
