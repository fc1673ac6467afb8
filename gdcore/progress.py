"""What a long-running function yields while it works; the caller decides how to show it."""

from typing import NamedTuple


class Progress(NamedTuple):
    """How far a stage has come.

    `done` and `total` count the same unit (bytes, texts, steps); `total` is None while unknown. `note` is a few words
    for a person: what is being done, or the latest figures.
    """

    done: int
    total: int | None
    note: str = ""
