"""A full disk, as libraries tell of it: each in its own way, or not at all."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from gdcore.durable import NEARLY_NOTHING, room
from gdcore.errors import UserError


def fails(error: Exception, cause: Exception | None = None) -> None:
    raise error from cause


@pytest.mark.parametrize(
    ("error", "cause", "free"),
    [
        (OSError(errno.ENOSPC, "write"), None, 10**9),
        (OSError(errno.EDQUOT, "write"), None, 10**9),
        (RuntimeError("export failed"), OSError(errno.ENOSPC, "write"), 10**9),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), None, 10**9),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), None, 0),
        (OSError("1000000 requested and 153568 written"), None, NEARLY_NOTHING - 1),
    ],
    ids=["errno", "quota", "cause", "safetensors", "torch", "numpy"],
)
def test_want_of_room_is_told(
    error: Exception, cause: Exception | None, free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, free))
    told = f"no space is left for pretraining in {tmp_path}.*gdflow store"
    with pytest.raises(UserError, match=told), room("pretraining", tmp_path):
        fails(error, cause)


@pytest.mark.parametrize("error", [UserError("no such key"), OSError(errno.EACCES, os.strerror(errno.EACCES))])
def test_other_errors_stay_what_they_are(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 0 if isinstance(error, UserError) else NEARLY_NOTHING
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, free))
    with pytest.raises(type(error)) as caught, room("pretraining", tmp_path):
        fails(error)
    assert caught.value is error
