"""Every loss against arithmetic written out by hand, on texts and verdicts that are fixed."""

import math

import pytest
import torch
from judge import NamingJudge
from toy import VOCAB

from gdcore.adversarial import gan_losses
from gdcore.batches import make_batch
from gdcore.discriminators import cnn
from gdcore.generators import lstm
from gdcore.likelihood import logprobs, nll
from gdcore.objectives import cot, distil, gad, gsgan, maligan, relgan, scratchgan, spin, textgail


def moved(generator):
    """The generator has learnt something since the objective took its copy."""
    with torch.no_grad():
        generator.output.bias.add_(torch.linspace(0, 1, VOCAB))


def per_token(generator, batch):
    sums = logprobs(generator, batch).sum(1)
    return [sums[i].item() / batch.target_BT[i].sum().item() for i in range(len(batch))]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_maligan(generator, judge, batch, other, patched):
    patched(maligan, other)
    objective = maligan.Objective(maligan.Config(max_ratio=3.0, mle_weight=0.5), generator, judge)
    loss, _ = objective.generator_loss(batch, 0)
    ratios = [min(3.0, math.exp(row[1].item() / 10)) for row in other.tokens_BT]
    weights = [ratio / sum(ratios) - 1 / 6 for ratio in ratios]
    assert sum(weights) == pytest.approx(0)
    assert objective.weights(other).tolist() == pytest.approx(weights, abs=1e-6)
    sums = logprobs(generator, other).sum(1).tolist()
    mean_tokens = other.target_BT.sum().item() / 6
    expected = (
        -sum(w * s for w, s in zip(weights, sums, strict=True)) / mean_tokens + 0.5 * nll(generator, batch).item()
    )
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_scratchgan(generator, judge, batch, other, patched):
    patched(scratchgan, other)
    objective = scratchgan.Objective(scratchgan.Config(discount=0.5, baseline_decay=0.25), generator, judge)
    objective.baseline.fill_(0.2)
    loss, _ = objective.generator_loss(batch, 0)
    logp, expected, total = logprobs(generator, other), 0.0, 0.0
    for text in range(6):
        first, last = other.tokens_BT[text, 1].item(), int(other.mask_BT[text].sum()) - 1
        rewards = {t: 2 * sigmoid(first / 10 + t / 100) - 1 for t in range(1, last + 1)}
        for t in rewards:
            returns = sum(0.5 ** (s - t) * rewards[s] for s in range(t, last + 1))
            total += returns
            expected -= (returns - 0.2) * logp[text, t].item()
    tokens = other.target_BT.sum().item()
    assert loss.item() == pytest.approx(expected / tokens, rel=1e-5)
    assert objective.baseline.item() == pytest.approx(0.25 * 0.2 + 0.75 * total / tokens, rel=1e-5)


def test_cot_follows_the_mediator_token_by_token(generator, judge, batch, other, patched):
    patched(cot, other)
    objective = cot.Objective(cot.Config(), generator, judge)
    assert objective.generator_loss(batch, 0)[0].item() == pytest.approx(0, abs=1e-6)  # they begin as one
    moved(generator)
    loss, _ = objective.generator_loss(batch, 0)
    own, followed = (
        generator.logits(other.tokens_BT).softmax(-1),
        objective.mediator.logits(other.tokens_BT).softmax(-1),
    )
    cells = [(text, t) for text in range(6) for t in range(1, 12) if t < other.mask_BT[text].sum()]
    expected = sum(
        (own[text, t - 1, v] * (own[text, t - 1, v] / followed[text, t - 1, v]).log()).item()
        for text, t in cells
        for v in range(VOCAB)
    )
    assert loss.item() == pytest.approx(expected / len(cells), rel=1e-4)
    loss.backward()
    assert all(parameter.grad is None for parameter in objective.mediator.parameters())


def test_cot_compares_distributions_and_no_draws_of_dropout():
    torch.manual_seed(0)
    generator = lstm.Generator(lstm.Config(embedding_dim=8, hidden_dim=8, num_layers=2, dropout=0.5), VOCAB, 12).train()
    judge = cnn.Discriminator(cnn.Config(embedding_dim=8, num_filters=4), VOCAB)
    objective = cot.Objective(cot.Config(), generator, judge).train()
    rows = torch.randint(5, VOCAB, (6, 9))
    kl, _ = objective.generator_loss(make_batch(rows, torch.full((6,), 9), torch.ones(6, dtype=torch.long)), 0)
    assert kl.item() == pytest.approx(0, abs=1e-6), "they are one model still"
    assert generator.training
    assert generator.dropout.training
    assert generator.lstm.dropout == 0.5


@pytest.mark.parametrize("module", [gad, spin, textgail])
def test_where_two_policies_are_one_dropout_makes_no_difference(module):
    torch.manual_seed(0)
    generator = lstm.Generator(lstm.Config(embedding_dim=8, hidden_dim=8, dropout=0.5), VOCAB, 12).train()
    judge = cnn.Discriminator(cnn.Config(embedding_dim=8, num_filters=4), VOCAB)
    objective = module.Objective(module.Config(), generator, judge).train()
    rows = torch.randint(5, VOCAB, (6, 9))
    batch = make_batch(rows, torch.full((6,), 9), torch.ones(6, dtype=torch.long))
    if module is textgail:
        assert objective._surrogate(batch, torch.ones(6)).item() == pytest.approx(1, abs=1e-5)  # every ratio is 1
    else:
        _, logs = objective.generator_loss(batch, 0)
        assert logs["kl" if module is gad else "reward"].item() == pytest.approx(0, abs=1e-5)
    assert generator.training


def test_gad_compares_answers_to_one_prompt_alone(generator, batch):
    """What is added to every verdict on a prompt changes nothing."""

    class Judge(NamingJudge):
        offset_V = torch.zeros(VOCAB)

        def forward(self, inputs, mask_BT):
            return self.scale * inputs.sum(dim=1) / 10 + self.offset_V[inputs[:, 1]]

    judge = Judge()
    objective = gad.Objective(gad.Config(group=3), generator, judge)
    prompted = make_batch(batch.tokens_BT, batch.mask_BT.sum(dim=1), torch.full((6,), 2))
    losses = []
    for offset_V in (torch.zeros(VOCAB), 100 * torch.arange(VOCAB)):
        judge.offset_V = offset_V
        torch.manual_seed(0)
        loss, logs = objective.generator_loss(prompted, 0)
        losses.append((loss.item(), logs["reward"].item()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    groups, asked = objective._groups(prompted)
    assert groups == 2
    assert asked.tokens_BT[:, 1].tolist() == [*[batch.tokens_BT[0, 1]] * 3, *[batch.tokens_BT[1, 1]] * 3]


def test_maligan_survives_a_judge_that_is_sure(generator, other):
    class Sure(NamingJudge):
        def forward(self, inputs, mask_BT):
            return super().forward(inputs, mask_BT) - 500

    weights_B = maligan.Objective(maligan.Config(), generator, Sure()).weights(other)
    assert weights_B.isfinite().all()
    assert weights_B.sum().item() == pytest.approx(0, abs=1e-6)


def test_cots_mediator_learns_both_kinds_of_text(generator, judge, batch, other, patched):
    patched(cot, other)
    objective = cot.Objective(cot.Config(), generator, judge)
    loss, logs = objective.discriminator_loss(batch, 0)
    mean = (nll(generator, batch) + nll(generator, other)) / 2
    assert logs["nll"].item() == pytest.approx(mean.item(), rel=1e-6)
    loss.backward()
    assert all(parameter.grad is not None for parameter in objective.mediator.parameters())


def test_spin(generator, judge, batch, other, patched):
    patched(spin, other)
    objective = spin.Objective(spin.Config(beta=3.0, mle_weight=0.5), generator, judge)
    past = objective.past.model
    moved(generator)
    loss, _ = objective.generator_loss(batch, 1)
    sides = [per_token(model, texts) for texts in (batch, other) for model in (generator, past)]
    margins = [a - b - (c - d) for a, b, c, d in zip(*sides, strict=True)]
    expected = sum(-math.log(sigmoid(3 * margin)) for margin in margins) / 6 + 0.5 * nll(generator, batch).item()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    objective.generator_loss(batch, 100)
    assert per_token(past, batch) == pytest.approx(per_token(generator, batch))


def test_textgail(generator, judge, batch, other, patched):
    patched(textgail, other)
    config = textgail.Config(clip=0.1, demonstrations=0.25, demonstration_reward=2.0, demonstration_steps=10)
    objective = textgail.Objective(config, generator, judge)
    moved(generator)
    loss, _ = objective.generator_loss(batch, 5)  # 5 is no multiple of 4: the old policy stays old
    real, fake = (texts.tokens_BT[:, 1].double() / 10 for texts in (batch, other))
    rewards = torch.sigmoid(fake - real)
    advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-6)

    def surrogate(texts, advantages):
        ratio = (logprobs(generator, texts) - logprobs(objective.old.model, texts)).double().exp()
        total = 0.0
        for text in range(6):
            for t in range(texts.tokens_BT.shape[1]):
                if texts.target_BT[text, t]:
                    r, a = ratio[text, t].item(), advantages[text].item()
                    total += min(r * a, min(max(r, 0.9), 1.1) * a)
        return total / texts.target_BT.sum().item()

    expected = 0.75 * surrogate(other, advantages) + 0.25 * surrogate(batch, torch.ones(6))  # half of 2.0 has faded
    assert loss.item() == pytest.approx(-expected, rel=1e-4)


def test_distil_keeps_candidates_by_their_density_ratio(generator, batch):
    objective = distil.Objective(distil.Config(candidates=4), generator, NamingJudge())
    torch.manual_seed(0)
    kept, offered = torch.zeros(VOCAB), torch.zeros(VOCAB)
    for _ in range(150):
        chosen, gain = objective.choose(batch)
        assert len(chosen) == len(batch)
        assert gain.item() > -1.0
        kept += torch.bincount(chosen.tokens_BT[:, 1], minlength=VOCAB)
        offered += torch.bincount(distil.complete_batch(generator, batch).tokens_BT[:, 1], minlength=VOCAB)
    # Candidates that begin with a higher token have the higher logit, so they are kept more often than drawn.
    tokens = torch.arange(VOCAB).float()
    assert (kept * tokens).sum() / kept.sum() > (offered * tokens).sum() / offered.sum() + 0.2


def test_distil_loss(generator, judge, batch, other, monkeypatch):
    objective = distil.Objective(distil.Config(mle_weight=3.0), generator, judge)
    monkeypatch.setattr(objective, "choose", lambda _: (other, torch.zeros(())))
    loss, _ = objective.generator_loss(batch, 0)
    expected = 0.75 * nll(generator, batch).item() + 0.25 * nll(generator, other).item()
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_a_snapshot_never_drops_out_and_follows_by_halves(generator):
    from gdcore.adversarial.snapshot import Snapshot

    snapshot = Snapshot(generator)
    moved(generator)
    was, now = snapshot.model.output.bias.clone(), generator.output.bias.clone()
    snapshot.train()
    assert not snapshot.model.training
    snapshot.follow(generator, keep=0.75)
    assert torch.allclose(snapshot.model.output.bias, 0.75 * was + 0.25 * now)


REAL, FAKE = [2.0, -1.0], [0.5, -3.0]
BY_HAND = {
    # variant: (discriminator, generator)
    "saturating": (
        (math.log1p(math.exp(-2)) + math.log1p(math.e) + math.log1p(math.exp(0.5)) + math.log1p(math.exp(-3))) / 4,
        (math.log(1 - sigmoid(0.5)) + math.log(1 - sigmoid(-3))) / 2,
    ),
    "non_saturating": (
        (math.log1p(math.exp(-2)) + math.log1p(math.e) + math.log1p(math.exp(0.5)) + math.log1p(math.exp(-3))) / 4,
        -(math.log(sigmoid(0.5)) + math.log(sigmoid(-3))) / 2,
    ),
    "hinge": ((0 + 2) / 2 + (1.5 + 0) / 2, -(0.5 - 3) / 2),
    "wasserstein": (-1.25 - 0.5, 1.25),
    "relativistic": (
        -(math.log(sigmoid(1.5)) + math.log(sigmoid(2))) / 2,
        -(math.log(sigmoid(-1.5)) + math.log(sigmoid(-2))) / 2,
    ),
}


@pytest.mark.parametrize("variant", BY_HAND)
def test_gan_losses(variant):
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    found = gan_losses.discriminator_loss(variant, real, fake), gan_losses.generator_loss(variant, real, fake)
    assert [loss.item() for loss in found] == pytest.approx(BY_HAND[variant], rel=1e-6)


def test_temperatures_run_as_published(generator, judge):
    gs = gsgan.Objective(gsgan.Config(anneal_steps=4), generator, judge)
    assert [gs.temperature(step) for step in (0, 1, 2, 4, 9)] == [5, 4, 3, 1, 1]
    rel = relgan.Objective(relgan.Config(anneal_steps=4), generator, judge)
    assert [rel.inverse_temperature(step) for step in (0, 2, 4, 9)] == pytest.approx([1, 10, 100, 100])
