"""The page's tokenizer gives the ids, places and texts that Python's gives, whatever the text."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_tokenizer import EMOJI, FORGED, ODD, from_texts
from tokenizers import pre_tokenizers, trainers

from gdcore.tokenizer import SPECIALS, Tokenizer, assemble, models

SCRIPT = Path(__file__).parent / "page" / "tokens.mjs"
NUM_TEXTS = 3000

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs node, which reads the page's modules")


def read_by_node(tokenizers: list[Tokenizer], texts: list[str], rows: list[list[int]]) -> list[dict[str, Any]]:
    given = [{"parsed": json.loads(each.backend.to_str()), "config": each.config} for each in tokenizers]
    asked = json.dumps({"tokenizers": given, "texts": texts, "rows": rows})
    done = subprocess.run(["node", SCRIPT], input=asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def dirty_texts(chance: random.Random, num: int) -> list[str]:
    """Any code points; a mix of such as have been trouble; words."""
    odd = sorted(set(ODD + EMOJI + FORGED + "ab, 中文。กา\0"))
    words = [
        *ODD.split(" "),
        *EMOJI.split(" "),
        *SPECIALS,
        "the",
        "cat's",
        "well-known",
        "U.S.",
        "  ",
        "__proto__",
        "7",
    ]

    def text() -> str:
        length, kind = chance.randrange(40), chance.randrange(3)
        if kind == 0:
            points = (chance.randrange(1 << chance.choice((7, 11, 16, 20))) for _ in range(length))
            return "".join(chr(point) for point in points if not 0xD800 <= point < 0xE000)
        return "".join(chance.choices(odd, k=length)) if kind == 1 else " ".join(chance.choices(words, k=length // 2))

    return [text() for _ in range(num)]


def byte_pairs(texts: list[str], lowercase: bool) -> Tokenizer:
    """Fitted with the special tokens in the vocabulary, and none of them added, as `gdcore.tokens` does."""
    backend = assemble("bpe", models.BPE(), lowercase)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    )
    merges = [tuple(pair) for pair in json.loads(backend.to_str())["model"]["merges"]]
    tokens = [*SPECIALS, *sorted(backend.get_vocab(), key=backend.get_vocab().__getitem__)]
    fitted = assemble("bpe", models.BPE({token: i for i, token in enumerate(tokens)}, merges), lowercase)
    return Tokenizer(fitted, {"kind": "bpe", "vocab_size": len(tokens), "lowercase": lowercase})


def test_ids_places_and_texts_are_pythons() -> None:
    chance = random.Random(0)
    texts = dirty_texts(chance, NUM_TEXTS)
    known = texts[: NUM_TEXTS // 3]  # the others have words that nobody knows
    tokenizers = [from_texts(kind, lowercase, known) for kind in ("word", "char") for lowercase in (False, True)]
    tokenizers += [byte_pairs(known, lowercase) for lowercase in (False, True)]
    rows = [[chance.randrange(300) for _ in range(chance.randrange(12))] for _ in range(500)]
    for tokenizer, told in zip(tokenizers, read_by_node(tokenizers, texts, rows)):
        for text, ids, found in zip(texts, tokenizer.encode(texts), told["read"]):
            units = [len(text[:i].encode("utf-16-le")) // 2 for i in range(len(text) + 1)]
            places = [(units[start], units[end]) for start, end in tokenizer.offsets(text)]
            expected = [[i, *place] for i, place in zip(ids, places)]
            assert found == expected, (tokenizer.kind, text)
        assert told["decoded"] == [tokenizer.decode(row) for row in rows]


def test_a_tokenizer_of_another_make_is_refused() -> None:
    tokenizer = from_texts("word", False, ["a b"])
    tokenizer.config["kind"] = "pretrained"
    with pytest.raises(AssertionError, match="a pretrained model's own, which this page cannot follow exactly"):
        read_by_node([tokenizer], ["a"], [])
