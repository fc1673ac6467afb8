"""`manifest.json` of a bundle: what the bundle is and which bytes it is made of.

It is written last; a bundle is used only if every file it lists is there and as it was.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gdcore.errors import UserError

SCHEMA_VERSION = 2
"""2: `generate.onnx` takes `min_p`."""
READABLE = (1, 2)
NAME = "manifest.json"


def write_manifest(bundle: Path, contents: Mapping[str, Any]) -> None:
    """Describe the files that lie in the folder, besides what `contents` says; the same bytes for the same bundle."""
    files = {
        path.name: {"sha256": _digest(path), "size": path.stat().st_size}
        for path in sorted(bundle.iterdir())
        if path.name != NAME
    }
    text = json.dumps({"schema_version": SCHEMA_VERSION, **contents, "files": files}, ensure_ascii=False, indent=2)
    (bundle / NAME).write_text(text + "\n", "utf-8")


def read_manifest(bundle: Path) -> dict[str, Any]:
    """The manifest of a bundle whose files are all as they were written. Raises UserError, naming the file, if not."""
    path = bundle / NAME
    if not path.is_file():
        raise UserError(
            f"{bundle} is no bundle: it has no {NAME}. Give the `bundle` folder that a run ends with, "
            "for example runs/latest/bundle."
        )
    try:
        manifest = json.loads(path.read_text("utf-8"))
        version, files = manifest["schema_version"], dict[str, dict[str, Any]](manifest["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error!r}): export the bundle again, or copy it anew.") from None
    if version not in READABLE:
        raise UserError(
            f"{path} has schema version {version}; this version of gdflow reads {' and '.join(map(str, READABLE))}. "
            "Use the version of gdflow that the bundle was exported with, or export it again."
        )
    for name, expected in files.items():
        if complaint := _complaint(bundle / name, expected):
            raise UserError(f"{bundle / name} {complaint}: the bundle is damaged. Export it again, or copy it anew.")
    return manifest


def _complaint(path: Path, expected: Mapping[str, Any]) -> str | None:
    """What is wrong with a file, or None."""
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != expected["size"]:
        return f"has {path.stat().st_size} bytes where the manifest says {expected['size']}"
    if _digest(path) != expected["sha256"]:
        return "is not what the manifest describes (its sha256 differs)"
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
