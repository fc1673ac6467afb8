"""What every encoder must offer; a new file is found by itself. And the default one against linear algebra."""

from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from gdcore import plugins
from gdcore.encoders import tfidf_svd, wordllama
from gdcore.errors import UserError

Texts = list[list[str]]


def phrases(number: int, seed: int, words: int = 60) -> Texts:
    rng = np.random.default_rng(seed)
    return [[f"w{int(words * rng.random() ** 2)}" for _ in range(rng.integers(1, 12))] for _ in range(number)]


@pytest.fixture(params=plugins.names("encoders"))
def fit(request: pytest.FixtureRequest) -> Callable[[Texts], object]:
    if request.param == "wordllama" and find_spec("wordllama") is None:
        pytest.skip("the extra `encoder` is not installed")
    return plugins.load("encoders", request.param).fit


def test_a_text_has_one_place_whatever_is_encoded_with_it(fit) -> None:
    encoder, texts = fit(phrases(50, 1)), phrases(9, 2)
    points_ND = encoder.encode(texts)
    assert points_ND.dtype == np.float64
    assert np.isfinite(points_ND).all()
    np.testing.assert_allclose(encoder.encode(texts[::-1])[::-1], points_ND, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([encoder.encode([text]) for text in texts]), points_ND, atol=1e-6)


def test_empty_texts_and_no_texts_have_their_place(fit) -> None:
    encoder = fit(phrases(50, 1))
    dim = encoder.encode(phrases(2, 3)).shape[1]
    assert encoder.encode([]).shape == (0, dim)
    assert np.isfinite(encoder.encode([[], ["never", "seen"]])).all()


def test_too_little_text_to_learn_from_is_no_fault(fit) -> None:
    for references in ([["one"]], [["a"], ["b"]], [[]]):
        assert len(fit(references).encode([["a"], []])) == 2


@pytest.mark.parametrize("number", [40, 420])
def test_tfidf_svd_keeps_the_strongest_directions(number: int) -> None:
    """By a dense decomposition of the same rows, worked out the long way; 420 texts take the sparse path."""
    texts = phrases(number, 4, words=70)
    grams = [[*text, *pairwise(text)] for text in texts]
    frequency = {}
    for text in grams:
        for gram in set(text):
            frequency[gram] = frequency.get(gram, 0) + 1
    known = sorted((gram for gram, count in frequency.items() if count > 1), key=str)
    rows = np.zeros((number, len(known)))
    for row, text in zip(rows, grams):
        weight = {
            gram: (1 + np.log(text.count(gram)))
            * (np.log((1 + number) / (1 + (frequency[gram] if frequency[gram] > 1 else 0))) + 1)
            for gram in text
        }
        length = np.sqrt(sum(each**2 for each in weight.values()))
        row[:] = [weight.get(gram, 0) / length for gram in known]
    values, right = np.linalg.svd(rows, full_matrices=False)[1:]
    dim = min(tfidf_svd.DIM, len(values))
    points_ND = tfidf_svd.fit(texts).encode(texts)
    assert points_ND.shape[1] == dim + 1
    expected_ND = rows @ right[:dim].T
    familiarity_N = np.linalg.norm(expected_ND, axis=1)
    expected_ND /= np.maximum(familiarity_N, 1e-12)[:, None]
    # The same up to a rotation: all products agree.
    np.testing.assert_allclose(points_ND[:, :-1] @ points_ND[:, :-1].T, expected_ND @ expected_ND.T, atol=1e-8)
    np.testing.assert_allclose(points_ND[:, -1], 0.25 * familiarity_N / familiarity_N.std(), atol=1e-8)


def test_tfidf_svd_knows_foreign_wording() -> None:
    references = phrases(200, 5)
    encoder = tfidf_svd.fit(references)
    rng = np.random.default_rng(0)
    shuffled = [[text[i] for i in rng.permutation(len(text))] for text in references]
    own, mixed, foreign = (encoder.encode(texts)[:, -1].mean() for texts in (references, shuffled, [["x", "y"]]))
    assert own > 1.1 * mixed
    assert foreign == 0


def test_wordllama_gives_the_packages_own_vectors_and_knows_like_from_unlike() -> None:
    package = pytest.importorskip("wordllama", reason="the extra `encoder` is not installed")
    folder = Path(package.__file__).parent
    # Its own `load` looks for the tokeniser in the wrong folder and would download it.
    (vectors_VD,) = load_file(folder / wordllama.WEIGHTS).values()
    theirs = package.WordLlamaInference(vectors_VD[:, :64], Tokenizer.from_file(str(folder / wordllama.TOKENIZER)))
    texts = ["a man rides a bicycle", "someone on a bike", "the kitchen has a sink ."]
    own_ND = wordllama.fit([]).encode([text.split() for text in texts])
    np.testing.assert_allclose(own_ND, theirs.embed(texts, norm=True), atol=1e-5)
    assert own_ND[0] @ own_ND[1] > own_ND[0] @ own_ND[2] + 0.2


def test_without_its_package_the_encoder_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordllama, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"is not installed; install it with: pip install 'gdflow\[encoder\]'"):
        wordllama.fit([["a"]])


def test_a_misspelt_encoder_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"no encoder named 'tfidf'; there are .*tfidf_svd"):
        plugins.load("encoders", "tfidf")
