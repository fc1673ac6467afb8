"""Presets: YAML files that state only what differs from the typed defaults, and why."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from gdcore.errors import UserError

if TYPE_CHECKING:
    from gdcore.config import RunConfig

FOLDER = Path(__file__).parent


def preset_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_preset(name: str) -> dict[str, Any]:
    """What a preset says. Raises UserError, naming those there are, when there is none of that name."""
    if name not in preset_names():
        raise UserError(f"no preset named {name!r}; there are {', '.join(preset_names())}")
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8")) or {}


def resolve(preset: str, overrides: Mapping[str, Any]) -> "RunConfig":
    """The run that a preset and overrides describe; see `gdcore.config.resolve`."""
    from gdcore.config import resolve  # imports torch, which naming the presets need not

    return resolve(load_preset(preset), overrides)
