"""The two loops: they learn, they resume bit for bit, the guard fires and falls back."""

import functools
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toy import CONTEXT, TINY, VOCAB, result, toy_rows, write_toy
from toy_training import CPU, FINETUNE, OBJECTIVES, PRETRAIN, finetune_into, pretrain_into

from gdcore.adversarial.policy import kl_estimate, leave_one_out, whiten
from gdcore.errors import UserError
from gdcore.objectives import gad
from gdcore.progress import Progress
from gdcore.training.checkpoint import TrainState, checkpoints, load_generator, load_state, save_state
from gdcore.training.guard import Guard, GuardConfig
from gdcore.training.loops import PretrainConfig, learning_rate
from gdcore.training.phases import run_finetuning, run_pretraining


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy")
    tokens, validation = write_toy(root)
    return root, tokens, validation, pretrain_into(root, tokens, validation)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_pretraining_learns_the_language(toy, tmp_path):
    _, tokens, validation, _ = toy
    pretraining = pretrain_into(tmp_path, tokens, validation, PRETRAIN.model_copy(update={"steps": 120}))
    summary = json.loads((pretraining / "summary.json").read_text())
    first = json.loads((pretraining / "metrics.jsonl").read_text().splitlines()[0])
    assert first["generator_nll"] == pytest.approx(math.log(VOCAB), abs=0.3)
    assert summary["valid_nll"] < 2.2 < first["generator_nll"]


@pytest.mark.parametrize("stop_at", [1, 7, 20, 29, 30])
def test_a_killed_pretraining_resumes_to_the_same_bytes(toy, tmp_path, stop_at):
    _, tokens, validation, pretraining = toy
    pretrain_into(tmp_path, tokens, validation, stop_at=stop_at)
    assert contents(pretrain_into(tmp_path, tokens, validation)) == contents(pretraining)


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("stop_at", [2, 5, 9])
def test_a_killed_finetuning_resumes_to_the_same_bytes(toy, tmp_path, name, stop_at):
    _, tokens, validation, pretraining = toy
    whole = finetune_into(tmp_path / "whole", tokens, validation, pretraining, name)
    finetune_into(tmp_path / "killed", tokens, validation, pretraining, name, stop_at=stop_at)
    assert contents(finetune_into(tmp_path / "killed", tokens, validation, pretraining, name)) == contents(whole)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_finetuning_moves_both_players_and_logs_both(toy, tmp_path, name):
    _, tokens, validation, pretraining = toy
    out = finetune_into(tmp_path, tokens, validation, pretraining, name)
    before, after = load_file(pretraining / "generator.safetensors"), load_file(out / "generator.safetensors")
    assert any(not torch.equal(before[key], after[key]) for key in before)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 11))
    assert "generator_loss" not in lines[3]  # the discriminator warms up alone
    assert {"generator_loss", "discriminator_loss", "guard_valid_nll"} <= set(lines[-1])
    assert json.loads((out / "summary.json").read_text())["chosen_step"] == 6


def test_no_steps_leave_the_pretrained_generator(toy, tmp_path):
    _, tokens, validation, pretraining = toy
    config = FINETUNE.model_copy(update={"steps": 0})
    out = finetune_into(tmp_path, tokens, validation, pretraining, "gad", config)
    before, after = load_file(pretraining / "generator.safetensors"), load_file(out / "generator.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_the_guard_stops_a_collapse_and_falls_back(toy, tmp_path):
    _, tokens, validation, pretraining = toy
    guard = GuardConfig(every=1, num_samples=20, nll_rise=0.05)
    config = FINETUNE.model_copy(update={"steps": 200, "generator_learning_rate": 0.05, "guard": guard})
    out = finetune_into(tmp_path, tokens, validation, pretraining, "seqgan", config)
    summary = json.loads((out / "summary.json").read_text())
    assert "real text has become unlikely" in summary["stopped"]
    assert summary["steps"] < 200
    readings = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    healthy = [line for line in readings if "guard_valid_nll" in line and "alarm" not in line and line["step"] > 4]
    best = min(healthy, key=lambda line: line["guard_valid_nll"], default={"step": 4})
    assert summary["chosen_step"] == best["step"] - 4
    if not healthy:
        before, after = load_file(pretraining / "generator.safetensors"), load_file(out / "generator.safetensors")
        assert all(torch.equal(before[key], after[key]) for key in before)
    # A second call finds the verdict in the checkpoint or reaches it again; either way the same.
    assert (
        json.loads(
            (finetune_into(tmp_path, tokens, validation, pretraining, "seqgan", config) / "summary.json").read_text()
        )
        == summary
    )


def test_early_stop_keeps_the_best_weights(toy, tmp_path):
    _, tokens, validation, _ = toy
    config = PRETRAIN.model_copy(update={"steps": 400, "learning_rate": 0.3, "eval_every": 5, "patience": 2})
    out = pretrain_into(tmp_path, tokens, validation, config)
    summary = json.loads((out / "summary.json").read_text())
    looks = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    looks = {line["step"]: line["valid_nll"] for line in looks if "valid_nll" in line}
    assert summary["steps"] < 400
    assert summary["best_step"] == min(looks, key=lambda step: looks[step]) == summary["steps"] - 10
    assert summary["valid_nll"] == looks[summary["best_step"]]


def test_the_guard_looks_before_the_first_turn_and_after_the_last(toy, tmp_path):
    _, tokens, validation, pretraining = toy
    guard = GuardConfig(every=100, num_samples=20, nll_rise=0.05)
    told = {"steps": 30, "warmup_steps": 0, "generator_learning_rate": 0.05, "guard": guard}
    out = finetune_into(tmp_path, tokens, validation, pretraining, "seqgan", FINETUNE.model_copy(update=told))
    summary = json.loads((out / "summary.json").read_text())
    assert "real text has become unlikely" in summary["stopped"]
    assert (summary["steps"], summary["chosen_step"]) == (30, 0)
    before, after = load_file(pretraining / "generator.safetensors"), load_file(out / "generator.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("stop_at", [5, 10**9])
def test_where_a_loss_is_no_number_any_more_the_best_weights_are_taken(toy, tmp_path, stop_at):
    _, tokens, validation, pretraining = toy
    guard = GuardConfig(every=1000, num_samples=20)
    config = FINETUNE.model_copy(update={"steps": 30, "generator_learning_rate": 1e12, "guard": guard})
    finetune_into(tmp_path, tokens, validation, pretraining, "gad", config, stop_at=stop_at)
    out = finetune_into(tmp_path, tokens, validation, pretraining, "gad", config)
    summary = json.loads((out / "summary.json").read_text())
    assert "lower its learning rate" in summary["stopped"]
    for player in ("generator", "discriminator"):
        assert all(tensor.isfinite().all() for tensor in load_file(out / f"{player}.safetensors").values())


def test_a_pretraining_that_diverges_says_what_to_do(toy, tmp_path):
    _, tokens, validation, _ = toy
    config = PRETRAIN.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(UserError, match=r"the generator's loss is nan at step \d+: lower its learning rate"):
        pretrain_into(tmp_path, tokens, validation, config)


def test_an_objective_counts_the_turns_of_play(toy, tmp_path, monkeypatch):
    _, tokens, validation, pretraining = toy
    seen = []
    original = gad.Objective.generator_loss
    monkeypatch.setattr(
        gad.Objective, "generator_loss", lambda self, batch, step: (seen.append(step), original(self, batch, step))[1]
    )
    finetune_into(tmp_path, tokens, validation, pretraining, "gad")
    assert seen == list(range(6)), "and not from the end of the discriminator's four alone"


def test_guard_names_each_collapse():
    guard = Guard.__new__(Guard)
    guard.config = GuardConfig()
    healthy = {"unique": 1.0, "coverage": 1000.0, "entropy": 6.0, "length": 9.0, "valid_nll": 3.0, "accuracy": 0.7}
    assert guard.alarm(healthy, healthy) is None
    for name, value in {"unique": 0.8, "coverage": 500.0, "entropy": 5.0, "valid_nll": 3.2, "accuracy": 0.99}.items():
        alarm = guard.alarm({**healthy, name: value}, healthy)
        assert alarm is not None
        assert name in alarm


def test_a_stopped_pretraining_loses_no_step(toy, tmp_path):
    _, tokens, validation, pretraining = toy
    work = tmp_path / "work_pretraining"
    out = tmp_path / "pretraining"
    for folder in (out, work):
        folder.mkdir()
    phase = functools.partial(
        run_pretraining, TINY["lstm"], PRETRAIN, context=CONTEXT, seed=1, device=CPU,
        tokens=tokens, validation=validation, out=out, work=work,
    )  # fmt: skip
    stopped = phase()
    while next(stopped).done < 17:
        pass
    stopped.close()
    assert checkpoints(work)[-1].name == "step-00000017"
    again = phase()
    assert next(again).done == 18
    list(again)
    assert contents(out) == contents(pretraining)


@pytest.mark.parametrize("pause", [0, 1])
@pytest.mark.parametrize(("phase", "step"), [("pretraining", 20), *(("finetuning", step) for step in (0, 6, 10))])
def test_a_stop_does_not_wait_for_a_look_and_whoever_goes_on_takes_it(toy, tmp_path, phase, step, pause, monkeypatch):
    """Of the texts that a look is at, the first are looked at, then comes the stop."""
    _, tokens, validation, pretraining = toy
    monkeypatch.setattr("gdcore.training.phases.EVAL_BATCH", 16)  # two pauses in a look at 32 texts; so has the guard's

    def run(name: str) -> tuple[Path, Path, Iterator[Progress]]:
        out, work = tmp_path / name, tmp_path / f"{name}_work"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        work.mkdir(exist_ok=True)
        common = {"seed": 1, "device": CPU, "tokens": tokens, "validation": validation, "out": out, "work": work}
        if phase == "pretraining":
            return out, work, run_pretraining(TINY["lstm"], PRETRAIN, context=CONTEXT, **common)
        config = FINETUNE.model_copy(update={"warmup_steps": 4 if step else 0, "steps": 6 if step else 2})
        return out, work, run_finetuning(TINY["cnn"], gad.Config(), config, pretraining=pretraining, **common)

    whole, _, calm = run("whole")
    list(calm)
    _, work, stopped = run("stopped")
    during = (each for each in stopped if each.done == step)
    for _ in range(1 + pause):
        next(during)
    stopped.close()
    told = json.loads((checkpoints(work)[-1] / "state.json").read_text())
    assert told["step"] == step
    assert ("unseen" in told["memory"]) == (step > 0)
    assert len((work / "metrics.jsonl").read_text().splitlines()) == max(0, step - 1)
    out, _, again = run("stopped")
    list(again)
    assert contents(out) == contents(whole)


@pytest.mark.parametrize("harm", ["cut", "other bytes", "no state"])
def test_a_checkpoint_that_the_disk_lost_is_passed_over(toy, tmp_path, harm):
    _, tokens, validation, pretraining = toy
    pretrain_into(tmp_path, tokens, validation, stop_at=15)
    newest = checkpoints(tmp_path / "work_pretraining")[-1]
    target = newest / ("state.json" if harm == "no state" else "optimizers.pt")
    content = target.read_bytes()
    if harm == "no state":
        target.unlink()
    else:
        target.write_bytes(content[:-9] if harm == "cut" else content[:-9] + bytes(9))
    assert contents(pretrain_into(tmp_path, tokens, validation)) == contents(pretraining)


def test_a_checkpoint_without_its_last_rename_is_not_seen(toy, tmp_path):
    _, tokens, validation, pretraining = toy
    from gdcore.batches import BatchStream
    from gdcore.training.phases import adamw, open_split

    generator = load_generator(pretraining)
    stream = BatchStream(open_split(tokens, validation, "train"), 16, 0)
    state = TrainState(generator, {"generator": adamw(generator, 1e-3, 0)}, stream, step=5)
    save_state(state, tmp_path)
    (tmp_path / "step.partial").mkdir()
    state.step = 99
    assert load_state(state, tmp_path)
    assert state.step == 5
    for step in (6, 7, 8):
        state.step = step
        save_state(state, tmp_path)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000007", "step-00000008"]


def test_a_corpus_smaller_than_a_batch_is_refused(toy, tmp_path):
    _, tokens, validation, _ = toy
    with pytest.raises(UserError, match=r"holds 96 texts.*pretrain\.batch_size is 500"):
        pretrain_into(tmp_path, tokens, validation, PRETRAIN.model_copy(update={"batch_size": 500}))


def test_a_token_weighs_the_same_in_short_and_long_texts(toy):
    """The gradients of an epoch's batches of like length add up to that of all its tokens."""
    from gdcore.batches import BatchStream, ordered_batches
    from gdcore.generators import lstm
    from gdcore.likelihood import nll
    from gdcore.training.loops import pretrain
    from gdcore.training.phases import adamw, open_split

    _, tokens, validation, _ = toy
    train = open_split(tokens, validation, "train")
    torch.manual_seed(0)
    generator = lstm.Generator(TINY["lstm"].model_copy(update={"dropout": 0.0}), VOCAB, CONTEXT)
    nll(generator, next(ordered_batches(train, len(train)))).backward()
    whole = generator.output.bias.grad.clone()
    state = TrainState(generator, {"generator": adamw(generator, 1e-12, 0)}, BatchStream(train, 16, 0))
    config = PRETRAIN.model_copy(update={"steps": 6, "learning_rate": 1e-12, "clip_norm": 1e9})
    gradients = [generator.output.bias.grad.clone() for _ in pretrain(state, config)]
    torch.testing.assert_close(torch.stack(gradients).mean(0), whole, atol=1e-5, rtol=1e-4)


def test_learning_rate_rises_and_falls_to_zero():
    config = PretrainConfig(steps=110, warmup_steps=10, learning_rate=1.0)
    assert [round(learning_rate(config, step), 3) for step in (0, 4, 9, 10, 60, 109)] == [0.1, 0.5, 1.0, 1.0, 0.5, 0.0]


def test_leave_one_out_by_hand():
    assert leave_one_out(torch.tensor([1.0, 2.0, 6.0])).tolist() == [-3.0, -1.5, 4.5]
    rewards_BT = torch.tensor([[1.0, 5.0], [3.0, 9.0]])
    mask_BT = torch.tensor([[True, True], [True, False]])
    assert leave_one_out(rewards_BT, mask_BT).tolist() == [[-2.0, 0.0], [2.0, 0.0]]


def test_whitened_advantages_have_unit_spread():
    assert whiten(torch.tensor([1.0, -1.0, 5.0, 3.0])).std().item() == pytest.approx(1, abs=1e-5)


def test_the_kl_estimate_is_unbiased_and_never_negative():
    torch.manual_seed(0)
    policy, reference = torch.randn(6).log_softmax(0), torch.randn(6).log_softmax(0)
    exact = (policy.exp() * (policy - reference)).sum()
    assert (kl_estimate(policy, reference) >= 0).all()
    assert (policy.exp() * kl_estimate(policy, reference)).sum().item() == pytest.approx(exact.item(), abs=1e-6)


def test_toy_rows_are_a_function_of_the_seed():
    assert toy_rows(5, 1) == toy_rows(5, 1)
    assert np.mean([len(row) for row in toy_rows(200, 1)]) > 3


def test_the_guard_ranks_verdicts_and_needs_no_threshold(toy):
    """A discriminator that calls everything real, yet real text more so, is never wrong about a pair."""
    _, tokens, validation, pretraining = toy
    from gdcore.batches import BatchStream
    from gdcore.training.phases import open_split

    class Counts(torch.nn.Module):
        """The higher verdict goes to what is told to be real, by the order in which the guard asks."""

        def __init__(self, first: float, second: float) -> None:
            super().__init__()
            self.offset = torch.nn.Parameter(torch.zeros(()))
            self.verdicts = [first, second]

        def forward(self, inputs, mask_BT):
            return self.offset + torch.full((len(inputs),), self.verdicts.pop(0))

    guard = Guard(GuardConfig(num_samples=20), open_split(tokens, validation, "valid"))
    stream = BatchStream(open_split(tokens, validation, "train"), 16, 0)
    for verdicts, accuracy in (((9.0, 8.0), 1.0), ((8.0, 9.0), 0.0), ((7.0, 7.0), 0.5)):
        state = TrainState(load_generator(pretraining), {}, stream, discriminator=Counts(*verdicts))
        assert result(guard.read(state))["accuracy"] == accuracy
