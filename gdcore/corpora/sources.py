"""From the names in a configuration to readable files and packages, and to what identifies their contents."""

from glob import glob
from hashlib import sha256
from os.path import commonpath
from pathlib import Path
from typing import Any, NamedTuple

from gdcore.corpora import docstrings, drawn, jsonl, text
from gdcore.corpora.config import CorpusConfig
from gdcore.errors import UserError

READERS = {module.SUFFIX: module for module in (text, jsonl)}

# Files that are something else under a text's name.
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PAR1": "parquet",
    b"%PDF": "PDF",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\x7fELF": "ELF",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
HEAD = 1 << 16
MAX_CONTROL = 0.05  # share of control bytes in the head of a file above which it is no text,
FEW_CONTROL = 16  # unless they are so few that they may be a small file's accidents
CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b")) + b"\x7f"


class Source(NamedTuple):
    """A file of the corpus: `name` is its path below the folder that all of them share, the same on any machine."""

    side: str
    name: str
    path: Path


def sources(config: CorpusConfig) -> list[Source]:
    """The user's files in reading order (test, valid, train where the split is given), each once per side.

    Raises UserError for one that is missing, empty, unreadable, binary or of another kind, and for a pattern that
    matches nothing.
    """
    files = {
        side: list(dict.fromkeys(path for pattern in patterns for path in _expand(pattern)))
        for side, patterns in config.sides.items()
    }
    paths = [path for paths in files.values() for path in paths]
    if not paths:
        return []
    root = commonpath([path.parent for path in paths])
    found = [Source(side, path.relative_to(root).as_posix(), path) for side in files for path in files[side]]
    if not any(path.suffix.lower() == jsonl.SUFFIX for path in paths):
        _refuse_columns(config)
    return found


def source_files(config: CorpusConfig) -> list[Path]:
    """The user's files, absolute, in reading order; none for documentation. Raises UserError as `sources` does."""
    defining = drawn.defining_file(config)
    return [source.path for source in sources(config)] + ([defining] if defining else [])


def source_versions(config: CorpusConfig) -> dict[str, str]:
    """Package → version for documentation (`stdlib` → Python's); empty for files. Raises UserError where missing."""
    return docstrings.versions(config.packages)


def identity(config: CorpusConfig) -> dict[str, Any]:
    """What the corpus depends on and nothing else: options, bytes of each file by side and name, package versions.

    Two machines, or two folders, that hold the same files give the same identity.
    """
    sources_of_text = {"paths", "train", "valid", "test", "docstrings"}
    options = config.model_dump(
        mode="json",
        exclude={**dict.fromkeys(sources_of_text, True), "oracle": {"parameters"}, "grammar": {"file"}},
    )
    files = [[source.side, source.name, _sha256(source.path)] for source in sources(config)]
    packages = [list(item) for item in source_versions(config).items()]  # their order decides which repetition stays
    return {"options": options, "files": files, "packages": packages, "drawn": drawn.digest(config)}


def _sha256(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _expand(pattern: str) -> list[Path]:
    """A file, folder or glob → files. What is named outright must be usable; a folder's other files are passed over."""
    path = Path(pattern).expanduser()
    kinds = " and ".join(READERS)
    if path.is_file():
        if path.suffix.lower() not in READERS:
            raise UserError(
                f"{path} is not a kind of file that can be read: expected {kinds}. "
                "Convert it, or rename it if it is one of these in all but name."
            )
        if not _size(path):
            raise UserError(f"{path} is empty: a corpus needs at least some lines of text. Give another file.")
        return [_checked(path)]
    if path.is_dir():
        found = sorted(inner for inner in path.rglob("*") if not _hidden(inner.relative_to(path)))
        where = f"The folder {path}"
    elif any(mark in pattern for mark in "*?["):
        found = sorted(Path(match) for match in glob(str(path), recursive=True))
        where = f"The pattern {pattern}"
    elif path.exists():
        raise UserError(f"{path} is neither a file nor a folder. Give a file ({kinds}), a folder or a glob.")
    else:
        raise UserError(f"{path} does not exist (looked in {Path.cwd()}). Give a file ({kinds}), a folder or a glob.")
    files = [path for path in found if path.is_file()]
    usable = [_checked(path) for path in files if path.suffix.lower() in READERS and _size(path)]
    if not usable:
        others = sorted({path.suffix or path.name for path in files})
        has = f"what is there: {', '.join(others[:10])}" if others else "there is no file there at all"
        raise UserError(
            f"{where} holds no {kinds} file with text in it; {has}. Give another path, or convert the files."
        )
    return usable


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _size(path: Path) -> int:
    return path.stat().st_size


def _checked(path: Path) -> Path:
    """The absolute path, once its head has been read and looks like text."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Check its permissions.") from error
    kind = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
    num_control = len(head) - len(head.translate(None, CONTROL))
    if kind is None and num_control > max(MAX_CONTROL * len(head), FEW_CONTROL):
        kind = "binary"
    if kind:
        raise UserError(
            f"{path} holds {kind} data, not UTF-8 text. Convert it to UTF-8 text, one text or object a line."
        )
    return path.resolve()


def _refuse_columns(config: CorpusConfig) -> None:
    """Plain text has no columns: raise UserError if the configuration names some."""
    default = CorpusConfig.model_fields["text_column"].default
    named = [name for name in ("prompt_column", "label_column", "group_column") if getattr(config, name)]
    if config.text_column != default:
        named.insert(0, "text_column")
    if named:
        raise UserError(
            f"{named[0]} names a column, but none of the corpus files is {jsonl.SUFFIX}: plain text has "
            "none. Give .jsonl files, or leave the column out."
        )
