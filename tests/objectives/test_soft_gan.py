"""gsgan and relgan by hand: what they draw, what they minimise, the penalty on the gradient, a verdict per view."""

import math

import pytest
import torch
from judge import NamingJudge
from torch.nn.functional import one_hot
from toy import JUDGES, VOCAB, build_discriminator, build_generator

from gdcore import plugins
from gdcore.adversarial import gan_losses, soft_gan
from gdcore.adversarial.soft_sampling import SoftTexts
from gdcore.likelihood import nll
from gdcore.objectives import gsgan, relgan

SHARP = 0.75


def soft(batch) -> SoftTexts:
    """Each token with probability .75, token 5 with the rest."""
    rows_BTV = SHARP * one_hot(batch.tokens_BT, VOCAB) + (1 - SHARP) * one_hot(torch.tensor(5), VOCAB)
    return SoftTexts((rows_BTV * batch.mask_BT.unsqueeze(2)).requires_grad_(), batch)


def named(batch) -> list[float]:
    return [row[1].item() / 10 for row in batch.tokens_BT]


def blurred(batch) -> list[float]:
    return [(SHARP * row[1].item() + (1 - SHARP) * 5) / 10 for row in batch.tokens_BT]


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


@pytest.fixture
def drawn(monkeypatch, other):
    """What `sample_soft` was asked for; it answers with `other`, softened."""
    asked = []

    def sample(generator, batch, inverse_temperature, feed):
        asked.append((inverse_temperature, feed))
        return soft(other)

    for module in (gsgan, relgan):
        monkeypatch.setattr(module, "sample_soft", sample)
    return asked


def test_gsgan(generator, judge, batch, other, drawn):
    objective = gsgan.Objective(gsgan.Config(anneal_steps=4, mle_weight=0.5), generator, judge)
    loss, logs = objective.generator_loss(batch, 2)
    assert loss.item() == pytest.approx(mean(softplus(-y) for y in blurred(other)) + 0.5 * nll(generator, batch).item())
    assert logs["reward"].item() == pytest.approx(mean(blurred(other)) - mean(named(batch)))
    loss, logs = objective.discriminator_loss(batch, 4)
    expected = (mean(softplus(-x) for x in named(batch)) + mean(softplus(y) for y in blurred(other))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert drawn == [(1 / 3, "soft"), (1, "soft")]  # τ falls from 5 to 1


def test_relgan(generator, judge, batch, other, drawn):
    objective = relgan.Objective(relgan.Config(anneal_steps=4), generator, judge)
    pairs = list(zip(named(batch), blurred(other), strict=True))
    loss, logs = objective.generator_loss(batch, 2)
    assert loss.item() == pytest.approx(mean(softplus(x - y) for x, y in pairs), rel=1e-6)
    assert set(logs) == {"reward"}
    loss, logs = objective.discriminator_loss(batch, 4)
    assert loss.item() == pytest.approx(mean(softplus(y - x) for x, y in pairs), rel=1e-6)
    assert logs["accuracy"].item() == pytest.approx(mean(x > y for x, y in pairs))
    assert drawn == [(pytest.approx(10), "drawn"), (pytest.approx(100), "drawn")]


@pytest.mark.parametrize("module", [gsgan, relgan])
def test_wasserstein_comes_with_its_penalty(module, generator, judge, batch, other, drawn):
    objective = module.Objective(module.Config(loss="wasserstein", gradient_penalty=3.0), generator, judge)
    loss, logs = objective.discriminator_loss(batch, 0)
    # The logit is Σ_v v · row_v / 10 at the second token: its gradient is v/10 there and 0 elsewhere, wherever taken.
    norm = math.sqrt(sum(v * v for v in range(VOCAB))) / 10
    assert logs["gradient_penalty"].item() == pytest.approx((norm - 1) ** 2, rel=1e-5)
    assert loss.item() == pytest.approx(mean(blurred(other)) - mean(named(batch)) + 3 * (norm - 1) ** 2, rel=1e-5)
    loss.backward()
    assert judge.scale.grad is not None
    without = module.Objective(module.Config(loss="wasserstein", gradient_penalty=0), generator, NamingJudge())
    assert "gradient_penalty" not in without.discriminator_loss(batch, 0)[1]


def test_a_gradient_penalty_by_hand():
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    real, fake = torch.randn(5, 2), torch.randn(5, 2)
    penalty = gan_losses.gradient_penalty(lambda x: x @ weight, real, fake)
    assert penalty.item() == pytest.approx((5 - 1) ** 2)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert gradient.tolist() == pytest.approx([2 * 4 * 0.6, 2 * 4 * 0.8])  # 2 (‖w‖ − 1) w/‖w‖


def test_the_penalty_is_taken_between_the_two():
    # ∇ ½‖x‖² = x: the norm is that of the place itself, on the way from length 2 to length 4.
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.square().sum(1) / 2

    real, fake = 2 * torch.eye(3), 4 * torch.eye(3)
    penalty = gan_losses.gradient_penalty(critic, real, fake)
    lengths = seen[0].norm(dim=1)
    assert ((lengths >= 2) & (lengths <= 4)).all()
    assert len(set(lengths.tolist())) == 3  # each text its own place
    assert penalty.item() == pytest.approx(mean((length - 1) ** 2 for length in lengths.tolist()), rel=1e-5)


@pytest.mark.parametrize("name", plugins.names("discriminators"))
def test_the_penalty_moves_every_discriminator(name, batch, other):
    discriminator = build_discriminator(name)
    penalty = soft_gan.penalty(discriminator, batch, soft(other).rows_BTV, other.mask_BT)
    penalty.backward()
    gradients = [p.grad for p in discriminator.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0


def test_each_view_is_judged_by_itself(batch, other):
    discriminator = build_discriminator("relgan").eval()
    real_BW, fake_BW = (discriminator.view_logits(each.tokens_BT, each.mask_BT)[..., 0] for each in (batch, other))
    fake = SoftTexts(one_hot(other.tokens_BT, VOCAB).float() * other.mask_BT.unsqueeze(2), other)
    loss, _ = soft_gan.discriminator_loss(relgan.Config(), discriminator, batch, fake)
    views = JUDGES["relgan"].num_views
    pairs = [(real_BW[b, w].item(), fake_BW[b, w].item()) for b in range(6) for w in range(views)]
    assert loss.item() == pytest.approx(mean(softplus(y - x) for x, y in pairs), rel=1e-5)
    averaged = [softplus(y - x) for x, y in zip(real_BW.mean(1).tolist(), fake_BW.mean(1).tolist(), strict=True)]
    assert loss.item() > mean(averaged) + 1e-6  # Jensen


@pytest.mark.parametrize("name", ["gsgan", "relgan"])
def test_the_generators_loss_leaves_no_gradient_with_the_discriminator(name, batch):
    generator, discriminator = build_generator("lstm"), build_discriminator("cnn")
    module = plugins.load("objectives", name)
    loss, _ = module.Objective(module.Config(), generator, discriminator).generator_loss(batch, 1)
    loss.backward()
    assert all(parameter.grad is None and parameter.requires_grad for parameter in discriminator.parameters())
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in generator.parameters())
