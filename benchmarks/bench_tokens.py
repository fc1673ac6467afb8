"""Text to token ids: words beside Hugging Face's `tokenizers` and a Python dictionary, byte pairs beside `tokenizers`.

    python -m benchmarks.bench_tokens [--megabytes 50] [--rounds 3]

The text is that of `bench_corpus`, the vocabulary its 16,000 most frequent tokens, in memory on both sides; counted are
MB of text a second. `tokenizers` is asked as a user of Python asks it (`encode_batch`, then the ids of each text) with
the very tokenizer that a bundle ships, and must give the same ids. The dictionary looks up what `re` finds: the same
words and marks, without the rest of what makes the ids the same (it agrees on ASCII). The slow sides read 5 MB a round.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from benchmarks.bench_corpus import MB, texts
from benchmarks.racing import race
from gdcore.tokenizer import MARK, UNK, Tokenizer
from gdcore.tokens import BATCH_ROWS, BulkEncoder, TokenizerConfig, fit

SLOW_SHARE = 5
"""MB of text that `tokenizers` and the dictionary read a round at most."""
WORD = re.compile(r" ?(?:\w+(?:['’\-]\w+)*|[^\w\s])")


def fitted(lines: pl.Series, kind: str, folder: Path) -> Tokenizer:
    """As the tokens stage would, from a part of the text."""
    part = lines.head(200_000).alias("text").to_frame().with_columns(prompt=pl.lit(None, pl.String))
    part.write_parquet(folder / "train.parquet")
    return fit(TokenizerConfig.model_validate({"kind": kind}), folder)


def ours(tokenizer: Tokenizer, lines: pl.Series) -> Callable[[], float]:
    """MB of text a call: the bulk path, in batches as the stage has them."""
    encoder, size = BulkEncoder(tokenizer), megabytes(lines)

    def work() -> float:
        for batch in lines.to_frame().iter_slices(BATCH_ROWS):
            encoder.encode(batch.to_series())
        return size

    return work


def hugging_face(tokenizer: Tokenizer, lines: list[str], size: float) -> Callable[[], float]:
    """Flat ids and lengths, which is what the bulk path gives."""

    def work() -> float:
        for start in range(0, len(lines), BATCH_ROWS):
            rows = [each.ids for each in tokenizer.backend.encode_batch(lines[start : start + BATCH_ROWS])]
            np.fromiter((i for row in rows for i in row), np.int64)
        return size

    return work


def dictionary(tokenizer: Tokenizer, lines: list[str], size: float) -> Callable[[], float]:
    """Python's own means."""
    ids = {token.replace(MARK, " "): i for token, i in tokenizer.backend.get_vocab().items()}

    def work() -> float:
        for start in range(0, len(lines), BATCH_ROWS):
            rows = [
                [ids.get(token, UNK) for token in WORD.findall(f" {line}")]
                for line in lines[start : start + BATCH_ROWS]
            ]
            np.fromiter((i for row in rows for i in row), np.int64)
        return size

    return work


def megabytes(lines: pl.Series) -> float:
    """Of UTF-8, line ends included."""
    return (int(lines.str.len_bytes().sum()) + len(lines)) / MB


def same(tokenizer: Tokenizer, lines: list[str]) -> None:
    """All sides give the same ids."""
    flat, _ = BulkEncoder(tokenizer).encode(pl.Series(lines))
    assert flat.tolist() == [i for row in tokenizer.backend.encode_batch(lines) for i in row.ids]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    lines = pl.Series("text", [text for block in texts(given.megabytes) for text in block])
    few = lines.head(int(len(lines) * min(1, SLOW_SHARE / given.megabytes)))
    few_lines, few_size, tail = few.to_list(), megabytes(few), f"{given.megabytes}mb"
    print(f"{len(lines):,} texts, {megabytes(lines):,.0f} MB; slow sides read {few_size:.1f} MB of them a round")
    with TemporaryDirectory() as folder:
        words, pairs = (fitted(lines, kind, Path(folder)) for kind in ("word", "bpe"))
    for tokenizer in (words, pairs):
        same(tokenizer, few_lines[:2_000])
    rivals = hugging_face(words, few_lines, few_size), dictionary(words, few_lines, few_size)
    for name, rival, reach in zip(("huggingface", "dictionary"), rivals, (10, 2), strict=True):
        race(f"tokens_word_{tail}_{name}", "MB", ours(words, lines), rival, reach, given.rounds)
    bulk, theirs = ours(pairs, few), hugging_face(pairs, few_lines, few_size)
    race(f"tokens_bpe_{tail}_huggingface", "MB", bulk, theirs, 1, given.rounds)


if __name__ == "__main__":
    main()
