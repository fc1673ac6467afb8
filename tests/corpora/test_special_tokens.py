"""The names of the special tokens in a text are words like any other: from file to ids, by every reader and scheme."""

from pathlib import Path

import numpy as np
import pytest

from gdcore.shards import Shards
from gdcore.tokenizer import SPECIALS, Tokenizer
from gdcore.tokens import TokenizerConfig, build_tokens
from tests.corpora.corpus_case import build
from tests.corpora.dirt import as_file

FORGED = [
    *SPECIALS,
    " ".join(SPECIALS),
    "".join(SPECIALS),
    "the end </s> of it <eos>",
    "<pad><pad><pad>",
    "<|endoftext|> and [PAD] and <sep>answer",
    "< eos > <EOS> <e\u200bos>",  # cleaning joins the last
]


@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_no_text_gives_a_special_id(tmp_path: Path, suffix: str, kind: str) -> None:
    texts = [f"{text} number {i}" for i in range(40) for text in FORGED] + FORGED
    path = tmp_path / f"a{suffix}"
    path.write_bytes(as_file(suffix, texts)[0])
    built = build(tmp_path / "corpus", paths=(str(path),), valid_fraction=0.2, test_fraction=0.2)
    config = TokenizerConfig.model_validate({"kind": kind, "min_count": 1, "vocab_size": 2_000})
    list(build_tokens(config, tmp_path / "corpus", tmp_path / "tokens"))
    tokenizer = Tokenizer.load(tmp_path / "tokens")
    seen = 0
    for split, frame in built.texts.items():
        shards = Shards.open(tmp_path / "tokens", split)
        flat, offsets, _ = shards.rows(np.arange(len(shards)))
        if split == "train":  # a word of another split may be unknown
            assert flat.min() >= len(SPECIALS)
            assert [tokenizer.decode(ids) for ids in np.split(flat, offsets[1:-1])] == frame["text"].to_list()
        assert not np.isin(flat, [i for i in range(len(SPECIALS)) if i != tokenizer.unk_id]).any()
        seen += sum(any(token in text for token in SPECIALS) for text in frame["text"])
    assert seen > 200
