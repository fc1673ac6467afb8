"""Held-out NLL at a temperature: of the distribution that the sampler draws from."""

import numpy as np
import pytest
import torch
from toy import TINY, VOCAB, toy_rows, write_toy

from gdcore import plugins
from gdcore.decoding import Decoding
from gdcore.evaluation.tempered import tempered_nll
from gdcore.metrics.nll import held_out
from gdcore.shards import Shards
from gdcore.tokenizer import BOS, EOS, FORBIDDEN


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    tokens, _ = write_toy(tmp_path_factory.mktemp("toy"))
    return Shards.open(tokens, "valid")


def model(name: str = "lstm") -> torch.nn.Module:
    torch.manual_seed(0)
    return plugins.load("generators", name).Generator(TINY[name], VOCAB, 12).eval()


@pytest.mark.parametrize(("temperature", "ends"), [(1.0, True), (0.7, True), (1.3, False)])
@torch.no_grad()
def test_token_by_token(shards: Shards, temperature: float, ends: bool) -> None:
    generator = model()
    found = tempered_nll(generator, shards, Decoding(temperature=temperature), ends=ends, batch_size=8)
    assert found is not None
    never = [*FORBIDDEN, *([] if ends else [EOS])]
    for row in range(len(shards)):
        _, ids = shards.row(row)
        tokens = [BOS, *ids.tolist(), *([EOS] if ends else [])]
        logits_TV = generator.logits(torch.tensor([tokens[:-1]]))[0].double()
        logits_TV[:, never] = -torch.inf
        logprobs_TV = (logits_TV / temperature).log_softmax(dim=-1)
        expected = -sum(float(logprobs_TV[t, token]) for t, token in enumerate(tokens[1:]))
        assert found.numerators_N[row] == pytest.approx(expected, abs=1e-4)
        assert found.denominators_N[row] == len(tokens) - 1


def test_at_temperature_1_only_the_special_tokens_are_missing(shards: Shards) -> None:
    generator = model()
    plain, found = held_out(generator, shards), tempered_nll(generator, shards, Decoding())
    assert found is not None
    assert np.array_equal(found.denominators_N, plain.denominators_N)
    assert (found.numerators_N < plain.numerators_N).all(), "their mass goes to the words"


@pytest.mark.parametrize(
    ("name", "decoding"),
    [
        ("lstm", Decoding(temperature=0)),
        ("lstm", Decoding(top_k=3)),
        ("lstm", Decoding(temperature=0.9, min_p=0.1)),
        ("lstm", Decoding(candidates=2)),
        ("vae", Decoding()),
    ],
)
def test_what_has_no_likelihood_has_none_here(shards: Shards, name: str, decoding: Decoding) -> None:
    assert tempered_nll(model(name), shards, decoding) is None


def test_the_toy_rows_are_what_is_scored(shards: Shards) -> None:
    assert len(shards) == len(toy_rows(32, 1)) == 32
