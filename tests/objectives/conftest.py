"""Players for hand-worked losses."""

import pytest
import torch
from judge import NamingJudge
from torch import nn
from toy import CONTEXT, TINY, VOCAB, toy_rows

from gdcore.batches import make_batch
from gdcore.generators import lstm
from gdcore.tokenizer import BOS, EOS, PAD


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return lstm.Generator(TINY["lstm"].model_copy(update={"dropout": 0.0}), VOCAB, CONTEXT)


@pytest.fixture
def patched(monkeypatch):
    """`patched(objective's module, texts)`: what the generator writes there from now on."""

    def patch(module, fake):
        monkeypatch.setattr(module, "complete_batch", lambda *_: fake)

    return patch


@pytest.fixture
def judge():
    return NamingJudge()


@pytest.fixture
def batch():
    return texts(0)


@pytest.fixture
def other():
    """Texts to stand for generated ones."""
    return texts(1)


def texts(seed):
    rows = [[BOS, *row, EOS] for row in toy_rows(6, seed)]
    tokens_BT = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD)
    return make_batch(tokens_BT, torch.tensor([len(row) for row in rows]), torch.ones(6, dtype=torch.long))
