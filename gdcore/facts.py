"""What is measured of a corpus before anything is trained on it: facts, not verdicts.

One row per text (`text_facts`, `token_facts`, `twins`, put together by `measure` in a folder), then one row per split
(`split_facts`). The rules that judge them stand in `tasks/expectations`; their thresholds in `ValidationConfig`. In
memory are a batch and a partition of the texts, and of every text a few bytes: its flags, and whether it is kept.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from gdcore.resemblance.gists import gist, written
from gdcore.settings import Settings
from gdcore.shards import Ids, Shards
from gdcore.tokenizer import UNK
from gdcore.tokens import SPLITS

BATCH_ROWS = 1 << 16
PARTITION_ROWS = 1 << 23
"""Texts whose gists are compared at one time, in two to three gigabytes."""
SAMPLE_ROWS, SAMPLE_BLOCKS = 20_000, 50  # texts that tell a corpus' writing, and how many places they are taken from
MAIN_SHARE = 0.05  # a script with this share of the letters belongs to the corpus

# What writing consists of: letters, their marks, and emoji, which people write instead of words.
ALPHABET = r"[\p{L}\p{M}\p{Extended_Pictographic}\x{1F1E6}-\x{1F1FF}\x{1F3FB}-\x{1F3FF}\x{200D}]"
SCRIPTS = {
    "Latin": r"\p{Latin}",
    "Greek": r"\p{Greek}",
    "Cyrillic": r"\p{Cyrillic}",
    "Armenian": r"\p{Armenian}",
    "Georgian": r"\p{Georgian}",
    "Hebrew": r"\p{Hebrew}",
    "Arabic": r"\p{Arabic}",
    "Ethiopic": r"\p{Ethiopic}",
    "Devanagari": r"\p{Devanagari}",
    "Bengali": r"\p{Bengali}",
    "Gurmukhi": r"\p{Gurmukhi}",
    "Gujarati": r"\p{Gujarati}",
    "Tamil": r"\p{Tamil}",
    "Telugu": r"\p{Telugu}",
    "Kannada": r"\p{Kannada}",
    "Malayalam": r"\p{Malayalam}",
    "Sinhala": r"\p{Sinhala}",
    "Thai": r"\p{Thai}",
    "Lao": r"\p{Lao}",
    "Khmer": r"\p{Khmer}",
    "Burmese": r"\p{Myanmar}",
    "Tibetan": r"\p{Tibetan}",
    "East Asian": r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Bopomofo}ー",
}


class ValidationConfig(Settings):
    """What a corpus must be like. A text that breaks a rule is quarantined; a rule that too many texts break fails.

    A failed warning is shown; a failed critical rule ends the run.
    """

    mostly: float = Field(default=0.9, ge=0, le=1)
    """Share of the texts that must satisfy a rule about single texts, or the rule fails."""
    min_characters: int = Field(default=1, ge=1)
    """A shorter text breaks `too_short`."""
    max_characters: int = Field(default=10_000, ge=1)
    """A longer text breaks `too_long`."""
    min_alphabet_share: float = Field(default=0.3, ge=0, le=1)
    """Letters, their marks and emoji among the characters that are no space; a text of fewer breaks `not_text`
    (critical: the wrong file, or the wrong column)."""
    max_digit_share: float = Field(default=0.5, ge=0, le=1)
    """Digits among the characters that are no space; a text of more breaks `mostly_digits`."""
    min_script_share: float = Field(default=0.5, ge=0, le=1)
    """Letters of the corpus' own scripts (each has at least 5 % of its letters) among a text's letters; a text of fewer
    breaks `foreign_script`."""
    repetition_from: int = Field(default=8, ge=3)
    """Texts of fewer tokens are not judged for repetition."""
    max_top_share: float = Field(default=0.5, ge=0, le=1)
    """Share of a text's most frequent token; a text of more breaks `one_word_over_and_over`."""
    max_repeated_share: float = Field(default=0.5, ge=0, le=1)
    """Share of a text's token trigrams that occurred in it before; a text of more breaks `repeats_itself`."""
    keep_near_duplicates: bool = False
    """Keep texts of train that differ from an earlier one only in case, spacing and punctuation; otherwise they break
    `near_duplicate`. (Exact repetitions are the corpus stage's business.)"""
    similarity: float | None = Field(default=None, ge=0.5, le=1)
    """Where it is given, texts of train that resemble an earlier one as much as this or more break `similar`, and texts
    that so resemble one of a later split are taken out of the earlier one too (`leaked_similar`). Resemblance is the
    Jaccard similarity of runs of five characters, but for case, spacing and punctuation; candidates are found by
    MinHash, each pair is counted out. Of a prompt and its text the smaller similarity counts. With
    `keep_near_duplicates` only what leaks is taken out. It needs `pip install 'gdflow[minhash]'`."""
    max_leak_share: float = Field(default=0.2, ge=0, le=1)
    """Share of train or valid whose text stands, but for case, spacing and punctuation, in a later split. Such texts
    are always taken out of the earlier one (`leaked`); more of them than this, those that are `leaked_similar`
    included, fails `leakage` (critical)."""
    max_unk_share: float = Field(default=0.5, ge=0, le=1)
    """Unknown tokens in a text of train; a text of more breaks `mostly_unknown`."""
    max_unk_rate: float = Field(default=0.1, ge=0, le=1)
    """Unknown tokens in a split; more fails `many_unknown`."""
    min_coverage: float = Field(default=0.6, ge=0, le=1)
    """Share of a split's tokens that the train split knows; less fails `vocabulary_coverage` (critical)."""
    min_fitting: float = Field(default=0.9, ge=0, le=1)
    """Share of the texts that must fit into the context, or `too_many_tokens` fails (critical). Those that do not fit
    are quarantined, never cut."""
    min_median_tokens: int = Field(default=3, ge=1)
    """Median number of tokens of a text, BOS and EOS included; shorter texts fail `short_texts`."""
    min_kept_share: float = Field(default=0.5, ge=0, le=1)
    """Share of each split that must be left after quarantine, or `kept_share` fails (critical)."""
    min_held_out: int = Field(default=100, ge=0)
    """Texts that valid and test should have, for figures that mean something; fewer fail `small_held_out`."""
    max_label_distance: float = Field(default=0.5, ge=0, le=1)
    """Total variation between a split's labels and the train split's; more fails `label_drift`."""
    max_label_share: float = Field(default=0.9, ge=0, le=1)
    """Share of the train split's most frequent label, where there are several; more fails `label_balance`."""


def main_scripts(train: pl.LazyFrame) -> list[str]:
    """The scripts a corpus is written in, most used first, from a sample evenly spread over its train split."""
    num, size = train.select(pl.len()).collect().item(), SAMPLE_ROWS // SAMPLE_BLOCKS
    # Places, not every n-th text: those would be picked by reading the whole split.
    places = [0] if num <= SAMPLE_ROWS else np.linspace(0, num - size, SAMPLE_BLOCKS).astype(int).tolist()
    text = pl.col("text").str
    counts = Counter[str]()
    for place in places:
        some = train.select("text").slice(place, num if num <= SAMPLE_ROWS else size)
        found = some.select(text.count_matches(f"[{pattern}]").sum().alias(name) for name, pattern in SCRIPTS.items())
        counts.update(found.collect().row(0, named=True))
    total = counts.total()
    return sorted((name for name, n in counts.items() if n and n >= MAIN_SHARE * total), key=lambda name: -counts[name])


def text_facts(texts: pl.LazyFrame, scripts: list[str]) -> pl.LazyFrame:
    """Per text: num_chars, alphabet_share, digit_share, script_share, and hashes of the text as it is and of its gist.

    Columns read: text, prompt. A share of nothing is null (no letters: no script).
    """
    text = pl.col("text").str
    own = "".join(SCRIPTS[name] for name in scripts)
    visible = text.count_matches(r"\S")
    letters = text.count_matches(r"\p{L}")
    script_share = text.count_matches(f"[{own}]") / pl.when(letters > 0).then(letters) if own else pl.lit(None)
    return texts.with_columns(
        num_chars=text.len_chars(),
        alphabet_share=text.count_matches(ALPHABET) / visible,
        digit_share=text.count_matches(r"\p{N}") / visible,
        script_share=script_share.cast(pl.Float64).clip(0, 1),
        written=written().hash(),
        gist=gist().hash(),
    ).with_columns(pl.col("alphabet_share", "digit_share").fill_nan(None))


def token_facts(shards: Shards, rows: NDArray[np.int64], repetition_from: int) -> pl.DataFrame:
    """Per text: num_tokens as laid out (BOS, EOS and SEP included), num_unknown, unk_share, top_share, repeated_share.

    The last two are of the text without its prompt, and null for fewer than `repetition_from` tokens.
    """
    flat, offsets, prompts_N = shards.rows(rows)
    lengths_N = np.diff(offsets)
    row = np.repeat(np.arange(len(lengths_N)), lengths_N)
    unknown_N = np.bincount(row[flat == UNK], minlength=len(lengths_N))
    in_text = np.arange(len(flat)) - offsets[row] >= prompts_N[row]
    # Two unknown tokens are not the same word.
    judged = in_text & (lengths_N - prompts_N >= repetition_from)[row] & (flat != UNK)
    tokens = pl.DataFrame({"row": row[judged], "token": flat[judged]})
    same_row = pl.col("row") == pl.col("row").shift(-2)
    # Ids are below 2²⁰, so three fit into 64 bits.
    trigram = (pl.col("token") * 2**40) + pl.col("token").shift(-1) * 2**20 + pl.col("token").shift(-2)
    top = tokens.group_by("row", "token").len().group_by("row").agg(top=pl.col("len").max(), all=pl.col("len").sum())
    trigrams = tokens.select("row", trigram=pl.when(same_row).then(trigram)).drop_nulls()
    repeated = trigrams.group_by("row").agg(distinct=pl.col("trigram").n_unique(), trigrams=pl.len())
    return (
        pl.DataFrame(
            {
                "num_tokens": (lengths_N + 2 + (prompts_N > 0)).astype(np.int32),
                "num_unknown": unknown_N.astype(np.int32),
                "unk_share": unknown_N / np.maximum(lengths_N, 1),
            }
        )
        .with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
        .join(top, on="row", how="left", maintain_order="left")
        .join(repeated, on="row", how="left", maintain_order="left")
        .select(
            "num_tokens",
            "num_unknown",
            "unk_share",
            top_share=pl.col("top") / pl.col("all"),
            repeated_share=1 - pl.col("distinct") / pl.col("trigrams"),
        )
    )


def measure(
    config: ValidationConfig, corpus: Path, tokens: Path, split: str, scripts: list[str], folder: Path
) -> Iterator[int]:
    """Write a split's facts into `folder`, in row order, without the texts: split, row, source, line, label, figures.

    `unk_share` is null outside train: to leave out of an evaluation what the model does not know would flatter it.
    Yields how many texts have been measured.
    """
    texts = pl.scan_parquet(corpus / f"{split}.parquet")
    where = ("split", "row", "source", "line", "label")
    done = 0
    for shards in Shards.each(tokens, split):
        for rows in row_batches(len(shards)):
            some = texts.slice(done, len(rows)).with_row_index("row", offset=done)
            some = some.with_columns(split=pl.lit(split), row=pl.col("row").cast(pl.Int64))
            of_texts = text_facts(some, scripts).select(*where, pl.exclude(*where, "text", "prompt")).collect()
            of_tokens = token_facts(shards, rows, config.repetition_from)
            if split != "train":
                of_tokens = of_tokens.with_columns(unk_share=pl.lit(None, pl.Float64))
            both = pl.concat([of_texts, of_tokens], how="horizontal")
            assert len(both) == len(of_texts) == len(rows), f"{split}: fewer texts in {corpus} than in {tokens}"
            both.write_parquet(folder / f"{split}.{done:012d}.parquet")
            done += len(rows)
            yield done
    total = texts.select(pl.len()).collect().item()
    assert done == total, f"{split}: {total} texts in {corpus}, {done} in {tokens}"


def row_batches(num: int) -> Iterator[NDArray[np.int64]]:
    """So many rows, some at a time; one empty batch where there are none, so that columns have their types."""
    for start in range(0, max(num, 1), BATCH_ROWS):
        yield np.arange(start, min(start + BATCH_ROWS, num))


def parts(folder: Path, *splits: str) -> list[Path]:
    """The files of some splits' facts (of all, where none is named), in the order train, valid, test and of rows."""
    return [path for split in splits or SPLITS for path in sorted(folder.glob(f"{split}.*.parquet"))]


def twins(folder: Path, partition_rows: int = PARTITION_ROWS) -> dict[str, NDArray[np.bool_]]:
    """Add `near_duplicate` (an earlier text of train has this gist, in other words; null elsewhere) and `leaked`.

    A text leaks when its gist stands in a later split too, in the order train, valid, test: it is the earlier split
    that gives it up, so that a benchmark's test set stays as it is. Texts of one gist lie in one partition by its hash,
    and partitions are looked at one after the other. Returns of each split who leaks `(N,)`.
    """
    heights = {split: sum(pl.scan_parquet(parts(folder, split)).select(pl.len()).collect()["len"]) for split in SPLITS}
    near, leaked = ({split: np.zeros(height, bool) for split, height in heights.items()} for _ in range(2))
    everything = pl.scan_parquet(parts(folder)).select("split", "row", "written", "gist")
    partitions = 1 + sum(heights.values()) // partition_rows
    for number in range(partitions):
        frame = (
            everything.filter(pl.col("gist") % partitions == number).collect(engine="streaming").sort("split", "row")
        )
        gists = {split: frame.filter(pl.col("split") == split)["gist"].unique().implode() for split in SPLITS}
        first = pl.col("written").first().over("split", "gist")
        for i, split in enumerate(SPLITS):
            leaks = [pl.col("gist").is_in(gists[later]) for later in SPLITS[i + 1 :]]
            flags = frame.with_columns(
                near=pl.col("written") != first, leaks=pl.any_horizontal(leaks) if leaks else pl.lit(False)
            ).filter(pl.col("split") == split)
            near[split][flags.filter("near")["row"].to_numpy()] = True
            leaked[split][flags.filter("leaks")["row"].to_numpy()] = True
    for split in SPLITS:
        for path in parts(folder, split):
            frame, rows = pl.read_parquet(path), slice(int(path.name.split(".")[1]), None)
            near_N, leaked_N = (flags[split][rows][: len(frame)] for flags in (near, leaked))
            near_duplicate = pl.Series(near_N) if split == "train" else pl.lit(None, pl.Boolean)
            frame.with_columns(near_duplicate=near_duplicate, leaked=pl.Series(leaked_N)).drop(
                "written", "gist"
            ).write_parquet(path)
    return leaked


def split_facts(
    folder: Path, tokens: Path, kept: Mapping[str, NDArray[np.bool_]], leaked: Mapping[str, NDArray[np.bool_]]
) -> pl.DataFrame:
    """One row per split, of the texts that are kept: how many are left, and what they are like."""
    counts = {split: count_ids(tokens, split, kept[split]) for split in SPLITS}
    labels = {split: label_shares(folder, split, kept[split]) for split in SPLITS}
    known_V = counts["train"] > 0
    known_V[UNK] = False
    rows = [
        {
            "split": split,
            "num_texts": (left := int(kept[split].sum())),
            "train_texts": left if split == "train" else None,
            "held_out_texts": left if split != "train" else None,
            "kept_share": left / max(len(kept[split]), 1),
            "leak_share": int(leaked[split].sum()) / max(len(kept[split]), 1),
            "unk_rate": int(counts[split][UNK]) / max(int(counts[split].sum()), 1),
            "coverage": int(counts[split][known_V].sum()) / max(int(counts[split].sum()), 1),
            "label_distance": label_distance(labels["train"], labels[split]),
            "top_label_share": max(labels[split].values()) if split == "train" and len(labels[split]) > 1 else None,
        }
        for split in SPLITS
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def count_ids(tokens: Path, split: str, kept_N: NDArray[np.bool_]) -> Ids:
    """How often each id occurs in the kept texts of a split."""
    counts_V, done = np.zeros(1 << 20, np.int64), 0
    for shards in Shards.each(tokens, split):
        for rows in row_batches(len(shards)):
            flat, _, _ = shards.rows(rows[kept_N[done : done + len(rows)]])
            counts_V += np.bincount(flat, minlength=len(counts_V))
            done += len(rows)
    return counts_V


def label_shares(folder: Path, split: str, kept_N: NDArray[np.bool_]) -> dict[str, float]:
    """The share of each label among the kept texts of a split; nothing when there are no labels."""
    counts: Counter[str] = Counter()
    for path in parts(folder, split):
        frame = pl.read_parquet(path, columns=["row", "label"]).drop_nulls("label")
        counts.update(
            dict(frame.filter(pl.Series(kept_N[frame["row"].to_numpy()])).group_by("label").len().iter_rows())
        )
    return {label: count / counts.total() for label, count in sorted(counts.items())}


def label_distance(a: dict[str, float], b: dict[str, float]) -> float | None:
    """Total variation between two distributions over labels: 0 when equal, 1 when no label is shared."""
    if not a or not b:
        return None
    return sum(abs(a.get(label, 0) - b.get(label, 0)) for label in sorted({*a, *b})) / 2
