"""Whether a challenger replaces the champion: better on one criterion, beyond the interval, and within hard limits.

Here is the rule alone; `gdcore.release.contest` measures what it looks at.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypedDict

from pydantic import Field, field_validator

from gdcore.errors import UserError
from gdcore.evaluation import protocol as protocols
from gdcore.evaluation.intervals import Figure
from gdcore.metrics import copy_rate, unique
from gdcore.release.champion import DEFAULT, NAME
from gdcore.report.wording import signed
from gdcore.settings import Settings


class Criterion(NamedTuple):
    """What decides between two models: its name for people, which way is better, and the metric that measures it."""

    label: str
    better: Literal["lower", "higher"]
    metric: str | None = None
    """The plug-in; None for what the bundles say of the held-out texts themselves."""
    digits: int = 4


CRITERIA = {
    "code_length": Criterion("code length in bits per byte", "lower"),
    "reverse_lm": Criterion("reverse LM score", "lower", "reverse_lm"),
    "c2st_auc": Criterion("AUC of a classifier against real text", "lower", "c2st"),
    "frechet": Criterion("Fréchet distance", "lower", "frechet"),
    "mauve": Criterion("MAUVE", "higher", "mauve"),
}


class Limits(Settings):
    """What no challenger may break, however good it is."""

    max_copy_excess: float = Field(default=0.1, ge=0, le=1)
    """Share of samples that stand word for word in the training text, beyond the share of real held-out texts that
    do."""
    min_unique: float = Field(default=0.5, ge=0, le=1)
    """Share of different texts among the samples."""
    max_bits_rise: float = Field(default=0.05, ge=0)
    """Bits per byte of held-out text by which it may lie above the champion where another criterion decides."""
    min_readable: float = Field(default=0.9, ge=0, le=1)
    """Share of the held-out texts that must fit into its context."""
    max_bytes: int | None = Field(default=None, ge=1)
    """Size of the bundle on disk."""
    max_size_ratio: float = Field(default=20.0, gt=0)
    """The same, as a multiple of the champion's."""
    max_latency_ms: float | None = Field(default=None, gt=0)
    """Milliseconds that 19 of 20 calls for one short text stay below, on the machine that judges."""
    max_latency_ratio: float = Field(default=10.0, gt=0)
    """Time of the middle one of such calls, as a multiple of the champion's, measured in turns."""


class PromotionConfig(Settings):
    """When the exported model becomes the champion."""

    mode: Literal["automatic", "manual", "off"] = "automatic"
    """`automatic`: the rule decides at the end of a run; `manual`: it advises, and a person decides (`gdflow release`);
    `off`: the run ends with the bundle."""
    name: str = DEFAULT
    """Which champion is challenged; give each pipeline of a store its own name."""
    criterion: str = "code_length"
    """What must be better, beyond the interval: code_length (of held-out text; fair to different tokenisers, see
    `gdcore/release/code_length.py`), or a metric of samples that the protocol measures."""
    protocol: str = "gdflow"
    """How samples are judged."""
    num_texts: int = Field(default=2000, ge=2)
    """Held-out texts that both models are held to; of more, so many are drawn."""
    num_samples: int = Field(default=1000, ge=2)
    """Texts drawn from each bundle, with the same seeds; with prompts, no more than there are held-out prompts."""
    timed_calls: int = Field(default=30, ge=5)
    """Calls of each bundle, in turns, behind the latency."""
    limits: Limits = Limits()
    """What no challenger may break."""

    @field_validator("mode", mode="before")
    @classmethod
    def _yaml_off(cls, mode: object) -> object:
        """A bare `off` is false in YAML, in a preset and after `--set`."""
        return "off" if mode is False else mode

    @field_validator("name")
    @classmethod
    def _nameable(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError("expected up to 40 of a to z, 0 to 9, - and _, beginning with a letter or digit")
        return name

    @field_validator("criterion")
    @classmethod
    def _known(cls, criterion: str) -> str:
        if criterion not in CRITERIA:
            raise ValueError(f"there are {', '.join(CRITERIA)}")
        return criterion

    @field_validator("protocol")
    @classmethod
    def _named(cls, protocol: str) -> str:
        protocols.load(protocol)
        return protocol


def judging(config: PromotionConfig) -> protocols.Protocol:
    """The named protocol with what is needed of its metrics; those it lacks, with their own defaults.

    Raises UserError for a criterion that it does not measure.
    """
    named = protocols.load(config.protocol)
    wanted = ["unique", "copy_rate", *filter(None, [CRITERIA[config.criterion].metric])]
    defaults = {"unique": unique.Config(), "copy_rate": copy_rate.Config()}
    metrics = {name: named.metrics.get(name, defaults.get(name)) for name in wanted}
    if missing := [name for name, settings in metrics.items() if settings is None]:
        raise UserError(
            f"promotion.criterion is {config.criterion}, which the protocol {named.name} does not measure "
            f"({', '.join(missing)}). Choose another protocol, or code_length."
        )
    return named.model_copy(update={"metrics": metrics})


class Limit(TypedDict):
    """A hard limit and what was measured."""

    name: str
    label: str
    value: float
    bound: Literal["at most", "at least"]
    limit: float
    passed: bool
    champion: float | None
    """The champion's own value, to compare with."""


class Contest(TypedDict):
    """The criterion on both sides."""

    criterion: str
    label: str
    better: Literal["lower", "higher"]
    challenger: Figure
    champion: Figure | None
    difference: Figure | None
    """Challenger − champion; for code lengths paired text by text."""


class Verdict(TypedDict):
    """What the rule says."""

    promote: bool
    reason: str


def verdict(contest: Contest, limits: Sequence[Limit]) -> Verdict:
    """The rule: all limits hold, and there is no champion or the whole interval of the difference is on its side."""
    broken = [each for each in limits if not each["passed"]]
    if broken:
        faults = "; ".join(
            f"{each['label']} is {each['value']:.4g}, allowed {each['bound']} {each['limit']:.4g}" for each in broken
        )
        return {"promote": False, "reason": f"It breaks a hard limit: {faults}."}
    change = contest["difference"]
    if change is None:
        return {"promote": True, "reason": "There is no champion to compare it with, and every hard limit holds."}
    if improvement(contest) > 0:
        reason = f"It beats the champion beyond the 95 % interval: {_words(contest)}. Every hard limit holds."
        return {"promote": True, "reason": reason}
    worse = change["low"] > 0 if contest["better"] == "lower" else change["high"] < 0
    how = "It is worse than the champion" if worse else "It cannot be told from the champion at this number of texts"
    return {"promote": False, "reason": f"{how}: {_words(contest)}."}


def improvement(contest: Contest) -> float:
    """By how much the challenger is better at least, within the interval; above 0: it wins."""
    change = contest["difference"]
    assert change
    return -change["high"] if contest["better"] == "lower" else change["low"]


def _words(contest: Contest) -> str:
    champion, change = contest["champion"], contest["difference"]
    assert champion
    assert change
    digits = CRITERIA[contest["criterion"]].digits
    before, after = (f"{each['value']:.{digits}f}" for each in (champion, contest["challenger"]))
    low, high = (signed(change[side], digits) for side in ("low", "high"))
    better = f"{contest['better']} is better"
    return f"{contest['label']} {before} → {after} ({better}; difference between {low} and {high})"
