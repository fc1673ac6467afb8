"""`manifest.json` of a bundle: what the bundle is and which bytes it is made of.

It is written last; a bundle is used only if every file it lists is there and as it was. `manifest.json.sig`, where
there is one, signs it (`gdcore.signature`).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gdcore.errors import UserError

SCHEMA_VERSION = 2
"""2: `generate.onnx` takes `min_p`."""
READABLE = (1, 2)
NAME = "manifest.json"
SIGNATURE = "manifest.json.sig"
FIELDS: dict[str, type] = {"context": int, "vocab_size": int, "prompted": bool, "graphs": dict}
"""Without these a bundle cannot be used."""


class Complaint(NamedTuple):
    """What is wrong with one file of a bundle."""

    file: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}: expected {self.expected}, found {self.found}"


def write_manifest(bundle: Path, contents: Mapping[str, Any]) -> None:
    """Describe the files that lie in the folder, besides what `contents` says; the same bytes for the same bundle."""
    files = {
        path.name: {"sha256": _digest(path), "size": path.stat().st_size}
        for path in sorted(bundle.iterdir())
        if path.name not in (NAME, SIGNATURE)
    }
    text = json.dumps({"schema_version": SCHEMA_VERSION, **contents, "files": files}, ensure_ascii=False, indent=2)
    (bundle / NAME).write_text(text + "\n", "utf-8")


def read_manifest(bundle: Path) -> dict[str, Any]:
    """The manifest of a bundle whose files are all as they were written. Raises UserError, naming the file, if not.

    Raises it too for a folder that is described likewise and is there for other programs.

    Every byte is hashed, a gigabyte a second or so. Files that the manifest does not list are left alone: nobody opens
    them.
    """
    manifest = parse_manifest(bundle)
    if layout := manifest.get("layout"):
        raise UserError(
            f"{bundle} is a model in the layout {layout}, for other programs to open; expected the `bundle` folder "
            "that lies beside it"
        )
    for complaint in damage(bundle, manifest):
        raise UserError(
            f"{bundle / complaint.file} is damaged: expected {complaint.expected}, found {complaint.found}. "
            "Export the bundle again, or copy it anew."
        )
    return manifest


def parse_manifest(bundle: Path) -> dict[str, Any]:
    """The manifest alone, whatever became of the files it lists. Raises UserError for one that cannot be used."""
    path = bundle / NAME
    if not path.is_file():
        raise UserError(
            f"{bundle} is no bundle: it has no {NAME}. Give the `bundle` folder that a run ends with, "
            "for example runs/latest/bundle."
        )
    try:
        manifest = json.loads(path.read_text("utf-8"))
        version = manifest["schema_version"]
        files = {
            str(name): (str(expected["sha256"]), int(expected["size"])) for name, expected in manifest["files"].items()
        }
        for key, kind in {} if "layout" in manifest else FIELDS.items():
            if not isinstance(manifest[key], kind):
                raise TypeError(f"{key} is {manifest[key]!r}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error!r}): export the bundle again, or copy it anew.") from None
    if version not in READABLE:
        raise UserError(
            f"{path} has schema version {version}; this version of gdflow reads {' and '.join(map(str, READABLE))}. "
            "Use the version of gdflow that the bundle was exported with, or export it again."
        )
    if outside := [name for name in files if not _plain(name)]:
        raise UserError(
            f"{path} lists {outside[0]!r}; expected names of files in the bundle's own folder. Somebody changed it: "
            "do not use this bundle."
        )
    return manifest


def damage(bundle: Path, manifest: Mapping[str, Any]) -> Iterator[Complaint]:
    """What became of the files that a manifest lists: first those missing or of another size, then other bytes."""
    files: Mapping[str, Mapping[str, Any]] = manifest["files"]
    whole: list[str] = []
    for name, expected in files.items():
        path = bundle / name
        if not path.is_file():
            yield Complaint(name, f"{expected['size']} bytes", "no such file")
        elif (size := path.stat().st_size) != expected["size"]:
            yield Complaint(name, f"{expected['size']} bytes", f"{size} bytes")
        else:
            whole.append(name)
    for name in whole:
        if (digest := _digest(bundle / name)) != files[name]["sha256"]:
            yield Complaint(name, f"sha256 {files[name]['sha256']}", f"sha256 {digest}")


def strangers(bundle: Path, manifest: Mapping[str, Any]) -> Iterator[Complaint]:
    """What lies in the folder and is not in the manifest."""
    for path in sorted(bundle.iterdir()):
        if path.name not in (NAME, SIGNATURE, *manifest["files"]):
            yield Complaint(
                path.name, "nothing: the manifest does not list it", "a folder" if path.is_dir() else "a file"
            )


def _plain(name: str) -> bool:
    """Whether a name is that of a file in the folder itself, on any system."""
    return name not in ("", ".", "..", NAME, SIGNATURE) and not set(name) & set("/\\:\0")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
