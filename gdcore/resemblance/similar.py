"""Near-duplicates that differ in more than case, spacing and punctuation: MinHash finds pairs, each is counted out.

A text of train that is similar to an earlier one of train is `similar`; one of train or valid that is similar to a text
of a later split is `leaked_similar`: it is the earlier split that gives it up, so that a benchmark's test set stays as
it is. A text that is not kept anyway takes no part: nothing goes for its sake.

Shapes: N texts, S suspects (`gdcore.resemblance.buckets`), B bands.
"""

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gdcore.facts import parts
from gdcore.progress import Progress
from gdcore.resemblance.buckets import PART_TEXTS, KeyFiles
from gdcore.resemblance.comparison import Comparison
from gdcore.resemblance.gists import gist
from gdcore.resemblance.sketches import banding, blocks, keys
from gdcore.tokens import SPLITS

ORDER = SPLITS[::-1]
"""In which texts are judged: those of test stay."""

COMPARED_CHARACTERS = 1 << 16
"""Of texts that are compared between two reports of progress."""


class Similar(NamedTuple):
    """What was found.

    A pair is a text that is taken out (`split`, `row`), the one that it resembles most of those that stay
    (`like_split`, `like_row`), and how much (`similarity`); pairs are in the order train, valid and of rows.
    `compared_in_part` is the number of texts that shared sketches with more others than they were compared with.
    """

    pairs: pl.DataFrame
    compared_in_part: int


class Part(NamedTuple):
    """Some texts of a split, from its row `first` on, and which of them take part."""

    split: str
    first: int
    chosen: NDArray[np.bool_]


def add_similar(
    similarity: float,
    within_train: bool,
    corpus: Path,
    folder: Path,
    kept: Mapping[str, NDArray[np.bool_]],
    part_texts: int = PART_TEXTS,
) -> Generator[Progress, None, Similar]:
    """Add `similar` (null outside train) and `leaked_similar` to the facts in `folder`.

    `kept`: which texts of each split take part `(N,)`. `within_train`: whether texts of train are compared with one
    another too. How texts are cut into parts and blocks makes no difference.
    """
    chosen = [part for split in ORDER for part in _parts(folder, split, kept[split])]
    links_SB = yield from _suspects(chosen, similarity, corpus, folder, part_texts)
    rows_S = np.concatenate([part.first + np.flatnonzero(part.chosen) for part in chosen])
    numbers = np.array([SPLITS.index(part.split) for part in chosen], np.uint8)
    splits_S = np.repeat(numbers, [part.chosen.sum() for part in chosen])
    starts = {split: int((splits_S > SPLITS.index(split)).sum()) for split in SPLITS}
    with Comparison(similarity, links_SB, starts, within_train, folder) as comparison:
        for part in chosen:
            for gists in blocks(_gists(corpus, part), COMPARED_CHARACTERS) if part.chosen.any() else ():
                comparison.add(gists)
                yield Progress(len(comparison), len(rows_S), f"comparing texts of {part.split} that may be alike")
    found = np.flatnonzero(comparison.like_S >= 0)
    found = found[np.argsort(splits_S[found], kind="stable")]
    like, names = comparison.like_S[found], np.array(SPLITS)
    pairs = pl.DataFrame(
        {
            "split": names[splits_S[found]],
            "row": rows_S[found],
            "like_split": names[splits_S[like]],
            "like_row": rows_S[like],
            "similarity": comparison.similarity_S[found],
        },
        schema_overrides={"split": pl.String, "like_split": pl.String},
    )
    _add(pairs, folder)
    return Similar(pairs, comparison.compared_in_part)


def _suspects(
    chosen: list[Part], similarity: float, corpus: Path, folder: Path, part_texts: int
) -> Generator[Progress, None, NDArray[np.int32]]:
    """Leave of the chosen texts those that share a key with another; return their links `(S, B)`."""
    files = KeyFiles(folder, banding(similarity)[0])
    num_texts, done = sum(int(part.chosen.sum()) for part in chosen), 0
    for part in chosen:
        for gists in blocks(_gists(corpus, part)):
            files.write(keys(gists, similarity))
            done += len(gists)
            yield Progress(done, num_texts, f"sketching {part.split}")
    suspects_N = np.zeros(num_texts, bool)
    for band in files.mark(suspects_N, part_texts):
        yield Progress(num_texts * (band + 1) // len(files.paths), num_texts, "looking for sketches that are alike")
    links_SB = files.links(suspects_N)
    files.remove()
    done = 0
    for part in chosen:
        many = int(part.chosen.sum())
        part.chosen[part.chosen] = suspects_N[done : done + many]
        done += many
    return links_SB


def _parts(folder: Path, split: str, kept_N: NDArray[np.bool_]) -> list[Part]:
    """The kept texts of a split, a file of facts at a time."""
    firsts = [_first(path) for path in parts(folder, split)]
    return [
        Part(split, first, some_N.copy()) for first, some_N in zip(firsts, np.split(kept_N, firsts[1:]), strict=True)
    ]


def _first(path: Path) -> int:
    """The row of a file's first text."""
    return int(path.name.split(".")[1])


def _gists(corpus: Path, part: Part) -> pl.Series:
    texts = pl.scan_parquet(corpus / f"{part.split}.parquet").select("text", "prompt")
    some = texts.slice(part.first, len(part.chosen)).collect().filter(pl.Series(part.chosen))
    return some.select(gist=gist())["gist"]


def _add(pairs: pl.DataFrame, folder: Path) -> None:
    """Write the two columns."""
    for split in SPLITS:
        of_split = pairs.filter(pl.col("split") == split)
        own = of_split["like_split"] == split
        for path in parts(folder, split):
            frame = pl.read_parquet(path)
            rows = of_split["row"] - _first(path)
            here = (rows >= 0) & (rows < len(frame))
            similar_N, leaked_N = np.zeros((2, len(frame)), bool)
            similar_N[rows.filter(here & own).to_numpy()] = True
            leaked_N[rows.filter(here & ~own).to_numpy()] = True
            similar = pl.Series(similar_N) if split == "train" else pl.lit(None, pl.Boolean)
            frame.with_columns(similar=similar, leaked_similar=pl.Series(leaked_N)).write_parquet(path)
