"""Corpora that are drawn from a known distribution: texts out of nothing, and beside them the file that defines it."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import polars as pl

from gdcore.corpora import grammar, oracle
from gdcore.corpora.config import CorpusConfig, GrammarConfig
from gdcore.corpora.exact import ExactSource
from gdcore.uniforms import row_seeds

VOCABULARY = "vocabulary.txt"
SIDES = ("test", "valid", "train")  # in the order in which a corpus is read


def source(config: CorpusConfig) -> ExactSource | None:
    """What the corpus is drawn from; None where it is read. Raises UserError for a file that cannot be used."""
    if config.grammar:
        return grammar.load(defining_file(config) or grammar.BUILT_IN)
    if config.oracle is None:
        return None
    if path := defining_file(config):
        return oracle.load(path, config.oracle.length)
    own = config.oracle
    return oracle.drawn(own.parameters_seed, own.length, own.vocab_size, own.dim)


def defining_file(config: CorpusConfig) -> Path | None:
    """The file that defines the source: the user's, or the built-in grammar's; None for an oracle that is drawn."""
    if config.grammar:
        return Path(config.grammar.file).expanduser() if config.grammar.file else grammar.BUILT_IN
    return Path(config.oracle.parameters).expanduser() if config.oracle and config.oracle.parameters else None


def digest(config: CorpusConfig) -> str | None:
    """What identifies that file's contents. Raises UserError where the file cannot be used."""
    source(config)
    path = defining_file(config)
    return sha256(path.read_bytes()).hexdigest() if path else None


def read(config: CorpusConfig, drawn_from: ExactSource) -> Iterator[tuple[str, pl.DataFrame, int, int]]:
    """(split, frame of (text, line, source), texts drawn, texts in all): each split from a seed of its own.

    A text does not depend on how many there are: a corpus of more texts begins with those of a smaller one.
    """
    sizes = config.drawn
    assert sizes, "the corpus is read and not drawn"
    name = "grammar" if isinstance(sizes, GrammarConfig) else "oracle"
    numbers = {"test": sizes.test, "valid": sizes.valid, "train": sizes.train}
    seeds = dict(zip(SIDES, row_seeds(sizes.seed, len(SIDES)).tolist(), strict=True))
    done, total = 0, sum(numbers.values())
    for side in SIDES:
        first = 1
        for texts in drawn_from.draw(numbers[side], seeds[side]):
            line = pl.int_range(first, first + len(texts), dtype=pl.UInt32, eager=True)
            frame = pl.DataFrame({"text": texts}).with_columns(line=line, source=pl.lit(f"{name}/{side}"))
            first += len(texts)
            done += len(texts)
            yield side, frame, done, total


def keep(drawn_from: ExactSource, folder: Path) -> None:
    """Leave in the corpus what defines it, for the evaluation, and all the words that it may hold, for the tokens."""
    drawn_from.save(folder)
    (folder / VOCABULARY).write_text("".join(f"{word}\n" for word in drawn_from.words), "utf-8")


def kept(corpus: Path) -> ExactSource | None:
    """What a corpus was drawn from; None for one that was read."""
    if (corpus / grammar.FILE).exists():
        return grammar.load(corpus / grammar.FILE)
    return oracle.load(corpus / oracle.FILE) if (corpus / oracle.FILE).exists() else None
