"""Classes by Bayes' rule: by hand, on likelihoods that are known; and trained from folder to folder."""

import json
import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gdcore.batches import collate, make_batch
from gdcore.classification.bayes import BayesClassifier, LabelledStream, under
from gdcore.classification.generative import run_generative
from gdcore.classification.training import ClassificationConfig, load_classifier
from gdcore.generators import lstm
from gdcore.shards import Shards
from gdcore.tokenizer import BOS, EOS, PAD, SEP
from tests.classification.test_classification import folders

__all__ = ["folders"]

WORDS, FRUIT, TOOL = 8, 8, 9  # ids of the classes behind the vocabulary's


class Told(nn.Module):
    """After each token, logits that are the sum of a table's rows for it and for the class: what is likely by hand."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Parameter(torch.randn(10, 10))
        self.vocab_size, self.context, self.config = 10, 20, None

    def hidden(self, tokens_BT):
        return self.table[tokens_BT] + 2 * self.table[tokens_BT[:, 1:2]]

    def head(self, hidden):
        return hidden


def test_bayes_by_hand() -> None:
    generator = Told()
    classifier = BayesClassifier(generator, np.array([3, 1]))
    tokens_BT = torch.tensor([[BOS, 5, 6, EOS], [BOS, 7, EOS, PAD]])
    logits_BK = classifier(tokens_BT, tokens_BT != PAD)
    for row, text in enumerate(([5, 6, EOS], [7, EOS])):
        for k, (token, prior) in enumerate([(FRUIT, 3 / 4), (TOOL, 1 / 4)]):
            before = [SEP, *text[:-1]]
            logs = [(generator.table[b] + 2 * generator.table[token]).log_softmax(-1) for b in before]
            expected = sum(log[t].item() for log, t in zip(logs, text, strict=True)) + math.log(prior)
            assert logits_BK[row, k].item() == pytest.approx(expected, abs=1e-5)


def test_what_a_text_answers_is_given_and_not_scored() -> None:
    rows = torch.tensor([[BOS, 5, SEP, 6, EOS], [BOS, 7, EOS, PAD, PAD]])
    told = under(make_batch(rows, torch.tensor([5, 3]), torch.tensor([3, 1])), torch.tensor([TOOL, FRUIT]))
    assert told.tokens_BT.tolist() == [[BOS, TOOL, SEP, 5, SEP, 6, EOS], [BOS, FRUIT, SEP, 7, EOS, PAD, PAD]]
    assert told.target_BT.tolist() == [[False] * 5 + [True] * 2, [False] * 3 + [True] * 2 + [False] * 2]
    classifier = BayesClassifier(Told(), np.array([1, 1]))
    alone = classifier(rows[:1], rows[:1] != PAD)
    assert torch.equal(classifier(rows, rows != PAD)[:1], alone)
    # This generator remembers one token and the class: the answer is as likely without the prompt.
    assert torch.allclose(alone, classifier(rows[:1, [0, 3, 4]], torch.ones(1, 3, dtype=torch.bool)))


def test_a_batch_is_told_the_classes_of_its_texts(folders: dict[str, Path]) -> None:
    shards = Shards.open(folders["tokens"], "train")
    label_N = np.arange(len(shards)) % 3
    stream, plain = LabelledStream(shards, label_N, 50, 8, 1), LabelledStream(shards, label_N, 50, 8, 1)
    batch, rows = next(stream), plain.next_rows()
    assert (batch.tokens_BT[:, 1] - 50).tolist() == label_N[rows].tolist()
    assert torch.equal(batch.tokens_BT[:, 3:], collate(shards, rows).tokens_BT[:, 1:])
    assert stream.state_dict() == plain.state_dict()


CONFIG = ClassificationConfig(
    by="generator",
    steps=260,
    batch_size=8,
    learning_rate=0.02,
    warmup_steps=5,
    eval_every=52,
    checkpoint_every=100,
    precision="float32",
)


def training(folders: dict[str, Path], root: Path, config: ClassificationConfig = CONFIG):
    for name in ("out", "work"):
        (root / name).mkdir(parents=True, exist_ok=True)
    small, where = lstm.Config(embedding_dim=16, hidden_dim=16, dropout=0), {**folders, "out": root / "out"}
    return run_generative(small, config, context=12, seed=0, device=torch.device("cpu"), **where, work=root / "work")


def test_it_learns_what_parts_the_classes(folders: dict[str, Path], tmp_path: Path) -> None:
    list(training(folders, tmp_path))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["valid_accuracy"] > 0.8
    classifier, about = load_classifier(tmp_path / "out")
    assert (about["by"], classifier.vocab_size) == ("generator", about["vocab_size"])
    batch = collate(Shards.open(folders["tokens"], "valid"), np.arange(6))
    logits_BK = classifier(batch.tokens_BT, batch.mask_BT)
    assert logits_BK.exp().sum() < 0.1, "probabilities of texts, not of classes"


def test_a_killed_training_resumes_to_the_same_bytes(folders: dict[str, Path], tmp_path: Path) -> None:
    short = CONFIG.model_copy(update={"steps": 12, "eval_every": 4, "checkpoint_every": 5})
    list(training(folders, tmp_path / "whole", short))
    killed = training(folders, tmp_path / "killed", short)
    list(islice(killed, 7))
    killed.close()
    list(training(folders, tmp_path / "killed", short))
    for name in ("classifier.safetensors", "metrics.jsonl", "summary.json", "config.json"):
        assert (tmp_path / "killed" / "out" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes()
