"""Grammars: what they draw, the inside algorithm against counting every derivation, and files that are no grammar."""

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from corpora.corpus_case import build

from gdcore.corpora import drawn, grammar
from gdcore.corpora.grammar import Grammar, Symbol
from gdcore.errors import UserError

# Ambiguous, with a chain of names, a cycle of names, words between names, and right sides of one to four symbols.
TOY = """
S -> A B [2] | 'x' A 'y' B | C   # four kinds of right side
A -> 'a' [3] | A A [1] | C
B -> 'b' | 'a' B [0.5]
C -> 'c' [4]
   | A [1]
"""


def loaded(tmp_path: Path, text: str) -> Grammar:
    path = tmp_path / "toy.pcfg"
    path.write_text(text)
    return grammar.load(path)


def enumerated(toy: Grammar, longest: int, least: float) -> dict[str, float]:
    """The probability of every text of up to so many words, by leftmost derivation, dropping those below `least`."""

    def derive(form: tuple[Symbol, ...], probability: float) -> Iterator[tuple[str, float]]:
        place = next((i for i, symbol in enumerate(form) if not symbol.is_word), None)
        if place is None:
            yield " ".join(symbol.text for symbol in form), probability
            return
        for rule in toy.rules:
            after = (*form[:place], *rule.right, *form[place + 1 :])
            if rule.left == form[place].text and len(after) <= longest and probability * rule.probability > least:
                yield from derive(after, probability * rule.probability)

    found: dict[str, float] = defaultdict(float)
    for text, probability in derive((Symbol(toy.rules[0].left, False),), 1.0):
        found[text] += probability
    return found


def test_the_inside_algorithm_counts_every_derivation(tmp_path: Path) -> None:
    toy = loaded(tmp_path, TOY)
    known = {text: p for text, p in enumerated(toy, longest=4, least=1e-7).items() if p > 1e-3}
    assert len(known) > 15
    nll_N, tokens_N, own_N = toy.judge(list(known))
    assert np.exp(-nll_N) == pytest.approx(list(known.values()), rel=2e-3)  # what is below 1e-7 is missing
    assert own_N.all()
    assert tokens_N.tolist() == [len(text.split()) + 1 for text in known], "the end is counted: lengths differ"


def test_by_hand(tmp_path: Path) -> None:
    toy = loaded(tmp_path, "S -> S S [0.3] | 'a' [0.6] | 'b' [0.1]")
    p = {"a": 0.6, "a b": 0.3 * 0.6 * 0.1, "a a a": 2 * 0.3**2 * 0.6**3}  # three words: two trees
    nll_N, _, _ = toy.judge(list(p))
    assert np.exp(-nll_N) == pytest.approx(list(p.values()))


def test_texts_that_cannot_be(tmp_path: Path) -> None:
    nll_N, _, own_N = loaded(tmp_path, TOY).judge(["b a", "a z", "", "x a b", "a b"])
    assert np.isinf(nll_N).tolist() == [True, True, True, True, False]
    assert own_N.tolist() == [False, False, False, False, True]


def test_long_texts_do_not_run_out_of_exponent(tmp_path: Path) -> None:
    toy = loaded(tmp_path, "S -> 'a' S [0.9] | 'a' [0.1]\n")
    assert toy.judge(["a " * 90])[0][0] == pytest.approx(-(89 * math.log(0.9) + math.log(0.1)))
    wide = loaded(tmp_path, "S -> W S [0.9] | W [0.1]\nW -> " + " | ".join(f"'w{i}'" for i in range(20_000)))
    assert wide.judge(["w7 " * 90])[0][0] == pytest.approx(-(89 * math.log(0.9) + math.log(0.1)) + 90 * math.log(2e4))


def test_what_is_drawn_has_the_grammar_s_probabilities(tmp_path: Path) -> None:
    toy = loaded(tmp_path, TOY)
    texts = [text for part in toy.draw(4000, seed=2) for text in part]
    assert texts[:10] == next(iter(toy.draw(10, seed=2))), "a text does not depend on how many are drawn"
    assert toy.judge(texts).own_N.all()
    for text in ("a b", "c", "a a b"):
        p = math.exp(-float(toy.judge([text])[0][0]))
        assert abs(texts.count(text) / 4000 - p) < 4 * math.sqrt(p * (1 - p) / 4000)


def test_mean_nll_of_an_unambiguous_grammar_is_its_entropy(tmp_path: Path) -> None:
    toy = loaded(tmp_path, "S -> 'a' S [0.7] | B 'end' [0.3]\nB -> 'b' [1] | 'c' [3]")
    nll_N = toy.judge([text for part in toy.draw(4000, seed=0) for text in part])[0]

    def entropy(*p: float) -> float:
        return -sum(each * math.log(each) for each in p)

    expected = entropy(0.7, 0.3) / 0.3 + entropy(0.25, 0.75)
    assert nll_N.mean() == pytest.approx(expected, abs=4 * float(nll_N.std()) / math.sqrt(4000))


def test_the_built_in_grammar_makes_a_corpus(tmp_path: Path) -> None:
    built = build(tmp_path, grammar={"train": 300, "valid": 50, "test": 50})
    assert set(built.summary["reasons"]) <= {"duplicate", "also_in_test", "also_in_valid"}
    kept = drawn.kept(tmp_path)
    assert isinstance(kept, Grammar)
    assert kept.judge(built.used).own_N.all()
    words = (tmp_path / drawn.VOCABULARY).read_text().split()
    assert {word for text in built.used for word in text.split()} <= set(words)
    assert kept.judge(["the dog sleep slowly ."]).own_N.tolist() == [False], "a verb agrees with its subject"
    assert kept.judge(["the dog that sees many old birds sleeps slowly ."]).own_N.tolist() == [True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "holds no rule"),
        ("# nothing\n", "holds no rule"),
        ("S -> 'a' B\n", "line 1: B has no rule; give it one, or write 'B' if it is a word"),
        ("S -> 'a'\n\nT -> 'b'\n", "line 3: T is never used"),
        ("S -> 'a' [0]\n", r"line 1: \[0\] is no weight"),
        ("S -> 'a' [many]\n", r"line 1: \[many\] is no weight"),
        ("S -> 'a' | [0.5]\n", "line 1: S becomes nothing"),
        ("S -> 'a' |\n", "line 1: S becomes nothing"),
        ("S ->\n", "line 1: S becomes nothing"),
        ("S 'a'\n", "line 1: expected NAME -> and what it becomes"),
        ("| 'a'\n", "line 1: expected NAME ->"),
        ("S -> 'a' [0.5] 'b'\n", "line 1: 'b' stands where"),
        ("S -> 'a' -> 'b'\n", "line 1: '->' stands where"),
        ("S -> 'New York'\n", "line 1: 'New York' is not one word"),
        ("S -> ''\n", "line 1: '' is not one word"),
        ("S -> 'a\n", 'line 1: "\'a" cannot be read: a quote or a bracket is left open'),
        ("S -> 'a' [0.5\n", r"line 1: .*cannot be read"),
        ("S -> 'a'\n  | S S [3]\n", "line 2: texts need not end; give less weight"),
        ("S -> S\n", "line 1: texts need not end"),
        ("S -> 'a' S [999] | 'b'\n", "line 1: texts have 1,000 words on average, and 200 are the most"),
    ],
)
def test_a_file_that_is_no_grammar(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        loaded(tmp_path, text)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        grammar.load(tmp_path / "none.pcfg")
    (tmp_path / "bytes.pcfg").write_bytes(b"S -> '\xff'")
    with pytest.raises(UserError, match="cannot be read as text"):
        grammar.load(tmp_path / "bytes.pcfg")
