"""A toy language, its ids on disk, and players small enough to train inside a test."""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import models

from gdcore import plugins
from gdcore.discriminators import causal_lstm, cnn, crf, mlp, relgan, svm
from gdcore.discriminators import lstm as bilstm
from gdcore.discriminators import transformer as encoder
from gdcore.errors import UserError
from gdcore.generators import gru, latent_gan, lstm, relational_memory, rnn, transformer, vae
from gdcore.shards import ShardWriter
from gdcore.tokenizer import SPECIALS, Tokenizer, assemble

VOCAB = len(SPECIALS) + 12
CONTEXT = 12
TINY = {
    "lstm": lstm.Config(embedding_dim=12, hidden_dim=16, dropout=0.1),
    "rnn": rnn.Config(embedding_dim=12, hidden_dim=16, dropout=0.1),
    "gru": gru.Config(embedding_dim=12, hidden_dim=16, dropout=0.1),
    "transformer": transformer.Config(hidden_dim=16, num_layers=2, num_heads=4, num_kv_heads=2, mlp_dim=24),
    "vae": vae.Config(embedding_dim=12, hidden_dim=16, encoder_dim=10, latent_dim=4, dropout=0.1, annealing_steps=10),
    "latent_gan": latent_gan.Config(
        embedding_dim=12, hidden_dim=16, encoder_dim=10, latent_dim=4, dropout=0.1, annealing_steps=10, map_dim=8
    ),
    "relational_memory": relational_memory.Config(embedding_dim=12, num_slots=2, head_dim=6, dropout=0.1),
    "cnn": cnn.Config(embedding_dim=4, widths=(1, 2, 3), num_filters=5, dropout=0.1),
    "causal_lstm": causal_lstm.Config(embedding_dim=4, hidden_dim=6, dropout=0.1),
}
"""Small configurations by plug-in name; a plug-in that is not here is built with its defaults."""
JUDGES = {
    "cnn": TINY["cnn"],
    "causal_lstm": TINY["causal_lstm"],
    "crf": crf.Config(embedding_dim=4, hidden_dim=5, dropout=0.1),
    "lstm": bilstm.Config(embedding_dim=4, hidden_dim=5, num_layers=2, dropout=0.1),
    "mlp": mlp.Config(embedding_dim=6, hidden_dim=5, num_layers=2, dropout=0.1),
    "relgan": relgan.Config(num_views=3, view_dim=2, widths=(1, 2, 3), num_filters=4, dropout=0.1),
    "svm": svm.Config(num_buckets=64, longest=3),
    "transformer": encoder.Config(hidden_dim=8, num_heads=2, dropout=0.1),
}
"""The same of the discriminators, some of which share a generator's name."""


def toy_rows(num: int, seed: int) -> list[list[int]]:
    """Texts in which each token is, as a rule, its predecessor's successor: something to learn."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(num):
        row = [int(rng.integers(5, VOCAB))]
        for _ in range(int(rng.integers(2, CONTEXT - 3))):
            row.append(5 + (row[-1] - 4) % (VOCAB - 5) if rng.random() < 0.8 else int(rng.integers(5, VOCAB)))
        rows.append(row)
    return rows


def write_toy(root: Path, num_train: int = 96, num_valid: int = 32) -> tuple[Path, Path]:
    """The tokens and validation folders of the toy language."""
    tokens, validation = root / "tokens", root / "validation"
    tokens.mkdir(parents=True)
    validation.mkdir()
    words = [*SPECIALS, *(f"▁w{i}" for i in range(VOCAB - len(SPECIALS)))]
    backend = assemble("word", models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"), False)
    Tokenizer(backend, {"kind": "word", "vocab_size": VOCAB, "lowercase": False}).save(tokens)
    for seed, (split, num) in enumerate({"train": num_train, "valid": num_valid, "test": num_valid}.items()):
        rows = toy_rows(num, seed)
        writer = ShardWriter(tokens, split, VOCAB)
        lengths = np.array([len(row) for row in rows])
        writer.append(np.concatenate([np.array(row) for row in rows]), lengths, np.zeros(num, np.int64))
        writer.close()
        np.save(validation / f"kept_{split}.npy", np.arange(num))
    return tokens, validation


def result(look: Generator[Any, None, Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(look)
        except StopIteration as end:
            return end.value


def build_generator(name: str) -> Any:
    torch.manual_seed(0)
    module = plugins.load("generators", name)
    return module.Generator(TINY.get(name) or module.Config(), VOCAB, CONTEXT)


def build_discriminator(name: str) -> Any:
    torch.manual_seed(1)
    module = plugins.load("discriminators", name)
    return module.Discriminator(JUDGES.get(name) or module.Config(), VOCAB)


def players(objective: str, generators: Sequence[str] = ("lstm", "latent_gan")) -> tuple[Any, Any, Any]:
    """Generator, discriminator and objective: the first of these generators, and of all discriminators, it accepts."""
    module = plugins.load("objectives", objective)
    for name in generators:
        generator = build_generator(name)
        for judge in plugins.names("discriminators"):
            discriminator = build_discriminator(judge)
            try:
                return generator, discriminator, module.Objective(module.Config(), generator, discriminator)
            except UserError:
                continue
    raise AssertionError(f"{objective} accepts no players")
