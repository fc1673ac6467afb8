"""latent_gan: the map and what is known of it, codes beside their texts, the losses by hand."""

import math

import pytest
import torch
from toy import CONTEXT, TINY, VOCAB, build_generator

from gdcore.errors import UserError
from gdcore.generators import vae
from gdcore.likelihood import logprobs, nll
from gdcore.networks import latent
from gdcore.networks.couplings import Couplings
from gdcore.objectives import latent_gan
from gdcore.sampling import complete_batch


def moved(dim: int) -> Couplings:
    torch.manual_seed(0)
    couplings = Couplings(dim, 6, 3).double()
    for parameter in couplings.parameters():
        torch.nn.init.normal_(parameter)
    return couplings


@pytest.fixture
def mapped():
    generator = build_generator("latent_gan")
    with torch.no_grad():
        for parameter in generator.map.parameters():
            parameter.normal_(std=0.3)
    return generator


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_couplings_are_undone_and_know_their_determinant(dim):
    couplings, noise_BZ = moved(dim), torch.randn(4, dim, dtype=torch.float64)
    codes_BZ = couplings(noise_BZ)
    again_BZ, stretched_BZ = couplings.inverse(codes_BZ)
    torch.testing.assert_close(again_BZ, noise_BZ)
    assert not torch.allclose(codes_BZ, noise_BZ, atol=0.1)
    for b in range(4):
        jacobian = torch.autograd.functional.jacobian(lambda z: couplings(z[None])[0], noise_BZ[b])
        assert stretched_BZ[b].sum().item() == pytest.approx(torch.linalg.slogdet(jacobian).logabsdet.item(), abs=1e-9)


def test_it_begins_as_the_vae_and_pretraining_leaves_it_so(batch):
    torch.manual_seed(0)
    shared = {name: getattr(TINY["latent_gan"], name) for name in vae.Config.model_fields if name != "name"}
    plain = vae.Generator(vae.Config(**shared), VOCAB, CONTEXT)
    generator = build_generator("latent_gan")
    generator.vae.load_state_dict(plain.state_dict())
    losses = []
    for model in (plain, generator):
        torch.manual_seed(1)
        losses.append(model.pretraining_loss(batch, 3)[0])
    assert losses[0].item() == losses[1].item()
    losses[1].backward()
    assert all(parameter.grad is None for parameter in generator.map.parameters())
    plain.eval(), generator.eval()
    torch.manual_seed(1)
    first = complete_batch(plain, batch)
    torch.manual_seed(1)
    assert complete_batch(generator, batch).tokens_BT.tolist() == first.tokens_BT.tolist()
    assert torch.equal(logprobs(generator, batch), logprobs(plain, batch))


def test_texts_are_written_from_codes_and_noise_stays_noise(mapped, batch):
    mapped.eval()
    torch.manual_seed(2)
    fake = complete_batch(mapped, batch)
    inner = fake.rows(torch.arange(6))
    given_BT = latent.hidden(mapped, fake.tokens_BT, fake.noise_BZ)
    torch.testing.assert_close(given_BT, mapped.vae.hidden(inner.tokens_BT, mapped.codes(inner.noise_BZ)))
    assert latent.begin(mapped, fake.noise_BZ)[-1].squeeze(0).tolist() == fake.noise_BZ.tolist()
    assert not torch.allclose(mapped.codes(fake.noise_BZ), fake.noise_BZ, atol=0.05)


def test_codes_are_those_of_their_own_texts(mapped, batch):
    """Axis: with all but no variance left, a text's code is its posterior's mean."""
    with torch.no_grad():
        mapped.vae.log_variance.bias.fill_(-40)
        mapped.vae.log_variance.weight.zero_()
    mapped.train()
    codes_BZ = latent.drawn_codes(mapped, batch)
    assert mapped.training
    mapped.eval()
    for b in range(6):
        alone = batch.rows(torch.tensor([b]))
        torch.testing.assert_close(codes_BZ[b], mapped.posterior(alone.tokens_BT, alone.mask_BT)[0][0])


def fixed(objective, monkeypatch):
    """Codes and a critic that need no computer: D(c) = c₀ + 2 c₁."""
    real_BZ = torch.tensor([[1.0, 0, 3, 0], [0, -1, 0, 0]])
    fake_BZ = torch.tensor([[0.5, 0, 0, 1], [1, 1, 0, 0]], requires_grad=True)
    monkeypatch.setattr(objective, "codes", lambda _: (real_BZ, fake_BZ))
    objective.critic = torch.nn.Linear(4, 1)
    with torch.no_grad():
        objective.critic.weight.copy_(torch.tensor([[1.0, 2, 0, 0]]))
        objective.critic.bias.zero_()
    return [1.0, -2.0], [0.5, 3.0]  # D of real and of made codes


def test_losses_by_hand(mapped, judge, batch, patched, monkeypatch):
    patched(latent_gan, batch)
    weights = {"generator_weight": 2, "critic_weight": 3, "code_penalty": 0.1, "passing_penalty": 0.2}
    config = latent_gan.Config(**weights, critic_penalty=0.3, mle_weight=0.5)
    mapped.eval()
    objective = latent_gan.Objective(config, mapped, judge)
    real, fake = fixed(objective, monkeypatch)
    loss, logs = objective.generator_loss(batch, 0)
    passing = sum(math.log1p(math.exp(-y)) for y in fake) / 2
    squares = 0.1 * (1.25 + 2) / 2 + 0.2 * (0.25 + 9) / 2
    assert loss.item() == pytest.approx(2 * passing + squares + 0.5 * nll(mapped, batch).item(), rel=1e-5)
    assert logs["reward"].item() == pytest.approx(1.75)
    loss, logs = objective.discriminator_loss(batch, 0)
    told = sum(math.log1p(math.exp(-x)) for x in real) / 4 + sum(math.log1p(math.exp(y)) for y in fake) / 4
    named = (batch.tokens_BT[:, 1] / 10).tolist()  # the onlooker sees the same texts on both sides
    onlooker = sum(math.log1p(math.exp(-x)) + math.log1p(math.exp(x)) for x in named) / 12
    assert loss.item() == pytest.approx(3 * told + 0.3 * (5 / 2 + 9.25 / 2) + onlooker, rel=1e-5)
    assert logs["critic_accuracy"].item() == 0.5


def test_wasserstein_by_hand(mapped, judge, batch, patched, monkeypatch):
    patched(latent_gan, batch)
    config = latent_gan.Config(loss="wasserstein", gradient_penalty=7, critic_penalty=0)
    objective = latent_gan.Objective(config, mapped, judge)
    fixed(objective, monkeypatch)
    loss, logs = objective.critic_loss(*objective.codes(batch))
    assert loss.item() == pytest.approx(1.75 + 0.5 + 7 * (math.sqrt(5) - 1) ** 2, rel=1e-5)
    assert logs["gradient_penalty"].item() == pytest.approx((math.sqrt(5) - 1) ** 2, rel=1e-5)


@pytest.mark.parametrize("loss", ["saturating", "non_saturating", "hinge", "wasserstein", "relativistic"])
def test_gradients_reach_the_map_or_the_critic_and_nobody_else(loss, mapped, judge, batch):
    objective = latent_gan.Objective(latent_gan.Config(loss=loss), mapped, judge)
    objective.generator_loss(batch, 0)[0].backward()
    assert all(parameter.grad is not None for parameter in mapped.map.parameters())
    assert all(parameter.grad is None for parameter in mapped.vae.parameters())
    mapped.zero_grad()
    objective.zero_grad()
    objective.discriminator_loss(batch, 0)[0].backward()
    assert sum(float(parameter.grad.abs().sum()) for parameter in objective.critic.parameters()) > 0
    assert judge.scale.grad is not None
    assert all(parameter.grad is None for parameter in mapped.parameters())


def test_the_map_learns_where_the_codes_lie(judge, batch):
    """Codes of real texts lie round (2, −1, …): so do, after some turns, those that are made of noise."""
    generator = build_generator("latent_gan")
    target_Z = torch.tensor([2.0, -1.0, 0.0, 1.0])
    objective = latent_gan.Objective(latent_gan.Config(), generator, judge)
    torch.manual_seed(0)
    with torch.no_grad():
        generator.vae.mean.weight.zero_()
        generator.vae.mean.bias.copy_(target_Z)
    optimizers = [torch.optim.Adam(part.parameters(), 1e-2, (0.5, 0.999)) for part in (generator.map, objective.critic)]
    wide = batch.repeated(8)
    for _ in range(40):
        for loss_of, optimizer in zip(
            (lambda: objective.generator_loss(wide, 0), lambda: objective.critic_loss(*objective.codes(wide))),
            optimizers,
            strict=True,
        ):
            loss, _ = loss_of()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        made_Z = generator.codes(torch.randn(500, 4)).mean(0)
    assert (made_Z - target_Z).norm() < 0.5 * target_Z.norm()


def test_it_wants_a_generator_with_a_map(generator, judge):
    with pytest.raises(UserError, match=r"'lstm' has none. Set generator\.name to latent_gan"):
        latent_gan.Objective(latent_gan.Config(), generator, judge)
