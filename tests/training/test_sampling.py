"""The sampler: exact decoding rules by hand, texts that depend on their seed alone, prompts, stops."""

import numpy as np
import pytest
import torch
from toy import CONTEXT, TINY, VOCAB

from gdcore.decoding import Decoding
from gdcore.generators import lstm
from gdcore.sampling import FORBIDDEN, complete, pick, sample
from gdcore.tokenizer import BOS, EOS, PAD, SEP
from gdcore.uniforms import row_seeds


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return lstm.Generator(TINY["lstm"], VOCAB, CONTEXT).eval()


def masses(*values: float) -> torch.Tensor:
    """Logits whose softmax is `values` on the tokens after the special ones, and next to nothing before them."""
    return torch.tensor([[-50.0] * 5 + [float(np.log(value)) for value in values]])


@pytest.mark.parametrize(("uniform", "token"), [(0.05, 5), (0.15, 6), (0.65, 7), (0.95, 7)])
def test_inverse_cdf_in_vocabulary_order(uniform, token):
    logits = masses(0.1, 0.5, 0.4)
    assert pick(logits, torch.tensor([uniform]), Decoding()).item() == token


def test_greedy_takes_the_likeliest_and_the_lower_of_equals():
    assert pick(masses(0.2, 0.4, 0.4), torch.tensor([0.9]), Decoding(temperature=0)).item() == 6


def draws(logits: torch.Tensor, decoding: Decoding) -> dict[int, float]:
    """The share of each token over an even grid of uniform numbers."""
    grid = (torch.arange(4000) + 0.5) / 4000
    tokens = pick(logits.repeat(len(grid), 1), grid, decoding)
    return {
        token: round(share, 2) for token, share in enumerate((torch.bincount(tokens) / len(grid)).tolist()) if share
    }


def test_temperature_sharpens():
    shares = draws(masses(0.5, 0.25, 0.25), Decoding(temperature=0.5))
    assert shares == {
        5: pytest.approx(2 / 3, abs=0.01),
        6: pytest.approx(1 / 6, abs=0.01),
        7: pytest.approx(1 / 6, abs=0.01),
    }


def test_top_k_keeps_the_lower_ids_of_equals():
    assert draws(masses(0.2, 0.2, 0.4, 0.2), Decoding(top_k=2)) == {
        5: pytest.approx(0.33, abs=0.01),
        7: pytest.approx(0.67, abs=0.01),
    }


def test_top_p_keeps_the_token_that_reaches_p():
    # 0.4 alone is below 0.6; with 0.3 the nucleus is full.
    shares = draws(masses(0.1, 0.4, 0.2, 0.3), Decoding(top_p=0.6))
    assert set(shares) == {6, 8}
    assert shares[6] == pytest.approx(4 / 7, abs=0.03)


def test_min_p_keeps_what_is_that_share_of_the_likeliest_at_the_temperature_used():
    mass = masses(0.1, 0.4, 0.2, 0.3)
    assert set(draws(mass, Decoding(min_p=0.6))) == {6, 8}
    assert draws(mass, Decoding(min_p=0.6))[6] == pytest.approx(4 / 7, abs=0.03)
    # At half the temperature masses are squared: .3²/.4² is .56, below .6; at twice, √.2/√.4 is .71 and √.1/√.4 is .5.
    assert set(draws(mass, Decoding(min_p=0.6, temperature=0.5))) == {6}
    assert set(draws(mass, Decoding(min_p=0.6, temperature=2))) == {6, 7, 8}
    assert set(draws(mass, Decoding(min_p=1))) == {6}
    assert set(draws(masses(0.25, 0.25, 0.25, 0.25), Decoding(min_p=1))) == {5, 6, 7, 8}


def test_of_top_p_and_min_p_the_stricter_decides():
    mass = masses(0.1, 0.4, 0.2, 0.3)
    assert set(draws(mass, Decoding(top_p=0.6, min_p=0.3))) == {6, 8}
    assert set(draws(mass, Decoding(top_p=0.95, min_p=0.6))) == {6, 8}


def test_forbidden_tokens_never_come():
    logits = torch.zeros(512, VOCAB)
    logits[:, list(FORBIDDEN)] = 9
    grid = (torch.arange(512) + 0.5) / 512
    assert not set(pick(logits, grid, Decoding()).tolist()) & set(FORBIDDEN)


def test_texts_do_not_depend_on_the_batch(generator):
    alone = sample(generator, 9, seed=4, batch_size=1)
    assert sample(generator, 9, seed=4, batch_size=9) == alone
    assert sample(generator, 5, seed=4, batch_size=3) == alone[:5]
    assert sample(generator, 9, seed=5) != alone


def test_prompts_of_different_length_give_what_each_gives_alone(generator):
    prompts = [[5], [6, 7, 8], [9, 10]]
    together = sample(generator, 6, seed=1, prompts=prompts)
    given = [torch.tensor([[BOS, *prompts[i % 3], SEP]]) for i in range(6)]
    seeds = row_seeds(1, 6)
    for i, text in enumerate(together):
        lengths = torch.tensor([given[i].shape[1]])
        batch = complete(
            generator, given[i], lengths, max_tokens=CONTEXT, decoding=Decoding(), seeds_B=seeds[i : i + 1]
        )
        new = batch.tokens_BT[batch.target_BT]
        assert text == new[new != EOS].tolist()


def test_a_full_forward_pass_gives_the_same_greedy_text(generator):
    text = sample(generator, 1, seed=0, decoding=Decoding(temperature=0))[0]
    tokens = [BOS]
    while len(tokens) < CONTEXT and tokens[-1] != EOS:
        logits = generator.logits(torch.tensor([tokens]))[0, -1]
        logits[list(FORBIDDEN)] = -torch.inf
        tokens.append(int(logits.argmax()))
    assert text == [token for token in tokens[1:] if token != EOS]


def test_length_is_bounded_by_max_tokens_and_context(generator):
    generator.output.bias.data[EOS] = -50.0  # never ends by itself
    assert {len(text) for text in sample(generator, 4, seed=0, max_tokens=3)} == {3}
    assert {len(text) for text in sample(generator, 4, seed=0)} == {CONTEXT - 1}
    assert {len(text) for text in sample(generator, 2, seed=0, prompts=[[5, 6]])} == {CONTEXT - 4}


def test_nothing_follows_eos(generator):
    generator.output.bias.data[EOS] += 1.0
    lengths = torch.ones(64, dtype=torch.long)
    given = torch.full((64, 1), BOS)
    batch = complete(generator, given, lengths, max_tokens=CONTEXT, decoding=Decoding(), seeds_B=row_seeds(2, 64))
    for row, mask in zip(batch.tokens_BT.tolist(), batch.mask_BT.tolist()):
        ids = [token for token, real in zip(row, mask) if real]
        assert EOS not in ids[:-1]
        assert all(token == PAD for token in row[len(ids) :])


def test_a_prompt_longer_than_the_context_is_refused(generator):
    with pytest.raises(ValueError, match="context holds 12"):
        sample(generator, 1, seed=0, prompts=[[5] * CONTEXT])
