"""Several candidates, one kept: by likelihood or by the discriminator's odds, from each text's own seed alone."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy import CONTEXT, TINY, VOCAB

from gdcore.batches import make_batch
from gdcore.candidates import Choice, chosen
from gdcore.decoding import Decoding
from gdcore.discriminators import cnn
from gdcore.errors import UserError
from gdcore.generators import lstm
from gdcore.likelihood import logprobs
from gdcore.sampling import sample, sample_each
from gdcore.tokenizer import BOS, EOS
from gdcore.uniforms import candidate_seeds, row_seeds

GUIDED = Decoding(candidates=6, choose="discriminator")
REJECTED = Decoding(candidates=6)


@pytest.fixture(scope="module")
def generator() -> lstm.Generator:
    """With weights large enough for some texts to be much likelier than others."""
    torch.manual_seed(0)
    model = lstm.Generator(TINY["lstm"], VOCAB, CONTEXT).eval()
    for parameter in model.parameters():
        parameter.data *= 4
    return model


@pytest.fixture(scope="module")
def discriminator() -> cnn.Discriminator:
    torch.manual_seed(1)
    model = cnn.Discriminator(TINY["cnn"], VOCAB)
    for parameter in model.parameters():
        parameter.data *= 3
    return model


def chi_square(counts: np.ndarray, expected: np.ndarray) -> float:
    """In standard deviations above what chance gives on average."""
    rare = expected < 8
    counts, expected = (np.append(each[~rare], each[rare].sum()) for each in (counts, expected))
    freedom = max(1, int((expected > 0).sum()) - 1)
    distance = ((counts - expected) ** 2 / np.maximum(expected, 1e-9))[expected > 0].sum()
    return (distance - freedom) / np.sqrt(2 * freedom)


def test_the_first_candidate_is_the_text_itself_and_more_only_add(generator) -> None:
    seeds = row_seeds(3, 50)
    assert np.array_equal(candidate_seeds(seeds, 1)[:, 0], seeds)
    assert np.array_equal(candidate_seeds(seeds, 16)[:, :4], candidate_seeds(seeds, 4))
    assert len(np.unique(candidate_seeds(seeds, 16))) == 50 * 16
    own = int(seeds[7])
    assert candidate_seeds(seeds, 9)[7, 5] == row_seeds(own, 1, 5)[0]
    assert sample(generator, 20, seed=3, decoding=Decoding(candidates=1, choose="discriminator")) == sample(
        generator, 20, seed=3
    )


@pytest.mark.parametrize("decoding", [GUIDED, REJECTED], ids=str)
def test_texts_do_not_depend_on_the_batch(generator, discriminator, decoding) -> None:
    def drawn(num: int, batch_size: int) -> list[list[int]]:
        return sample(
            generator, num, seed=4, decoding=decoding, batch_size=batch_size, discriminator=discriminator, prompts=[[5]]
        )

    assert drawn(11, 1) == drawn(11, 500) == drawn(23, 30)[:11]


def test_likelihood_keeps_the_likeliest_per_token(generator) -> None:
    first, kept = sample_each(
        generator, 12, seed=9, decodings=[Decoding(temperature=1.3), Decoding(temperature=1.3, candidates=8)]
    )

    def per_token(ids: list[int]) -> float:
        ended = [BOS, *ids, EOS][:CONTEXT]
        tokens = torch.tensor([ended])
        batch = make_batch(tokens, torch.tensor([len(ended)]), torch.tensor([1]))
        return float(logprobs(generator, batch).detach().sum()) / (len(ended) - 1)

    before, after = ([per_token(ids) for ids in texts] for texts in (first, kept))
    assert all(best >= own - 1e-6 for best, own in zip(after, before))
    assert np.mean(after) > np.mean(before) + 0.1


def test_decodings_that_write_alike_share_their_candidates(generator, discriminator) -> None:
    decodings = [Decoding(), REJECTED, GUIDED, GUIDED.model_copy(update={"candidates": 3})]
    together = sample_each(generator, 15, seed=2, decodings=decodings, discriminator=discriminator)
    alone = [sample(generator, 15, seed=2, decoding=each, discriminator=discriminator) for each in decodings]
    assert together == alone
    with pytest.raises(AssertionError, match="do not write alike"):
        sample_each(generator, 2, seed=2, decodings=[Decoding(), Decoding(temperature=0.5)])


def test_models_are_left_in_the_mode_they_were_in(generator, discriminator) -> None:
    discriminator.train()
    sample(generator, 2, seed=0, decoding=GUIDED, discriminator=discriminator)
    assert discriminator.training
    assert not generator.training


def test_guidance_without_a_discriminator_is_refused(generator) -> None:
    with pytest.raises(UserError, match="needs one"):
        sample(generator, 1, seed=0, decoding=GUIDED)


def test_equal_logits_choose_evenly() -> None:
    counts = np.bincount(chosen(np.full((8000, 5), 2.5), row_seeds(1, 8000), "discriminator"), minlength=5)
    assert chi_square(counts, np.full(5, 1600.0)) < 4


@pytest.mark.parametrize("choose", ["likelihood", "discriminator"])
def test_a_constant_added_to_every_score_changes_nothing(choose: Choice) -> None:
    scores, seeds = np.random.default_rng(0).normal(0, 3, (500, 4)), row_seeds(1, 500)
    assert np.array_equal(chosen(scores, seeds, choose), chosen(scores + 1000, seeds, choose))


def test_choice_by_hand() -> None:
    scores = np.log(np.array([[1.0, 2.0, 1.0]]))
    assert chosen(scores, row_seeds(0, 1), "likelihood").tolist() == [1]
    shares = np.bincount(chosen(np.repeat(scores, 20_000, 0), row_seeds(0, 20_000), "discriminator")) / 20_000
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.012)


class Unigram(nn.Module):
    """One word of known probability, then the end."""

    def __init__(self, mass: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.log(mass))
        self.vocab_size, self.context = len(mass), 3

    def initial_state(self, batch_size: int, device: object = "cpu") -> tuple[Tensor]:
        return (torch.zeros(1, batch_size, 1),)

    def step(self, token_B: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        ended_BV = torch.full((len(token_B), self.vocab_size), -30.0)
        ended_BV[:, EOS] = 0
        return torch.where((token_B == BOS).unsqueeze(1), self.weight, ended_BV), state


class Favour(nn.Module):
    """A logit for the first word, known exactly."""

    def __init__(self, logits_V: Tensor) -> None:
        super().__init__()
        self.logits_V = logits_V

    def forward(self, tokens_BT: Tensor, mask_BT: Tensor) -> Tensor:
        return self.logits_V[tokens_BT[:, 1]]


@pytest.mark.parametrize("candidates", [2, 4, 40])
def test_guided_texts_follow_the_tilted_distribution(candidates: int) -> None:
    """P_G and D are known: with many candidates P ∝ P_G·exp(logit D); with few, what self-normalising makes of it."""
    mass = torch.tensor([0, 0, 0, 0, 0, 0.5, 0.3, 0.15, 0.05]) + 1e-12
    logits = torch.tensor([0.0, 0, 0, 0, 0, -1.0, 0.5, 1.0, 1.5])
    num = 3000 if candidates < 40 else 1000
    decoding = Decoding(candidates=candidates, choose="discriminator")
    texts = sample(Unigram(mass), num, seed=5, decoding=decoding, discriminator=Favour(logits), batch_size=100_000)  # type: ignore[arg-type]
    counts = np.bincount([ids[0] for ids in texts], minlength=9)[5:]
    tilted = (mass * logits.exp())[5:].numpy()
    tilted /= tilted.sum()
    if candidates == 40:  # the bias of so many is below a hundredth
        assert counts / num == pytest.approx(tilted, abs=0.05)
        return
    expected = by_enumeration(mass[5:].double().numpy(), np.exp(logits[5:].double().numpy()), candidates)
    assert chi_square(counts, expected * num) < 4
    assert abs(expected - tilted).sum() < abs(mass[5:].numpy() - tilted).sum()


def by_enumeration(mass: np.ndarray, odds: np.ndarray, candidates: int) -> np.ndarray:
    """The exact law of the kept word, over all the candidates that can be drawn."""
    grid = np.stack(np.meshgrid(*[np.arange(len(mass))] * candidates, indexing="ij"), -1).reshape(-1, candidates)
    likelihood, shares = mass[grid].prod(axis=1), odds[grid] / odds[grid].sum(axis=1, keepdims=True)
    return np.bincount(grid.ravel(), (likelihood[:, None] * shares).ravel(), len(mass))
