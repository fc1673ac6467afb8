"""The synthetic oracle: its cell by hand, its likelihoods, what it draws, and files that are no oracle."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora.corpus_case import build

from gdcore.corpora import drawn, oracle
from gdcore.corpora.build import CorpusConfig, identity
from gdcore.errors import UserError

SMALL = {"train": 60, "valid": 20, "test": 30, "vocab_size": 40, "dim": 6, "length": 5}


def small(length: int = 5) -> oracle.Oracle:
    return oracle.drawn(seed=3, length=length, vocab_size=40, dim=6)


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_cell_by_hand() -> None:
    """One unit, two words: a step from word 0, then a step from word 1."""
    values = {"embedding": [[0.5], [-1.0]], "wo": [[2.0, -1.0]], "bo": [0.1, 0.3]}
    for gate, (w, u, b) in {"i": (1, 0.5, 0.2), "f": (-1, 0.3, 0.4), "og": (2, -1, 0), "c": (0.7, 1.5, -0.1)}.items():
        values |= {f"w{gate}": [[w]], f"u{gate}": [[u]], f"b{gate}": [b]}
    net = oracle.Oracle({key: np.array(value, np.float32) for key, value in values.items()}, 2)

    first_cell = sigma(1 * 0.5 + 0.2) * math.tanh(0.7 * 0.5 - 0.1)
    h = sigma(2 * 0.5) * math.tanh(first_cell)
    logits = 2 * h + 0.1, -h + 0.3
    first = logits[1] - math.log(sum(map(math.exp, logits)))
    cell = sigma(-1 * -1 + 0.3 * h + 0.4) * first_cell
    cell += sigma(1 * -1 + 0.5 * h + 0.2) * math.tanh(0.7 * -1 + 1.5 * h - 0.1)
    h = sigma(2 * -1 - h) * math.tanh(cell)
    logits = 2 * h + 0.1, -h + 0.3
    second = logits[0] - math.log(sum(map(math.exp, logits)))

    logprobs_BV, state = net.step(np.array([oracle.START]), net.begin(1))
    assert logprobs_BV[0, 1] == pytest.approx(first, abs=1e-6)
    logprobs_BV, _ = net.step(np.array([1]), state)
    assert logprobs_BV[0, 0] == pytest.approx(second, abs=1e-6)
    assert net.judge([f"{net.words[1]} {net.words[0]}"]).nll_N[0] == pytest.approx(-first - second, abs=1e-6)


def test_a_verdict_is_the_sum_of_the_steps() -> None:
    net = small()
    rows = [[1, 7, 7, 39, 0], [5, 2], [], [3, 3, 3, 3, 3, 3, 3]]
    texts = [" ".join(net.words[word] for word in row) for row in rows]
    nll_N, tokens_N, own_N = net.judge([*texts, "no such words here ."])
    for row, nll in zip(rows, nll_N, strict=False):
        word_B, state, total = np.array([oracle.START]), net.begin(1), 0.0
        for word in row:
            logprobs_BV, state = net.step(word_B, state)
            assert np.exp(logprobs_BV).sum() == pytest.approx(1, abs=1e-5)
            total -= float(logprobs_BV[0, word])
            word_B = np.array([word])
        assert nll == pytest.approx(total, abs=1e-4)
    assert tokens_N.tolist() == [5, 2, 0, 7, 5]
    assert own_N.tolist() == [True, False, False, False, False], "only its own words, and as many as its texts have"
    assert nll_N[-1] == np.inf


def test_its_texts_are_as_surprising_as_they_should_be() -> None:
    """Mean NLL of what it draws against the entropy of each step, averaged over the same texts."""
    net, num = small(), 4000
    words_NT = net.draw_ids(num, seed=1)
    nll_N, tokens_N, own_N = net.judge([text for part in net.draw(num, seed=1) for text in part])
    word_B, state, entropy = np.full(num, oracle.START), net.begin(num), 0.0
    for t in range(net.length):
        logprobs_BV, state = net.step(word_B, state)
        entropy -= float((np.exp(logprobs_BV) * logprobs_BV).sum(axis=1).mean())
        word_B = words_NT[:, t]
    assert own_N.all()
    assert nll_N.sum() / tokens_N.sum() == pytest.approx(entropy / net.length, abs=0.02)


def test_a_text_does_not_depend_on_how_many_are_drawn() -> None:
    few, many = ([text for part in small().draw(num, seed=4) for text in part] for num in (7, 700))
    assert few == many[:7]
    assert few != next(iter(small().draw(7, seed=5)))


def test_words_are_spelt_in_syllables() -> None:
    assert (oracle.spelt(0, 5000), oracle.spelt(1234, 5000)) == ("baba", "diju")
    assert (oracle.spelt(7, 100), oracle.spelt(7, 101)) == ("ci", "baci")
    assert len(set(oracle.vocabulary(5000))) == 5000


def test_the_corpus_keeps_what_defines_it(tmp_path: Path) -> None:
    built = build(tmp_path / "a", oracle=SMALL)
    assert built.summary["splits"] == {"train": 60, "valid": 20, "test": 30}
    assert all(len(text.split()) == 5 for text in built.used)
    kept = drawn.kept(tmp_path / "a")
    assert isinstance(kept, oracle.Oracle)
    assert kept.length == 5
    assert kept.judge(built.used).own_N.all()
    assert (tmp_path / "a" / drawn.VOCABULARY).read_text().split() == kept.words
    again = build(tmp_path / "b", oracle=SMALL)
    assert again.used == built.used
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert drawn.kept(tmp_path) is None


def test_given_parameters_are_part_of_the_identity_and_their_path_is_not(tmp_path: Path) -> None:
    identities: list[dict[str, Any]] = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        oracle.drawn(seed, 5, 40, 6).save(tmp_path / name)
        path = str(tmp_path / name / oracle.FILE)
        identities.append(identity(CorpusConfig.model_validate({"oracle": {**SMALL, "parameters": path}})))
    assert identities[0] == identities[1] != identities[2]


def test_the_length_is_the_configuration_s_not_the_file_s(tmp_path: Path) -> None:
    small(length=9).save(tmp_path)
    assert oracle.load(tmp_path / oracle.FILE).length == 9
    config = CorpusConfig.model_validate({"oracle": {"parameters": str(tmp_path / oracle.FILE), "length": 4}})
    assert len(next(iter(drawn.source(config).draw(1, 0)))[0].split()) == 4  # pyright: ignore[reportOptionalMemberAccess]


def changed(tmp_path: Path, **arrays: Any) -> Path:
    path = tmp_path / "changed.npz"
    own = {**small().parameters, **arrays}
    kept: dict[str, Any] = {key: array for key, array in own.items() if array is not None}
    np.savez(path, **kept)
    return path


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"uog": None}, "has no array 'uog'; expected embedding, wi, ui"),
        ({"bf": np.zeros(7)}, r"'bf' has the shape \(7,\); expected \(H\) with H = 6"),
        ({"wo": np.zeros((40, 6))}, r"'wo' has the shape \(40, 6\); expected \(H, V\)"),
        ({"bo": np.full(40, np.nan)}, "'bo' holds values that are no finite numbers"),
        ({"wi": np.full((6, 6), "x")}, "'wi' holds <U1; expected floating-point numbers"),
        ({"ui": np.full((6, 6), None, object)}, "'ui' is no array of numbers"),
    ],
)
def test_a_file_that_is_no_oracle(tmp_path: Path, arrays: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        oracle.load(changed(tmp_path, **arrays), 5)


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        oracle.load(tmp_path / "none.npz", 5)
    for content in (b"", b"text", b"PK\x03\x04broken"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(UserError, match=r"bad\.npz is no \.npz file of numbers"):
            oracle.load(tmp_path / "bad.npz", 5)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(UserError, match=r"one\.npy is no \.npz file"):
        oracle.load(tmp_path / "one.npy", 5)
