"""The store: what has been built, addressed by the recipe that built it.

    <root>/<kind>/<recipe16>/        …files… manifest.json      published: complete, never written again
    <root>/.drafts/<name>-<random>/  being built                renamed into place, or swept away
    <root>/.work/<name>/             step checkpoints           survive a kill, removed after publishing
    <root>/.locks/<name>             held while one process finds or builds this recipe
    <root>/.damaged/<name>-<random>/ found altered              kept for a person to look at

`manifest.json` is written last and the folder appears by one rename, so a published artifact is whole or absent.
Locks are flock(2): the kernel frees them when their process dies, however it dies.
"""

import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from gdcore.durable import synced
from gdcore.errors import UserError
from gdcore.settings import Settings

SCHEMA = 1
log = logging.getLogger(__name__)


class Ref(Settings):
    """What travels between stages: a pointer to a published directory, a few bytes long."""

    kind: str
    """The stage that made it; the folder it lies in."""
    recipe: str
    """Digest of everything that made it: its address."""
    content: str
    """Digest of its files: what the recipes of later stages are made of."""

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.recipe[:16]}"


class File(Settings):
    """One file of an artifact as it was published."""

    size: int
    mtime_ns: int
    sha256: str


class Manifest(Settings):
    """`manifest.json`: what is in an artifact and what made it."""

    schema_version: int
    kind: str
    recipe: str
    content: str
    files: dict[str, File]
    created: float
    about: dict[str, Any]

    @property
    def ref(self) -> Ref:
        return Ref(kind=self.kind, recipe=self.recipe, content=self.content)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files.values())


def recipe(stage: str, config: Any, inputs: Mapping[str, Any], sources: str) -> str:
    """The address of what a stage would make: sha256 of the canonical JSON of all that decides its result.

    `config` and `inputs` are JSON-able, the inputs content digests by name; `sources` is the code's (`gdcore.sources`).
    """
    return digest({"stage": stage, "config": config, "inputs": dict(inputs), "sources": sources})


def digest(value: Any) -> str:
    """sha256 of a value's canonical JSON (sorted keys, no spaces, NaN refused)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    """A directory of artifacts shared by any number of processes on one machine."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()

    def path(self, ref: Ref) -> Path:
        return self._folder(ref.kind, ref.recipe)

    def find(self, kind: str, recipe: str) -> Ref | None:
        """The artifact of this recipe, or None. One whose files were altered is moved aside: call it under the lock.

        A file is trusted when its size and modification time are as published, else it is hashed: a truncated,
        overwritten or missing file is found at the price of a `stat` each, a copied store stays valid.
        """
        folder = self._folder(kind, recipe)
        if not folder.exists():
            return None
        complaint = _complaint(folder, kind, recipe, thorough=False)
        if complaint is None:
            return _manifest(folder).ref
        log.warning("%s is damaged (%s): moved aside, to be built again", f"{kind}/{recipe[:16]}", complaint)
        os.rename(folder, _fresh(self.root / ".damaged", _name(kind, recipe)))
        return None

    def verify(self, ref: Ref) -> str | None:
        """What is wrong with an artifact, every byte hashed; None when nothing is."""
        return _complaint(self.path(ref), ref.kind, ref.recipe, thorough=True)

    def manifest(self, ref: Ref) -> Manifest:
        return _manifest(self.path(ref))

    def all(self) -> list[Manifest]:
        """The manifests of what is published, oldest first; what cannot be read is left to `complaints`."""
        manifests = [_readable(path) for path in self.root.glob("[!.]*/*/manifest.json")]
        return sorted((each for each in manifests if each), key=lambda manifest: manifest.created)

    def complaints(self) -> dict[str, str]:
        """What is wrong in the whole store, by artifact name, every byte hashed; empty when nothing is."""
        checked = {
            f"{folder.parent.name}/{folder.name}": _complaint(folder, folder.parent.name, folder.name, thorough=True)
            for folder in sorted(self.root.glob("[!.]*/*/"))
        }
        return {name: complaint for name, complaint in checked.items() if complaint}

    @contextmanager
    def lock(self, kind: str, recipe: str) -> Iterator[None]:
        """Hold this recipe's lock, waiting for whoever has it. Find, draft, publish and work happen inside."""
        path = _made(self.root / ".locks") / _name(kind, recipe)
        with path.open("a+") as file:
            if not _locked(file, wait=False):
                file.seek(0)
                log.info("waiting for process %s, which is building %s", file.read() or "?", _name(kind, recipe))
                _locked(file, wait=True)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def work(self, kind: str, recipe: str) -> Path:
        """The directory of this recipe's step checkpoints; it outlives the process, not the artifact's completion."""
        return _made(self.root / ".work" / _name(kind, recipe))

    @contextmanager
    def draft(self, kind: str, recipe: str) -> Iterator[Path]:
        """A fresh directory to build in, gone afterwards unless published."""
        draft = _fresh(self.root / ".drafts", _name(kind, recipe))
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def publish(self, draft: Path, kind: str, recipe: str, about: Mapping[str, Any] | None = None) -> Ref:
        """Make a draft the artifact of its recipe, durably and in one step; `about` goes into the manifest.

        When a rival published the same recipe meanwhile, the rival's artifact stands.
        """
        paths = sorted(path for path in draft.rglob("*") if not path.is_dir())
        links = [path for path in paths if path.is_symlink() or not path.is_file()]
        assert not links, f"an artifact holds plain files only, not {links[0]}"
        files = {path.relative_to(draft).as_posix(): _published(path) for path in paths}
        manifest = Manifest(
            schema_version=SCHEMA,
            kind=kind,
            recipe=recipe,
            content=digest({name: file.sha256 for name, file in files.items()}),
            files=files,
            created=time.time(),
            about=dict(about or {}),
        )
        (draft / "manifest.json").write_text(manifest.model_dump_json(indent=1))
        return self._placed(draft, manifest, recipe)

    def adopt(self, draft: Path, kind: str, recipe: str) -> Ref | None:
        """Make a draft that was copied from another store, manifest and all, the artifact of its recipe.

        None, and a warning, unless every byte is as its manifest says.
        """
        if complaint := _complaint(draft, kind, recipe, thorough=True):
            log.warning("a copy of %s is not what it should be (%s): left aside", _name(kind, recipe), complaint)
            return None
        manifest = _manifest(draft)
        for name, file in manifest.files.items():
            synced(draft / name)
            os.utime(draft / name, ns=(file.mtime_ns, file.mtime_ns))  # else it would be hashed at every look
        return self._placed(draft, manifest, recipe)

    def _placed(self, draft: Path, manifest: Manifest, recipe: str) -> Ref:
        """Rename a whole draft into its place, durably; where a rival was quicker, the rival's stands."""
        kind = manifest.kind
        synced(draft / "manifest.json")
        for folder in {(draft / name).parent for name in manifest.files} | {draft}:
            synced(folder)
        final = self._folder(kind, recipe)
        _made(final.parent)
        try:
            os.rename(draft, final)
        except OSError:
            if (rival := self.find(kind, recipe)) is None:
                raise
            return rival
        synced(final.parent)
        shutil.rmtree(self.root / ".work" / _name(kind, recipe), ignore_errors=True)
        return manifest.ref

    def forget(self, folder: Path) -> bool:
        """Remove a folder of this store in one step as seen by others; False where somebody holds its recipe's lock."""
        name = folder.name if folder.parent.name.startswith(".") else _name(folder.parent.name, folder.name)
        with (_made(self.root / ".locks") / name).open("a+") as lock:
            if not _locked(lock, wait=False):
                return False
            doomed = _made(self.root / ".drafts") / f"{name}-{secrets.token_hex(4)}"
            try:
                os.rename(folder, doomed)
            except FileNotFoundError:  # another process was quicker
                return False
            shutil.rmtree(doomed, ignore_errors=True)
            return True

    def sweep(self) -> None:
        """Remove what dead processes left: drafts whose recipe nobody has locked, checkpoints of what is published."""
        published = [path for path in self.root.glob(".work/*") if self.root.joinpath(*_parts(path.name)).exists()]
        for path in [*self.root.glob(".drafts/*"), *published]:
            name = path.name if path in published else path.name.rpartition("-")[0]
            with (_made(self.root / ".locks") / name).open("a+") as lock:
                if _locked(lock, wait=False):
                    shutil.rmtree(path, ignore_errors=True)

    def _folder(self, kind: str, recipe: str) -> Path:
        assert kind.isidentifier(), kind
        return self.root / kind / recipe[:16]


def _name(kind: str, recipe: str) -> str:
    return f"{kind}-{recipe[:16]}"


def _parts(name: str) -> tuple[str, str]:
    """The kind and the recipe's beginning that a name was made of."""
    kind, _, recipe = name.rpartition("-")
    return kind, recipe


def _manifest(folder: Path) -> Manifest:
    return Manifest.model_validate_json((folder / "manifest.json").read_bytes())


def _readable(path: Path) -> Manifest | None:
    try:
        return _manifest(path.parent)
    except (OSError, ValidationError):
        return None


def _complaint(folder: Path, kind: str, recipe: str, *, thorough: bool) -> str | None:
    """Why this folder is not the artifact it should be, in words; None when it is."""
    try:
        manifest = _manifest(folder)
    except FileNotFoundError:
        return "no manifest.json"
    except ValidationError as error:
        return f"manifest.json cannot be read: {error.errors()[0]['msg']}"
    if manifest.schema_version != SCHEMA:
        return f"manifest.json has schema {manifest.schema_version}, this version of gdflow reads {SCHEMA}"
    if manifest.kind != kind or not manifest.recipe.startswith(recipe):
        return "manifest.json describes another artifact"
    if manifest.content != digest({name: file.sha256 for name, file in manifest.files.items()}):
        return "manifest.json contradicts itself"
    for name, file in manifest.files.items():
        if escapes(name):
            return f"manifest.json points outside: {name}"
        try:
            stat = (folder / name).stat()
        except OSError:
            return f"{name} is missing"
        if stat.st_size != file.size:
            return f"{name} has {stat.st_size} bytes instead of {file.size}"
        if (thorough or stat.st_mtime_ns != file.mtime_ns) and file_digest(folder / name) != file.sha256:
            return f"{name} has other bytes than were published"
    return None


def escapes(name: str) -> bool:
    """Whether a file's name in a manifest leads out of the artifact's folder."""
    return PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts


def _published(path: Path) -> File:
    synced(path)
    stat = path.stat()
    return File(size=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=file_digest(path))


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the store cannot be written: {folder}: {error.strerror}. Give gdflow a writable folder with --home."
        ) from error
    return folder


def _fresh(parent: Path, name: str) -> Path:
    """A new empty directory; unlike `mkdtemp` with the usual permissions, since it is published by a rename."""
    return _made(_made(parent) / f"{name}-{secrets.token_hex(4)}")


def _locked(file: Any, *, wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
