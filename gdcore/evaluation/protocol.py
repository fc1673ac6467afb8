"""A protocol fixes everything that moves a figure besides the texts: counts, units, case, metrics and their settings.

Figures of different protocols must never be compared. The folder `protocols/` is the registry: one YAML file each. A
protocol of one's own is a YAML file too, which may say `like: gdflow` and then only what differs; a metric set to null
is left out.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator

from gdcore.artifacts import digest
from gdcore.errors import UserError
from gdcore.evaluation.intervals import Sampling
from gdcore.evaluation.words import Splitter
from gdcore.explain import parsed
from gdcore.plugins import load as load_plugin
from gdcore.settings import Settings

Draw = Literal["random", "first"]
FOLDER = Path(__file__).parents[1] / "protocols"


class Protocol(Settings):
    """How texts are judged; every figure carries its name."""

    name: str
    about: str
    """What it is, in one sentence."""
    samples: int | None = Field(ge=1)
    """Samples judged; of more, so many are drawn. None: all."""
    references: int | None = Field(ge=1)
    """Real texts that samples are held against; of more, so many are drawn. None: all."""
    draw: Draw = "random"
    """Which of too many samples or references are taken: any, or the first, as much published code does."""
    train: int = Field(default=20_000, ge=1)
    """Training texts that are looked through one by one, for near copies; of more, so many are drawn."""
    words: Literal["auto"] | Splitter
    """How text is cut into units; `auto` takes words, or characters for scripts written without spaces."""
    lowercase: bool
    """Whether case is ignored."""
    seed: int = Field(ge=0)
    """Fixes every draw of texts and of resamples."""
    resamples: int = Field(ge=100)
    """Bootstrap resamples behind the interval of a figure that is an average over texts."""
    subsamples: int = Field(ge=2)
    """Draws behind the interval of a figure that belongs to a set of texts."""
    metrics: Mapping[str, Settings]
    """Each metric's own settings, by name."""

    @field_validator("metrics", mode="before")
    @classmethod
    def _configured(cls, metrics: Mapping[str, Any]) -> dict[str, Settings]:
        return {name: load_plugin("metrics", name).Config.model_validate(config) for name, config in metrics.items()}

    @property
    def id(self) -> str:
        """Name and a digest of every setting: figures may be compared where it is the same."""
        settings = {**self.model_dump(mode="json", exclude={"about", "metrics"}), "metrics": self._settings}
        return f"{self.name}@{digest(settings)[:8]}"

    @property
    def _settings(self) -> dict[str, Any]:
        return {name: config.model_dump(mode="json") for name, config in self.metrics.items()}

    @property
    def modules(self) -> list[str]:
        """What its figures depend on besides the texts: its metrics, and the plug-ins that these load by name."""
        modules = [f"gdcore.metrics.{name}" for name in self.metrics]
        for kind in ("encoder", "classifier"):
            named = {getattr(config, kind) for config in self.metrics.values() if hasattr(config, kind)}
            modules += [f"gdcore.{kind}s.{name}" for name in sorted(named)]
        return modules

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.seed, self.resamples, self.subsamples)


def names() -> list[str]:
    """The protocols there are, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> Protocol:
    """The protocol of that name, or in that YAML file. Raises UserError for one that is not there or not valid."""
    return parsed(Protocol, {"name": Path(name).stem, **_content(name)}, of=f"protocol {name}")


def _content(name: str) -> dict[str, Any]:
    """The settings as written, laid on those of the protocol they are `like`."""
    own = name.endswith((".yaml", ".yml"))
    if not own and name not in names():
        raise UserError(f"no protocol named {name!r}; there are {', '.join(names())}, or give a .yaml file")
    path = Path(name) if own else FOLDER / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"protocol {name}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UserError(f"protocol {name} is not YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"protocol {name}: expected settings, key by key; see `like` in docs/metrics.md")
    told: dict[str, Any] = dict(content)
    if (like := told.pop("like", None)) not in (None, *names()):
        raise UserError(f"protocol {name}: like: no protocol named {like!r}; there are {', '.join(names())}")
    below = _content(like) if like else {}
    metrics = below.get("metrics", {}) | (told.get("metrics") or {})
    return below | told | {"metrics": {key: value for key, value in metrics.items() if value is not None}}
