"""The bulk path and the shipped tokenizer give the same ids, ids give back the text, no text forges a special id."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_corpus import write_corpus
from tokenizers import models, pre_tokenizers

from gdcore.errors import UserError
from gdcore.shards import Shards
from gdcore.tokenizer import SPECIALS, UNK, Tokenizer, assemble
from gdcore.tokens import BulkEncoder, TokenizerConfig, build_tokens, split_texts

ODD = (
    "Σίσυφος ΟΔΟΣ İ ß ﬁ é e\u0301 \u200b \u200d \ufeff \u00ad ▁ ▁▁ _ don't can’t x-y -- ' \u3000 \u2028 \x85 \x1c \n\t"
)
EMOJI = "👩‍👩‍👧 👍🏽 ❤️ 🇩🇪🇫 1️⃣ ☺ :-) 🏴󠁧󠁢󠁥󠁮󠁧󠁿"
FORGED = "<pad> <bos><eos> a<unk>b <sep> < pad > ▁<pad> <<unk>>"
texts = st.one_of(
    st.text(max_size=60),
    st.text(st.sampled_from(sorted(set(ODD + EMOJI + FORGED + "ab, 中文。กา"))), max_size=40),
    st.lists(st.sampled_from([*ODD.split(" "), *EMOJI.split(" "), *SPECIALS, " ", "中"])).map("".join),
)


def from_texts(kind: str, lowercase: bool, known: list[str]) -> Tokenizer:
    """A tokenizer that knows every token of some texts."""
    types = sorted(split_texts(pl.Series(known, dtype=pl.String), kind, lowercase).types) if kind != "bpe" else []
    if kind == "bpe":
        alphabet = [*SPECIALS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
        model = models.BPE({token: i for i, token in enumerate(alphabet)}, [])
    else:
        model = models.WordLevel({token: i for i, token in enumerate((*SPECIALS, *types))}, unk_token="<unk>")
    backend = assemble(kind, model, lowercase)
    return Tokenizer(backend, {"kind": kind, "vocab_size": backend.get_vocab_size(), "lowercase": lowercase})


def bulk(tokenizer: Tokenizer, rows: list[str]) -> list[list[int]]:
    flat, lengths = BulkEncoder(tokenizer).encode(pl.Series(rows, dtype=pl.String))
    ends = lengths.cumsum()
    return [flat[end - length : end].tolist() for end, length in zip(ends, lengths, strict=True)]


def cleaned(text: str) -> str:
    """What decoding gives back: white space as single spaces, `▁` as `_`."""
    spaces = "".join(map(chr, [*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F]))
    for space in spaces + "\u205f\u3000":
        text = text.replace(space, " ")
    return " ".join(part for part in text.replace("▁", "_").split(" ") if part)


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("kind", ["word", "char"])
@settings(max_examples=200, deadline=None)
@example(rows=[":\u200d 0"], unseen="")  # a joiner before a space binds nothing
@given(rows=st.lists(texts, min_size=1, max_size=6), unseen=texts)
def test_bulk_path_gives_the_ids_of_the_shipped_tokenizer(kind, lowercase, rows, unseen):
    tokenizer = from_texts(kind, lowercase, rows)
    assert bulk(tokenizer, [*rows, unseen]) == tokenizer.encode([*rows, unseen])


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_decoding_gives_the_text_back(kind, text):
    tokenizer = from_texts(kind, False, [text])
    ids = tokenizer.encode([text])[0]
    assert min(ids, default=5) >= len(SPECIALS)
    expected = cleaned(text.replace("▁", "\ue000")).replace("\ue000", "▁") if kind == "bpe" else cleaned(text)
    assert tokenizer.decode(ids) == expected


def every_character(limit: int) -> list[str]:
    return [f"a{chr(i)}b {chr(i)} {chr(i)}{chr(i)}'" for i in range(limit) if not 0xD800 <= i < 0xE000]


@pytest.mark.parametrize("lowercase", [False, True])
def test_both_paths_class_every_character_alike(lowercase):
    rows = every_character(0x3000)
    tokenizer = from_texts("word", lowercase, rows)
    assert bulk(tokenizer, rows) == tokenizer.encode(rows)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_both_paths_class_every_character_of_unicode_alike():
    rows = every_character(0x110000)
    tokenizer = from_texts("word", True, rows)
    assert bulk(tokenizer, rows) == tokenizer.encode(rows)


def test_words_carry_their_space():
    tokenizer = from_texts("word", False, [said := "«Hello, world.» (don't—well-known) 3.14 👍🏽!"])
    tokens = [tokenizer.token(i) for i in tokenizer.encode([said])[0]]
    assert " ".join(tokens) == "▁« Hello , ▁world . » ▁( don't — well-known ) ▁3 . 14 ▁👍🏽 !"
    assert tokenizer.decode(tokenizer.encode(["world. Hello"])[0]) == "world."  # «▁Hello» is unknown
    assert tokenizer.encode(["▁zebra"])[0] == [UNK]


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_special_tokens_cannot_be_written(kind, tmp_path):
    rows = [FORGED, "<pad>", "<unk> <unk>", "a <eos>", "the <pad> is <pad> often <pad> said <pad>"] * 20
    corpus = write_corpus(tmp_path / "corpus", rows, rows[:5], rows[:5])
    list(build_tokens(TokenizerConfig(kind=kind, min_count=1), corpus, tmp_path / "tokens"))
    tokenizer = Tokenizer.load(tmp_path / "tokens")
    ids = tokenizer.encode(rows)
    assert min(min(row) for row in ids) >= len(SPECIALS)
    assert bulk(tokenizer, rows) == ids
    assert [tokenizer.token(i) for i in range(5)] == list(SPECIALS)
    shards = Shards.open(tmp_path / "tokens", "train")
    assert [shards.row(i)[1].tolist() for i in range(len(rows))] == ids
    # Decoding what a careless model might emit skips the special tokens.
    assert tokenizer.decode([1, *ids[1], 2, 0, 0]) == "<pad>"


SENTENCES = ["the cat sat on the mat.", "the dog sat on the log.", "a cat and a dog.", "the mat, the log."] * 8
CHINESE = ["今天天气很好。", "我们去公园散步吧！", "今天我们吃什么？", "天气很好，去散步。"] * 8
JAPANESE = ["今日はとても天気がいいです。", "公園を散歩しましょう。", "何を食べますか?"] * 8
THAI = ["วันนี้อากาศดีมาก", "เราไปเดินเล่นที่สวนกันเถอะ", "วันนี้เราจะกินอะไรดี"] * 8


@pytest.mark.parametrize(
    ("rows", "segmentation", "kind", "why"),
    [
        (SENTENCES, "spaced", "word", "words are spaced"),
        ([f"w{i} is x{i}" for i in range(400)], "spaced", "bpe", "of the valid split's are unknown: more than 10.0%"),
        (CHINESE, "unspaced", "char", "100% of the letters are Chinese"),
        (JAPANESE, "unspaced", "char", "Japanese"),
        (THAI, "unspaced", "bpe", "100% of the letters are an alphabet's"),
    ],
)
def test_auto_chooses_by_the_writing_and_says_why(rows, segmentation, kind, why, tmp_path):
    corpus = write_corpus(tmp_path / "c", rows[:-8], rows[-8:], rows[-8:], segmentation=segmentation)
    progress = list(build_tokens(TokenizerConfig(), corpus, tmp_path / "t"))
    assert progress[-1].done == progress[-1].total == len(rows) + 8
    config = json.loads((tmp_path / "t" / "tokenizer_config.json").read_text())
    assert config["kind"] == kind
    assert why in config["why"]
    tokenizer = Tokenizer.load(tmp_path / "t")
    assert {tokenizer.decode(row) for row in tokenizer.encode(rows[:8])} <= {*rows} or kind == "word"
    summary = json.loads((tmp_path / "t" / "summary.json").read_text())
    assert summary["vocab_size"] == tokenizer.vocab_size == config["vocab_size"]
    assert summary["num_texts"] == {"train": len(rows) - 8, "valid": 8, "test": 8}


def test_vocabulary_is_of_the_train_split_most_frequent_first(tmp_path):
    corpus = write_corpus(tmp_path / "c", ["b a a", "a c b", "d a b"], ["zebra a"], ["yak a"])
    list(build_tokens(TokenizerConfig(kind="word", vocab_size=8), corpus, tmp_path / "t"))
    tokenizer = Tokenizer.load(tmp_path / "t")
    # «▁a» 4 times, «▁b» 3; c and d once each: fewer than min_count.
    assert [tokenizer.token(i) for i in range(5, tokenizer.vocab_size)] == ["▁a", "▁b"]
    assert json.loads((tmp_path / "t" / "summary.json").read_text())["unk_rate"] == {
        "train": pytest.approx(2 / 9, abs=1e-6), "valid": 0.5, "test": 0.5,
    }  # fmt: skip


def test_same_bytes_from_another_process(tmp_path):
    corpus = write_corpus(tmp_path / "c", SENTENCES + CHINESE + THAI, SENTENCES[:3], CHINESE[:3])
    code = (
        "import sys; from pathlib import Path; from gdcore.tokens import *\n"
        "for kind in ('word', 'char', 'bpe'):\n"
        "    config = TokenizerConfig(kind=kind, min_count=1)\n"
        "    list(build_tokens(config, Path(sys.argv[1]), Path(sys.argv[2]) / kind))"
    )
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-c", code, corpus, tmp_path / name], check=True)
    assert len(digests(tmp_path / "one")) == 3 * 12
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def digests(directory: Path) -> dict[str, str]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_prompts_are_encoded_apart(tmp_path):
    prompts = ["the cat?", None, "", "a dog"]
    corpus = write_corpus(tmp_path / "c", ["the mat.", "a log.", "the cat", "a mat"] * 3, prompts=prompts * 3)
    list(build_tokens(TokenizerConfig(kind="word", min_count=1), corpus, tmp_path / "t"))
    tokenizer, shards = Tokenizer.load(tmp_path / "t"), Shards.open(tmp_path / "t", "train")
    assert shards.row(0)[0].tolist() == tokenizer.encode(["the cat?"])[0]
    assert [tokenizer.decode(shards.row(i)[0]) for i in range(4)] == ["the cat?", "", "", "a dog"]
    assert [tokenizer.decode(shards.row(i)[1]) for i in range(4)] == ["the mat.", "a log.", "the cat", "a mat"]


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_one_word_is_no_vocabulary(kind, tmp_path):
    corpus = write_corpus(tmp_path / "c", ["a", "a"] * 20, ["a"], ["a"])
    with pytest.raises(UserError, match=r"one token, 'a',.*at least two"):
        list(build_tokens(TokenizerConfig(kind=kind), corpus, tmp_path / "t"))


def test_no_token_often_enough(tmp_path):
    corpus = write_corpus(tmp_path / "c", ["some words", "seen once"], ["a"], ["a"])
    with pytest.raises(UserError, match="holds no token that occurs at least 2 times"):
        list(build_tokens(TokenizerConfig(kind="word"), corpus, tmp_path / "t"))


def test_byte_pairs_need_room_for_the_bytes(tmp_path):
    corpus = write_corpus(tmp_path / "c", SENTENCES)
    with pytest.raises(UserError, match="at least 261"):
        list(build_tokens(TokenizerConfig(kind="bpe", vocab_size=100), corpus, tmp_path / "t"))


def test_no_tokenizer_there(tmp_path):
    with pytest.raises(UserError, match=r"tokenizer_config\.json is missing"):
        Tokenizer.load(tmp_path)


def test_the_tokenizer_alone_is_light():
    code = "import gdcore.tokenizer, sys; print({'torch', 'polars', 'pandas', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
