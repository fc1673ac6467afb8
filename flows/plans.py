"""What a sweep runs: one preset, several systems that differ in a few settings, several seeds each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from flows.presets import preset_names, resolve
from gdcore.errors import UserError
from gdcore.explain import parsed
from gdcore.settings import Settings

FOLDER = Path(__file__).parent / "sweeps"


class Plan(Settings):
    """Systems × seeds."""

    about: str
    """What it is to show, in one sentence."""
    preset: str
    """What they all start from."""
    seeds: tuple[int, ...] = Field(min_length=1)
    """Each system is trained once with each; stages that two systems share are built once."""
    settings: Mapping[str, Any] = {}
    """What differs from the preset for all of them, by dotted key."""
    systems: Mapping[str, Mapping[str, Any]] = Field(min_length=1)
    """What differs from that for each, by dotted key."""

    def overrides(self, system: str) -> dict[str, Any]:
        """All of a system's settings; its own come last."""
        return {**self.settings, **self.systems[system]}


def plan_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_plan(name: str) -> Plan:
    """The plan of that name, or in that YAML file. Raises UserError where it, or one of its systems, is not valid."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"no sweep {name!r}; there are {', '.join(plan_names())}, or give a .yaml file") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {error}") from None
    plan = parsed(Plan, content, of=str(path))
    if plan.preset not in preset_names():
        raise UserError(f"{path}: no preset named {plan.preset!r}; there are {', '.join(preset_names())}")
    for system in plan.systems:
        try:
            resolve(plan.preset, plan.overrides(system))
        except UserError as error:
            raise UserError(f"{path}, system {system!r}: {error}") from error
    return plan
