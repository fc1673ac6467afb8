"""vae_crf: labels land on their own tokens, the losses by hand, spans of a VAE are of their text's kind."""

import pytest
import torch
from judge import NamingJudge
from toy import JUDGES, VOCAB, build_generator

from gdcore.adversarial import corruption
from gdcore.adversarial.verdicts import token_verdicts
from gdcore.discriminators import crf
from gdcore.errors import UserError
from gdcore.likelihood import logprobs, nll
from gdcore.networks import latent
from gdcore.objectives import vae_crf


class Labeller(NamingJudge):
    """Says of (text, t) that it is real with probability σ(first token / 10 + t / 100); a label costs what it says."""

    def marginals(self, inputs, mask_BT):
        return torch.sigmoid(self.token_logits(inputs, mask_BT)) * mask_BT

    def loss(self, inputs, labels_BT, mask_BT):
        real_BT = self.marginals(inputs, mask_BT)
        return -torch.where(labels_BT == 1, real_BT, 1 - real_BT)[mask_BT].log().mean()


@pytest.fixture
def labeller():
    return Labeller()


def test_labels_land_on_their_text_and_position(labeller, batch):
    rewards_BT = token_verdicts(labeller, batch)
    for text in range(6):
        for t in range(batch.tokens_BT.shape[1]):
            named = torch.sigmoid(batch.tokens_BT[text, 1] / 10 + t / 100).item()
            assert rewards_BT[text, t].item() == pytest.approx(named if batch.mask_BT[text, t] else 0, abs=1e-6)


def test_generator_loss_by_hand(generator, labeller, batch, other, patched):
    patched(vae_crf, other)
    config = vae_crf.Config(reward_weight=2.0, bound_weight=0.5)
    loss, logs = vae_crf.Objective(config, generator, labeller).generator_loss(batch, 0)
    rewards, logp = token_verdicts(labeller, other).double(), logprobs(generator, other).double()
    advantages, scores = [], []
    for text in range(6):
        for t in range(other.tokens_BT.shape[1]):
            if other.target_BT[text, t]:
                there = [r for r in range(6) if other.target_BT[r, t] and r != text]
                mean = sum(rewards[r, t].item() for r in there) / max(1, len(there))
                advantages.append(rewards[text, t].item() - mean if there else 0.0)
                scores.append(logp[text, t].item())
    spread = torch.tensor(advantages, dtype=torch.float64).std().item()
    policy = -sum(a * s for a, s in zip(advantages, scores, strict=True)) / (spread + 1e-6) / len(scores)
    assert loss.item() == pytest.approx(2 * policy + 0.5 * nll(generator, batch).item(), rel=1e-4)
    counted = rewards[other.target_BT]
    assert logs["reward"].item() == pytest.approx(counted.mean().item(), rel=1e-5)


def test_discriminator_loss_by_hand(generator, labeller, batch, other, patched, monkeypatch):
    patched(vae_crf, other)
    labels_BT = torch.ones_like(batch.tokens_BT)
    labels_BT[:, 2] = 0
    monkeypatch.setattr(vae_crf, "corrupt", lambda *_: (batch, labels_BT))
    loss, logs = vae_crf.Objective(vae_crf.Config(), generator, labeller).discriminator_loss(batch, 0)
    real, fake = (token_verdicts(labeller, texts).double() for texts in (batch, other))
    total = 0.0
    for texts, shares, is_fake in (
        (batch, real, lambda text, t: False),
        (batch, real, lambda text, t: t == 2),
        (other, fake, lambda text, t: t >= 1),  # BOS was given
    ):
        cells = [(text, t) for text in range(6) for t in range(texts.tokens_BT.shape[1]) if texts.mask_BT[text, t]]
        said = [1 - shares[cell].item() if is_fake(*cell) else shares[cell].item() for cell in cells]
        total -= torch.tensor(said).log().mean().item() / 3
    assert loss.item() == pytest.approx(total, rel=1e-4)
    assert logs["accuracy"].item() == 0.5  # it calls everything real
    assert logs["span_recall"].item() == 0


def test_a_vae_is_pretrained_by_its_bound_with_annealing_over(labeller, batch, patched):
    generator = build_generator("vae").eval()
    patched(vae_crf, batch)
    objective = vae_crf.Objective(vae_crf.Config(reward_weight=0), generator, labeller)
    loss, logs = objective.generator_loss(batch, 0)
    assert loss.item() == pytest.approx(generator.pretraining_loss(batch, 10_000)[0].item(), rel=1e-6)
    assert loss.item() != pytest.approx(generator.pretraining_loss(batch, 0)[0].item(), rel=1e-6)
    assert {"nll", "kl", "reconstruction", "reward"} == set(logs)


def test_a_vae_writes_spans_from_the_texts_own_noise(batch, monkeypatch):
    generator, seen = build_generator("vae").eval(), []
    real_complete = corruption.complete

    def spy(*args, noise_BZ, **settings):
        seen.append(noise_BZ)
        return real_complete(*args, noise_BZ=noise_BZ, **settings)

    monkeypatch.setattr(corruption, "complete", spy)
    corruption.corrupt(generator, batch)
    torch.testing.assert_close(seen[0], latent.inferred(generator, batch)[0])


def test_a_crf_learns_to_find_what_was_replaced(generator, batch):
    torch.manual_seed(0)
    judge = crf.Discriminator(JUDGES["crf"], VOCAB)
    objective = vae_crf.Objective(vae_crf.Config(), generator, judge)
    optimizer = torch.optim.Adam(judge.parameters(), 3e-2)
    losses = []
    for step in range(15):
        loss, _ = objective.discriminator_loss(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_it_wants_a_discriminator_that_labels(generator, judge):
    with pytest.raises(UserError, match=r"'causal_lstm' does not. Set discriminator\.name to crf"):
        vae_crf.Objective(vae_crf.Config(), generator, judge)
