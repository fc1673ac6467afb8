"""The neural reverse LM score, on texts that a few steps suffice for."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Stated
from gdcore.evaluation.ngrams import Vocabulary
from gdcore.metrics import reverse_neural_lm
from gdcore.metrics.reverse_neural_lm import Config

Texts = list[list[str]]
TINY = Config(epochs=12, embedding_dim=8, hidden_dim=8, dropout=0.0, learning_rate=0.02, batch_size=16, draws=2)


def measured(samples: Texts, references: Texts, config: Config = TINY, seed: int = 0) -> Stated:
    found = reverse_neural_lm.score(config, Evidence(samples, references, seed=seed))["reverse_neural_lm"]
    assert isinstance(found, Stated)
    return found


def chain(number: int, seed: int) -> Texts:
    """Texts that count up from a random start: what comes next is certain, and where to begin is not."""
    rng = np.random.default_rng(seed)
    return [[f"w{(start + i) % 5}" for i in range(4)] for start in rng.integers(5, size=number)]


@pytest.mark.slow
def test_it_learns_what_there_is_to_learn() -> None:
    # One choice of five at the start, none after it, and the end is sure: ln 5 over 5 tokens.
    found = measured(chain(120, 1), chain(40, 2), TINY.model_copy(update={"epochs": 30}))
    assert found.value == pytest.approx(np.log(5) / 5, abs=0.1)
    assert found.low < found.value < found.high


@pytest.mark.slow
def test_shuffled_and_collapsed_samples_prepare_worse() -> None:
    samples, references = chain(120, 1), chain(40, 2)
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(text).tolist() for text in samples]
    real = measured(samples, references).value
    assert measured(shuffled, references).value > real + 0.2
    assert measured(samples[:1] * 120, references).value > real + 0.2


def test_the_order_of_texts_and_the_callers_random_numbers_do_not_matter(random_texts: Callable[..., Texts]) -> None:
    samples, references = random_texts(40, 1), random_texts(40, 2)
    few = TINY.model_copy(update={"epochs": 2})
    torch.manual_seed(1)
    state = torch.get_rng_state()
    found = measured(samples, references, few)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert measured(samples, references, few) == found
    assert measured(samples[::-1], references[::-1], few).value == pytest.approx(found.value, abs=1e-12)
    assert measured(samples, references, few, 5) != found


def test_probabilities_sum_to_one() -> None:
    """Over the words, UNK and EOS; BOS is never predicted and rows of other lengths do not matter."""
    vocabulary = Vocabulary([["a", "b"]])
    samples = reverse_neural_lm._rows(vocabulary.encode([["a", "b"], ["b"]]))[0]
    model = reverse_neural_lm._trained(TINY, samples, vocabulary, 0)
    # p(EOS) + Σ p(word first): every text's first token.
    firsts = [[], ["a"], ["b"], ["unheard"]]
    rows, order = reverse_neural_lm._rows(vocabulary.encode(firsts))
    with torch.no_grad():
        nll_K, text_K = reverse_neural_lm._token_nll(model, torch.from_numpy(rows))
    first_N = [float(nll_K[text_K == place][0]) for place in range(len(firsts))]
    assert np.exp(-np.array(first_N)).sum() == pytest.approx(1, abs=1e-6)
    alone = [
        reverse_neural_lm._nll(model, reverse_neural_lm._rows(vocabulary.encode([text]))[0], 4)[0] for text in firsts
    ]
    together = reverse_neural_lm._nll(model, rows, 4)
    assert together == pytest.approx([alone[index] for index in order], abs=1e-5)
