"""Pieces of text: together the text, none of it taken back, whatever the tokenizer."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_corpus import write_corpus

from gdcore.serving.telling import Teller
from gdcore.tokenizer import Tokenizer
from gdcore.tokens import TokenizerConfig, build_tokens

TEXT = "The café, «naïve» — 東京 ☕️ isn't so, is it? Ünïcödé costs more than one byte." * 2


@cache
def tokenizer(kind: str) -> Tokenizer:
    import tempfile
    from pathlib import Path

    out = Path(tempfile.mkdtemp())
    corpus = write_corpus(out / "corpus", [TEXT, "abc " * 5] * 4, [TEXT], [TEXT])
    config = {"min_count": 1} if kind == "word" else {"vocab_size": 300} if kind == "bpe" else {}
    for _ in build_tokens(TokenizerConfig(kind=kind, **config), corpus, out):
        pass
    return Tokenizer.load(out)


def told(teller: Teller, ids: list[int]) -> list[str]:
    return [teller.add([i]) for i in ids] + [teller.end()]


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_pieces_make_the_text(kind: str):
    (ids,) = tokenizer(kind).encode([TEXT])
    pieces = told(Teller(tokenizer(kind)), ids)
    assert "".join(pieces) == tokenizer(kind).decode(ids)
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    assert sum(map(bool, pieces)) > 20
    begun, rest = ids[:5], ids[5:]
    whole = tokenizer(kind).decode(begun) + "".join(told(Teller(tokenizer(kind), begun), rest))
    assert whole == tokenizer(kind).decode(ids)


def test_a_prompt_of_unknown_words_is_followed_by_a_space():
    words = tokenizer("word")
    (ids,) = words.encode(["so, is it"])
    assert "".join(told(Teller(words, words.encode(["Xyzzy"])[0]), ids)) == " so, is it"


@given(st.lists(st.text(alphabet="ab c", min_size=1, max_size=4), min_size=1, max_size=3), st.text("ab c", max_size=30))
def test_stop_sequences(stops: list[str], text: str):
    """The text ends before the first of them; nothing of it has been told."""
    chars = tokenizer("char")
    (ids,) = chars.encode([text])
    text = chars.decode(ids)
    ends = [text.find(stop) for stop in stops if stop in text]
    teller = Teller(chars, stop=stops)
    assert "".join(told(teller, ids)) == text[: min(ends, default=len(text))]
    assert teller.stopped == bool(ends)
