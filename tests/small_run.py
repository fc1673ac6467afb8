"""The smallest run that is whole: a made-up language of a few hundred sentences, seconds of training."""

import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

SETTINGS: dict[str, Any] = {
    "tokens.min_count": 1,
    "validation.keep_near_duplicates": True,
    "context": 16,
    "generator.embedding_dim": 8,
    "generator.hidden_dim": 8,
    "pretrain.steps": 6,
    "pretrain.batch_size": 16,
    "pretrain.eval_every": 3,
    "pretrain.checkpoint_every": 2,
    "discriminator.embedding_dim": 8,
    "discriminator.num_filters": 4,
    "finetune.steps": 2,
    "finetune.warmup_steps": 2,
    "finetune.batch_size": 8,
    "finetune.checkpoint_every": 1,
    "finetune.guard.every": 1,
    "finetune.guard.num_samples": 10,
    "evaluation.num_samples": 40,
    "evaluation.decodings": [{"temperature": 1.0}],
    "export.parity_texts": 50,
    "promotion.num_samples": 100,
    "promotion.timed_calls": 5,
}


def write_texts(path: Path, number: int = 400, seed: int = 0) -> Path:
    """Sentences by a toy grammar, all different, one a line."""
    draw = random.Random(seed)
    who = ["the cat", "a dog", "my sister", "the old man", "every child", "no one", "the queen", "some bird"]
    does = ["sees", "likes", "finds", "hears", "draws", "wants", "keeps", "loses", "paints", "follows"]
    what = ["a stone", "the moon", "red apples", "old songs", "a long road", "the river", "green tea", "his hat"]
    when = ["today", "at night", "in spring", "again", "every day", "by the sea", "with joy", "for a while"]
    texts: dict[str, None] = {}
    while len(texts) < number:
        texts[" ".join(draw.choice(part) for part in (who, does, what, when))] = None
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def assignments(**others: Any) -> list[str]:
    """The settings as `--set` arguments."""
    return [argument for key, value in (SETTINGS | others).items() for argument in ("--set", f"{key}={value}")]


def run(home: Path, **settings: Any) -> dict[str, Any]:
    """The whole pipeline, in this process."""
    from flows.train import train
    from gdcore.corpora.config import CorpusConfig

    texts = home / "texts.txt"
    if not texts.exists():
        write_texts(texts)
    return train(preset="tiny", corpus=CorpusConfig(paths=(str(texts),)), settings=SETTINGS | settings, home=home)


def set_clock(monkeypatch: pytest.MonkeyPatch, time: datetime) -> None:
    """What new runs take for the present."""
    from gdcore import runs

    class Set(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return time

    monkeypatch.setattr(runs, "datetime", Set)
