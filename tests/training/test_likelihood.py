"""Likelihood: hand-worked on a generator whose logits are known; PAD and prompts weigh nothing."""

import math

import pytest
import torch
from torch import nn
from toy import build_generator, result

from gdcore.batches import Batch, make_batch
from gdcore.likelihood import held_out_nll, logprobs, nll, score, score_and_rank
from gdcore.tokenizer import BOS, EOS, PAD, SEP, UNK


class Bigram(nn.Module):
    """Logits that depend on the last token alone."""

    def __init__(self, logits_VV: torch.Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(logits_VV)
        self.vocab_size = len(logits_VV)

    def hidden(self, tokens_BT):
        return self.table[tokens_BT]

    def head(self, hidden):
        return hidden


def bigram() -> Bigram:
    torch.manual_seed(0)
    return Bigram(torch.randn(8, 8))


def lstm() -> nn.Module:
    torch.manual_seed(0)
    return build_generator("lstm").eval()


def batch(*rows: list[int], given: list[int]) -> Batch:
    lengths = torch.tensor([len(row) for row in rows])
    tokens_BT = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD)
    return make_batch(tokens_BT, lengths, torch.tensor(given))


def test_logprobs_by_hand():
    generator = bigram()
    table = generator.table.log_softmax(-1).tolist()
    two = batch([BOS, 5, 6, EOS], [BOS, 7, SEP, 6, EOS], given=[1, 3])
    expected = [
        [0, table[BOS][5], table[5][6], table[6][EOS], 0],
        [0, 0, 0, table[SEP][6], table[6][EOS]],
    ]
    assert logprobs(generator, two).tolist() == [pytest.approx(row, abs=1e-6) for row in expected]
    counted = [value for row in expected for value in row if value]
    assert nll(generator, two).item() == pytest.approx(-sum(counted) / 5, abs=1e-6)


def test_the_softmax_layer_may_be_computed_in_pieces(monkeypatch):
    rows = [[BOS, 5, 6, 7, EOS]] * 40
    many = batch(*rows, given=[1] * 40)
    whole = logprobs(bigram(), many)
    monkeypatch.setattr("gdcore.likelihood.CHUNK_LOGITS", 1)
    assert torch.equal(logprobs(bigram(), many), whole)


def test_logits_that_are_not_kept_give_the_same_gradient(monkeypatch):
    rows = batch([BOS, 5, 6, EOS], [BOS, 7, SEP, 6, EOS], given=[1, 3])
    kept, again = lstm(), lstm()
    nll(kept, rows).backward()
    monkeypatch.setattr("gdcore.likelihood.KEPT_LOGITS", 1)
    computed: list[int] = []
    again.output.register_forward_hook(lambda *_: computed.append(1))
    nll(again, rows).backward()
    assert len(computed) == 2, "forwards, and once more on the way back"
    for ours, theirs in zip(again.parameters(), kept.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)


def test_a_uniform_model_scores_log_vocabulary():
    generator = Bigram(torch.zeros(8, 8))
    assert nll(generator, batch([BOS, 5, EOS], [BOS, 5, 6, 7, EOS], given=[1, 1])).item() == pytest.approx(math.log(8))


def test_held_out_nll_weighs_tokens_not_texts_nor_batches():
    generator = bigram()
    rows = [[BOS, 5, EOS], [BOS, 6, 7, 5, 6, EOS], [BOS, 7, 7, EOS]]
    together = result(held_out_nll(generator, [batch(*rows, given=[1, 1, 1])]))
    apart = result(held_out_nll(generator, [batch(row, given=[1]) for row in rows]))
    assert together == pytest.approx(apart, rel=1e-6)
    sums_N, counts_N = score(generator, [batch(row, given=[1]) for row in rows])
    assert counts_N.tolist() == [2, 5, 3]
    assert together == pytest.approx(float(sums_N.sum()) / 10, rel=1e-6)


def test_scoring_leaves_the_mode_as_it_was():
    generator = bigram().train()
    result(held_out_nll(generator, [batch([BOS, 5, EOS], given=[1])]))
    assert generator.training


def test_ranks_by_hand():
    logits_VV = torch.zeros(8, 8)
    logits_VV[BOS] = torch.tensor([9.0, 9, 1, 9, 9, 2, 3, 0])  # of what can be said: 6, 5, EOS, 7
    logits_VV[5] = torch.tensor([0.0, 0, 1, 0, 0, 1, 1, 1])  # all alike: by their ids, EOS, 5, 6, 7
    generator = Bigram(logits_VV)
    batches = [batch([BOS, 5, 7, EOS], [BOS, UNK, EOS], given=[1, 1]), batch([BOS, 6, SEP, EOS], given=[3])]
    sums_N, counts_N, ranks_P = score_and_rank(generator, batches)
    assert ranks_P.tolist() == [1, 3, 0, 8, 0, 0], "an unknown word is guessed by nobody"
    expected = score(generator, batches)
    assert torch.equal(sums_N, expected[0])
    assert torch.equal(counts_N, expected[1])
