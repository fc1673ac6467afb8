"""The two phases of training on the toy language, from folder to folder, left where a test wants it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from toy import CONTEXT, TINY

from gdcore.objectives import gad, seqgan
from gdcore.progress import Progress
from gdcore.training.guard import GuardConfig
from gdcore.training.loops import FinetuneConfig, PretrainConfig
from gdcore.training.phases import run_finetuning, run_pretraining

CPU = torch.device("cpu")
PRETRAIN = PretrainConfig(
    steps=30, batch_size=16, learning_rate=2e-2, warmup_steps=3, eval_every=10, checkpoint_every=7, precision="float32"
)
FINETUNE = FinetuneConfig(
    steps=6,
    warmup_steps=4,
    batch_size=16,
    precision="float32",
    checkpoint_every=3,
    guard=GuardConfig(every=2, num_samples=20, nll_rise=5, unique_drop=1, entropy_drop=9, coverage_drop=1),
)
OBJECTIVES = {"gad": (gad.Config(), "cnn"), "seqgan": (seqgan.Config(), "causal_lstm")}


def leave(run: Iterator[Progress], stop_at: int, work: Path, every: int) -> None:
    """Go through a phase, or leave it at a step as a kill would: without the checkpoint that a mere stop writes."""
    for progress in run:
        if progress.done == stop_at:
            run.close()
            if stop_at % every:
                shutil.rmtree(work / f"step-{stop_at:08d}")
            return


def pretrain_into(root: Path, tokens: Path, validation: Path, config: PretrainConfig = PRETRAIN, stop_at: int = 10**9):
    """Run the phase, or leave it at a step as a kill would."""
    out, work = root / "pretraining", root / "work_pretraining"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    work.mkdir(exist_ok=True)
    run = run_pretraining(
        TINY["lstm"],
        config,
        context=CONTEXT,
        seed=1,
        device=CPU,
        tokens=tokens,
        validation=validation,
        out=out,
        work=work,
    )
    leave(run, stop_at, work, config.checkpoint_every)
    return out


def finetune_into(
    root: Path, tokens: Path, validation: Path, pretraining: Path, name: str, config=FINETUNE, stop_at: int = 10**9
):
    out, work = root / f"finetuning_{name}", root / f"work_{name}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    work.mkdir(exist_ok=True)
    objective, judge = OBJECTIVES[name]
    run = run_finetuning(
        TINY[judge],
        objective,
        config,
        seed=1,
        device=CPU,
        tokens=tokens,
        validation=validation,
        pretraining=pretraining,
        out=out,
        work=work,
    )
    leave(run, stop_at, work, config.checkpoint_every)
    return out
