"""What callers may ask of a bundle: numbers within their bounds, or a ValueError that says which."""

import math
from typing import Any, NamedTuple, cast

import numpy as np


class Manner(NamedTuple):
    """How one text's tokens are drawn (`gdcore.decoding.Decoding` says what each number means)."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0


def manner(temperature: Any, top_k: Any, top_p: Any, min_p: Any) -> Manner:
    """The numbers, checked. Raises ValueError for one that is out of its bounds."""
    if not 0 <= number("temperature", temperature) < math.inf:
        raise ValueError(f"temperature must be 0 (the likeliest token) or more, not {temperature!r}")
    if not 0 < number("top_p", top_p) <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1 (off), not {top_p!r}")
    if not 0 <= number("min_p", min_p) <= 1:
        raise ValueError(f"min_p must be 0 (off) or more and at most 1, not {min_p!r}")
    return Manner(float(temperature), whole("top_k", top_k, 0), float(top_p), float(min_p))


def number(name: str, value: Any) -> float:
    """A number. Raises ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, float | int | np.floating | np.integer):
        raise ValueError(f"{name} must be a number, not {value!r}")
    return float(cast(float, value))


def whole(name: str, value: Any, least: int | None = None) -> int:
    """A whole number, at least `least`. Raises ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or (least is not None and value < least):
        bound = "" if least is None else f", at least {least}"
        raise ValueError(f"{name} must be a whole number{bound}, not {value!r}")
    return int(cast(int, value))
