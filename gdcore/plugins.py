"""Find a plug-in by its file name: the folder is the registry.

>>> load("objectives", "gad").Objective
"""

from functools import reduce
from importlib import import_module
from operator import or_
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import Field

from gdcore.errors import UserError

HERE = Path(__file__).parent


def names(kind: str) -> list[str]:
    """The plug-ins of a folder of gdcore (`generators`, `objectives`, `metrics`, `encoders` …), sorted."""
    return sorted(path.stem for path in (HERE / kind).glob("[a-z]*.py"))


def load(kind: str, name: str) -> ModuleType:
    """Import one plug-in. Raises UserError, naming those there are, when there is none of that name."""
    if name not in names(kind):
        raise UserError(f"no {kind.removesuffix('s')} named {name!r}; there are {', '.join(names(kind))}")
    return import_module(f"gdcore.{kind}.{name}")


def union(kind: str) -> Any:
    """The type «one of this folder's Configs», told apart by their `name`; a field of this type makes a typed form."""
    configs = [load(kind, name).Config for name in names(kind)]
    return Annotated[reduce(or_, configs), Field(discriminator="name")] if len(configs) > 1 else configs[0]
