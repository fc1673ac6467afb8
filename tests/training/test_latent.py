"""Latent variables: the bounds against the integral they bound, noise from seeds, the loss by hand, what is written."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from toy import CONTEXT, TINY, VOCAB, build_discriminator, build_generator, players, toy_rows, write_toy

from gdcore import plugins
from gdcore.batches import make_batch, ordered_batches
from gdcore.decoding import Decoding
from gdcore.errors import UserError
from gdcore.likelihood import conditional_logprobs, logprobs, nll, score, text_logprobs
from gdcore.networks import latent
from gdcore.networks.reconstruction import interpolated, reconstructed, study, written
from gdcore.objectives import cot
from gdcore.sampling import complete, complete_batch
from gdcore.tokenizer import BOS, EOS, PAD, Tokenizer
from gdcore.training.phases import open_split
from gdcore.uniforms import normals, row_seeds

LATENT = [name for name in plugins.names("generators") if latent.noise_dim(build_generator(name))]


def build(name: str = "vae", **settings: float) -> Any:
    torch.manual_seed(0)
    generator = plugins.load("generators", name).Generator(TINY[name].model_copy(update=settings), VOCAB, CONTEXT)
    with torch.no_grad():  # so that z matters, the encoder says something, and a map is not the identity
        for label, parameter in generator.named_parameters():
            parameter.normal_(std=0.3) if label.startswith("map.") else parameter.mul_(3)
    return generator.eval()


def texts(num: int):
    rows = [[BOS, *row, EOS] for row in toy_rows(num, 0)]
    tokens_BT = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    return make_batch(tokens_BT, torch.tensor([len(row) for row in rows]), torch.ones(num, dtype=torch.long))


def start(num: int):
    return torch.full((num, 1), BOS), torch.ones(num, dtype=torch.long)


@pytest.mark.parametrize("name", LATENT)
@torch.no_grad()
def test_bounds_lie_below_the_integral_and_many_draws_reach_it(name, monkeypatch):
    generator, batch = build(name, latent_dim=1, dropout=0.0), texts(6)
    grid = torch.linspace(-7, 7, 141)
    given = [logprobs(generator, replace(batch, noise_BZ=z.expand(6, 1))).sum(1) for z in grid]
    weight = -0.5 * grid.square() - 0.5 * math.log(2 * math.pi) + math.log(14 / 140)
    exact_B = (torch.stack(given) + weight.unsqueeze(1)).logsumexp(0)
    mean_BZ, log_variance_BZ = latent.posterior(generator, batch)
    monkeypatch.setattr(latent, "NUM_DRAWS", 256)
    elbo = []
    for noise_BZ, log_ratio_B in latent.weighted_draws(generator, batch):
        elbo.append(logprobs(generator, replace(batch, noise_BZ=noise_BZ)).sum(1) + log_ratio_B)
    elbo_B, closer_B = torch.stack(elbo).mean(0), text_logprobs(generator, batch)
    assert (elbo_B < closer_B).all()
    assert (closer_B < exact_B + 0.1).all()
    torch.testing.assert_close(closer_B, exact_B, atol=0.4, rtol=0)
    assert (exact_B - elbo_B).mean() > 4 * (exact_B - closer_B).abs().mean()
    # The divergence, in closed form but for a map, is the mean of log q/p.
    expected_B = torch.stack([-ratio for _, ratio in latent.weighted_draws(generator, batch)]).mean(0)
    generator.train()
    found_B = torch.stack([latent.inferred(generator, batch)[1].sum(1) for _ in range(100)]).mean(0)
    torch.testing.assert_close(found_B, expected_B, atol=0.2, rtol=0.05)
    assert mean_BZ.shape == log_variance_BZ.shape == (6, 1)


@pytest.mark.parametrize("name", LATENT)
@torch.no_grad()
def test_a_held_out_figure_depends_on_the_text_alone(name):
    generator, batch = build(name), texts(6)
    sums_N, _ = score(generator, [batch])
    alone_N = torch.cat([score(generator, [batch.rows(torch.tensor([i]))])[0] for i in range(6)])
    torch.testing.assert_close(alone_N, sums_N, atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(logprobs(generator, batch), logprobs(generator, batch))


@torch.no_grad()
def test_the_divergence_is_charged_to_each_texts_last_token():
    generator, batch = build(), texts(5)
    noise_BZ, divergence_BZ = latent.inferred(generator, batch)
    given_BT = logprobs(generator, replace(batch, noise_BZ=noise_BZ))
    charged_BT = given_BT - logprobs(generator, batch)
    last_B = batch.mask_BT.sum(1) - 1
    torch.testing.assert_close(charged_BT[range(5), last_B], divergence_BZ.sum(1))
    charged_BT[range(5), last_B] = 0
    assert (charged_BT == 0).all()


def test_a_texts_noise_is_its_seeds_and_stays_with_it():
    generator = build()
    seeds = row_seeds(3, 9)
    whole = complete(generator, *start(9), max_tokens=CONTEXT, decoding=Decoding(), seeds_B=seeds)
    assert torch.equal(whole.noise_BZ, torch.from_numpy(normals(seeds, 4)))
    for i in (2, 8):
        alone = complete(generator, *start(1), max_tokens=CONTEXT, decoding=Decoding(), seeds_B=seeds[i : i + 1])
        assert alone.tokens_BT[alone.mask_BT].tolist() == whole.tokens_BT[i][whole.mask_BT[i]].tolist()
    assert torch.equal(whole.rows(torch.tensor([4, 1])).noise_BZ, whole.noise_BZ[[4, 1]])
    other = written(generator, whole, -whole.noise_BZ, Decoding())
    assert other.tokens_BT.tolist() != whole.tokens_BT.tolist()
    with torch.no_grad():
        assert torch.equal(
            logprobs(generator, whole)[whole.target_BT], conditional_logprobs(generator, whole, whole.noise_BZ)
        )


@torch.no_grad()
def test_pretraining_loss_by_hand():
    generator, batch = build(word_dropout=0.0, free_bits=0.3, beta=0.8), texts(6)
    noise_BZ, divergence_BZ = latent.inferred(generator, batch)
    reconstruction = -float(conditional_logprobs(generator, batch, noise_BZ).sum())
    divergence_Z = divergence_BZ.mean(0).tolist()
    tokens = int(batch.target_BT.sum())
    assert min(divergence_Z) < 0.3 < max(divergence_Z)
    for step, beta in ((4, 0.8 * 0.5), (9, 0.8), (50, 0.8)):
        loss, logs = generator.pretraining_loss(batch, step)
        expected = reconstruction + beta * 6 * sum(max(0.3, each) for each in divergence_Z)
        assert loss.item() == pytest.approx(expected / tokens, rel=1e-5)
        assert logs["nll"].item() == pytest.approx((reconstruction + 6 * sum(divergence_Z)) / tokens, rel=1e-5)
        assert logs["nll"].item() == pytest.approx(nll(generator, batch).item(), rel=1e-5)


def test_words_are_dropped_in_training_alone():
    generator, (tokens_BT, _) = build(word_dropout=0.9, dropout=0.0), (texts(8).tokens_BT, None)
    still = generator.hidden(tokens_BT)
    generator.train()
    torch.testing.assert_close(generator.hidden(tokens_BT)[:, 0], still[:, 0])
    assert not torch.allclose(generator.hidden(tokens_BT)[:, 2:], still[:, 2:])


def test_active_units_are_those_whose_mean_varies():
    means = torch.stack([torch.linspace(-1, 1, 50), torch.full((50,), 2.0), torch.linspace(0, 0.1, 50)], 1)
    assert latent.active_units(means) == 1


def test_reconstructions_and_interpolations(tmp_path):
    generator, batch = build(), texts(4)
    again = reconstructed(generator, batch)
    assert torch.equal(again.noise_BZ, latent.posterior(generator, batch)[0])
    path = interpolated(generator, batch, batch.rows(torch.tensor([1, 2, 3, 0])), 3)
    assert path[0].tokens_BT.tolist() == again.tokens_BT.tolist()
    torch.testing.assert_close(path[1].noise_BZ, (again.noise_BZ + again.noise_BZ[[1, 2, 3, 0]]) / 2)
    tokens, validation = write_toy(tmp_path)
    valid = open_split(tokens, validation, "valid")
    found = study(generator, ordered_batches(valid, 10), Tokenizer.load(tokens))
    assert found["latent_dim"] == 4
    assert 0 <= found["active_units"] <= 4
    assert 0 <= found["kept"] <= 1
    assert found["kl"] > 0
    assert [len(one) for one in found["interpolations"]] == [5] * 5
    assert found["reconstructions"][0][0].startswith("w")


def test_cot_which_compares_next_words_refuses_it():
    with pytest.raises(UserError, match="latent variables, as 'vae' has"):
        cot.Objective(cot.Config(), build_generator("vae"), build_discriminator("cnn"))


@pytest.mark.parametrize("name", [name for name in plugins.names("objectives") if name != "cot"])
def test_every_objective_trains_it(name):
    generator, _, objective = players(name, ["vae", "latent_gan"])
    loss, _ = objective.generator_loss(texts(8), 0)
    loss.backward()
    assert torch.isfinite(loss)
    reads_z = generator.map.nets[0][2].weight if name == "latent_gan" else generator.decoder.lstm.weight_ih_l0
    assert reads_z.grad[:, -4:].abs().sum() > 0


def test_real_text_has_no_noise_and_fresh_text_has():
    assert texts(3).noise_BZ.shape == (3, 0)
    assert complete_batch(build(), texts(3)).noise_BZ.shape == (3, 4)
    assert (texts(3).tokens_BT == PAD).any()
