"""From the names in a configuration to readable files and packages, and to what identifies their contents."""

import os
from hashlib import sha256
from os.path import commonpath
from pathlib import Path
from typing import Any, NamedTuple

from gdcore.corpora import docstrings, drawn, text
from gdcore.corpora.config import CorpusConfig
from gdcore.corpora.found import expand, reader
from gdcore.errors import UserError


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
        side: list(dict.fromkeys(path for pattern in patterns for path in expand(pattern)))
        for side, patterns in config.sides.items()
    }
    paths = [path for paths in files.values() for path in paths]
    if not paths:
        return []
    root = commonpath([path.parent for path in paths])
    found = [Source(side, _name(path.relative_to(root)), path) for side in files for path in files[side]]
    if not any(module.HAS_COLUMNS for path in paths if (module := reader(path))):
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


def _name(path: Path) -> str:
    """A name that can be written: U+FFFD stands for bytes of it that are not UTF-8."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def _refuse_columns(config: CorpusConfig) -> None:
    """Plain text has no columns: raise UserError if the configuration names some."""
    default = CorpusConfig.model_fields["text_column"].default
    named = [name for name in ("prompt_column", "label_column", "group_column") if getattr(config, name)]
    if config.text_column != default:
        named.insert(0, "text_column")
    if named:
        raise UserError(
            f"{named[0]} names a column, but all of the corpus files are {text.SUFFIX}: plain text has none. Give "
            ".jsonl, .csv or .parquet files, or leave the column out."
        )
