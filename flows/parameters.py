"""What a form or a command line asks for, and how it becomes a configuration. Knows no Prefect."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from flows.presets import preset_names
from gdcore.evaluation.protocol import names as protocol_names

if TYPE_CHECKING:
    Preset = Protocol = str
else:
    Preset = Literal[tuple(preset_names())]
    Protocol = Literal[tuple(protocol_names())]

SOURCES = {"paths": (), "train": (), "valid": (), "test": (), "docstrings": (), "oracle": None, "grammar": None}
"""Where text may come from, and what says that it does not."""
FILES = ("paths", "train", "valid", "test")
"""Those of them that are files, folders or globs."""


def overrides(corpus: Mapping[str, Any], seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides of the preset: the corpus' keys that were given, the seed, and any other setting by dotted key."""
    return {"corpus": chosen_source(from_root(corpus)), "seed": seed, **settings}


def chosen_source(corpus: Mapping[str, Any]) -> dict[str, Any]:
    """The given keys; when they name a source of text, it stands instead of the preset's, not beside it."""
    chosen = any(corpus.get(name, absent) not in (absent, []) for name, absent in SOURCES.items())
    return (dict(SOURCES) if chosen else {}) | dict(corpus)


def from_root(corpus: Mapping[str, Any]) -> dict[str, Any]:
    """The same corpus, its files named from the root: who looks for them again may stand in another folder."""
    return {
        name: [str(Path(each).expanduser().absolute()) for each in value] if name in FILES else value
        for name, value in corpus.items()
    }


def checked(
    preset: str, corpus: Mapping[str, Any], settings: Mapping[str, Any], seed: int, home: Path
) -> dict[str, Any]:
    """A flow's parameters from a command's, refused in words if they are wrong: before Prefect starts anything."""
    from flows.presets import resolve
    from gdcore.corpora.build import CorpusConfig, source_files
    from gdcore.explain import parsed

    given = {name: value for name, value in corpus.items() if value}
    corpus_config = parsed(CorpusConfig, given)
    if not corpus_config.packages:
        source_files(corpus_config)  # first, for it takes no time: a misspelt path
    resolve(preset, overrides(given, seed, settings))
    return {
        "preset": preset,
        "corpus": parsed(CorpusConfig, from_root(given)),
        "seed": seed,
        "settings": dict(settings),
        "home": home.absolute(),
    }
