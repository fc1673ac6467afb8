"""The one way a part of gdflow is configured: a frozen value that refuses what it does not know."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of every configuration: immutable, strict about keys, its field docstrings shown in forms and `--help`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
