"""Contract tests that find every plug-in by themselves: it builds, steps, stays finite, saves and loads."""

import copy

import pytest
import torch
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from toy import VOCAB, build_discriminator, build_generator, players, toy_rows

from gdcore import plugins
from gdcore.batches import make_batch
from gdcore.errors import UserError
from gdcore.sampling import complete_batch
from gdcore.tokenizer import BOS, EOS, PAD

GENERATORS, DISCRIMINATORS, OBJECTIVES = (
    plugins.names(kind) for kind in ("generators", "discriminators", "objectives")
)


def batch_of(num: int, seed: int = 0):
    rows = [[BOS, *row, EOS] for row in toy_rows(num, seed)]
    tokens_BT = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD
    )
    return make_batch(tokens_BT, torch.tensor([len(row) for row in rows]), torch.ones(num, dtype=torch.long))


def padded(tokens_BT: torch.Tensor, mask_BT: torch.Tensor, by: int):
    return torch.nn.functional.pad(tokens_BT, (0, by), value=PAD), torch.nn.functional.pad(mask_BT, (0, by))


@pytest.mark.parametrize("name", GENERATORS)
class TestGenerators:
    def test_step_by_step_equals_the_full_pass(self, name):
        generator, batch = build_generator(name).eval(), batch_of(5)
        state, stepwise = generator.initial_state(5), []
        for t in range(batch.tokens_BT.shape[1]):
            logits_BV, state = generator.step(batch.tokens_BT[:, t], state)
            stepwise.append(logits_BV)
        torch.testing.assert_close(torch.stack(stepwise, 1), generator.logits(batch.tokens_BT), atol=1e-5, rtol=1e-5)

    def test_logits_do_not_see_the_future(self, name):
        generator, tokens_BT = build_generator(name).eval(), batch_of(3).tokens_BT
        changed_BT = tokens_BT.clone()
        changed_BT[:, 3:] = 5
        torch.testing.assert_close(generator.logits(tokens_BT)[:, :3], generator.logits(changed_BT)[:, :3])

    def test_texts_lie_on_axis_1_of_the_state(self, name):
        generator = build_generator(name)
        assert all(tensor.shape[1] == 7 for tensor in generator.initial_state(7))

    def test_head_of_hidden_is_logits(self, name):
        generator, tokens_BT = build_generator(name).eval(), batch_of(2).tokens_BT
        torch.testing.assert_close(generator.head(generator.hidden(tokens_BT)), generator.logits(tokens_BT))


@pytest.mark.parametrize("name", DISCRIMINATORS)
class TestDiscriminators:
    def test_padding_changes_nothing(self, name):
        discriminator, batch = build_discriminator(name).eval(), batch_of(6)
        wider = padded(batch.tokens_BT, batch.mask_BT, 5)
        torch.testing.assert_close(discriminator(*wider), discriminator(batch.tokens_BT, batch.mask_BT))

    def test_one_hot_rows_are_judged_as_their_ids(self, name):
        discriminator, batch = build_discriminator(name).eval(), batch_of(4)
        rows_BTV = torch.nn.functional.one_hot(batch.tokens_BT, VOCAB).float()
        expected = discriminator(batch.tokens_BT, batch.mask_BT)
        torch.testing.assert_close(discriminator(rows_BTV, batch.mask_BT), expected, atol=1e-5, rtol=1e-5)

    def test_a_text_is_judged_by_itself(self, name):
        discriminator, batch = build_discriminator(name).eval(), batch_of(6)
        alone = torch.cat([discriminator(batch.tokens_BT[i : i + 1], batch.mask_BT[i : i + 1]) for i in range(6)])
        torch.testing.assert_close(discriminator(batch.tokens_BT, batch.mask_BT), alone, atol=1e-5, rtol=1e-5)

    def test_gradients_reach_soft_rows(self, name):
        discriminator, batch = build_discriminator(name), batch_of(4)
        rows_BTV = torch.nn.functional.one_hot(batch.tokens_BT, VOCAB).float().requires_grad_()
        discriminator(rows_BTV, batch.mask_BT).sum().backward()
        assert rows_BTV.grad is not None
        assert rows_BTV.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "name", [name for name in DISCRIMINATORS if hasattr(build_discriminator(name), "token_logits")]
)
def test_prefix_verdicts_see_no_future(name):
    discriminator, batch = build_discriminator(name).eval(), batch_of(4)
    logits_BT = discriminator.token_logits(batch.tokens_BT, batch.mask_BT)
    changed_BT = batch.tokens_BT.clone()
    changed_BT[:, 2:] = 6
    torch.testing.assert_close(discriminator.token_logits(changed_BT, batch.mask_BT)[:, :2], logits_BT[:, :2])


def gradients(module) -> float:
    return sum(float(p.grad.abs().sum()) for p in module.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", OBJECTIVES)
class TestObjectives:
    def test_each_loss_reaches_its_own_player(self, name):
        generator, discriminator, objective = players(name)
        loss, _ = objective.generator_loss(batch_of(8), 0)
        loss.backward()
        assert gradients(generator) > 0
        if name not in ("gsgan", "relgan"):  # whose gradient comes through the discriminator
            assert gradients(discriminator) == 0
        generator.zero_grad()
        discriminator.zero_grad()
        loss, _ = objective.discriminator_loss(batch_of(8), 0)
        loss.backward()
        assert gradients(discriminator) > 0
        assert gradients(generator) == 0

    def test_three_steps_stay_finite_and_move_both(self, name):
        generator, discriminator, objective = players(name)
        before = copy.deepcopy((generator.state_dict(), discriminator.state_dict()))
        both = {"generator": generator, "discriminator": discriminator}
        optimizers = {key: torch.optim.AdamW(player.parameters(), 1e-2) for key, player in both.items()}
        for step in range(3):
            for player, optimizer in optimizers.items():
                loss, logs = getattr(objective, f"{player}_loss")(batch_of(8, step), step)
                assert torch.isfinite(loss)
                assert all(torch.isfinite(value) and value.dim() == 0 for value in logs.values())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        for player, old in zip((generator, discriminator), before, strict=True):
            assert any(not torch.equal(old[key], value) for key, value in player.state_dict().items())

    def test_its_state_is_its_own_and_loads(self, name):
        generator, discriminator, objective = players(name)
        assert not {id(p) for p in objective.parameters()} & {id(p) for p in generator.parameters()}
        assert not {id(p) for p in objective.parameters()} & {id(p) for p in discriminator.parameters()}
        _, _, other = players(name)
        other.load_state_dict(objective.state_dict())

    def test_players_learn_while_judging_is_without_dropout(self, name):
        generator, discriminator, objective = players(name)
        generator.train()
        discriminator.train()
        objective.generator_loss(batch_of(8), 0)
        assert generator.training
        assert discriminator.training

    def test_it_has_its_page(self, name, request):
        assert (request.config.rootpath / "docs" / "objectives" / f"{name}.md").is_file()


def test_sampling_inside_an_objective_follows_torchs_seed():
    generator = build_generator("lstm")
    torch.manual_seed(3)
    first = complete_batch(generator, batch_of(8)).tokens_BT
    torch.manual_seed(3)
    assert torch.equal(complete_batch(generator, batch_of(8)).tokens_BT, first)


def test_a_misspelt_plugin_is_refused_with_those_there_are():
    with pytest.raises(UserError, match=r"no objective named 'segan'; there are .*seqgan"):
        plugins.load("objectives", "segan")


def test_the_union_tells_plugins_apart_by_name():
    class Holder(BaseModel):
        part: plugins.union("discriminators") = Field(...)  # type: ignore[valid-type]

    adapter = TypeAdapter(Holder)
    assert type(adapter.validate_python({"part": {"name": "cnn"}}).part).__module__ == "gdcore.discriminators.cnn"
    with pytest.raises(ValidationError, match="causal_lstm"):
        adapter.validate_python({"part": {"name": "nobody"}})
