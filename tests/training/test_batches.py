"""Batches: layout by hand, every text once an epoch, resumable order."""

import numpy as np
import torch
from toy import VOCAB, write_toy

from gdcore.batches import BatchStream, collate, make_batch, ordered_batches
from gdcore.shards import Shards, ShardWriter
from gdcore.tokenizer import BOS, EOS, PAD, SEP


def prompted(tmp_path):
    writer = ShardWriter(tmp_path, "train", VOCAB)
    writer.append(np.array([5, 6, 7, 8, 9, 10]), np.array([3, 1, 2]), np.array([2, 0, 1]))
    writer.close()
    return Shards.open(tmp_path, "train")


def test_layout_of_prompt_separator_text_and_padding(tmp_path):
    batch = collate(prompted(tmp_path), np.array([0, 1, 2]))
    expected = [[BOS, 5, 6, SEP, 7, EOS], [BOS, 8, EOS, PAD, PAD, PAD], [BOS, 9, SEP, 10, EOS, PAD]]
    assert batch.tokens_BT.tolist() == expected
    assert batch.mask_BT.tolist() == [[token != PAD for token in row] for row in expected]
    assert batch.prompt_lengths_B.tolist() == [4, 1, 3]
    counted = [batch.tokens_BT[i][batch.target_BT[i]].tolist() for i in range(3)]
    assert counted == [[7, EOS], [8, EOS], [10, EOS]]


def test_rows_come_in_the_order_asked_for(tmp_path):
    batch = collate(prompted(tmp_path), np.array([2, 0]))
    assert batch.tokens_BT[:, 1].tolist() == [9, 5]


def test_an_epoch_holds_every_text_once_and_little_padding(tmp_path):
    tokens, _ = write_toy(tmp_path)
    shards = Shards.open(tokens, "train")
    stream = BatchStream(shards, 16, seed=3)
    epoch = [next(stream) for _ in range(len(stream))]
    texts = sorted(tuple(row[mask].tolist()) for batch in epoch for row, mask in zip(batch.tokens_BT, batch.mask_BT))
    everything = next(ordered_batches(shards, len(shards)))
    assert texts == sorted(tuple(row[mask].tolist()) for row, mask in zip(everything.tokens_BT, everything.mask_BT))
    padding = 1 - sum(int(batch.mask_BT.sum()) for batch in epoch) / sum(batch.mask_BT.numel() for batch in epoch)
    assert padding < 0.1 < 1 - everything.mask_BT.float().mean()


def test_a_resumed_stream_goes_on_with_the_next_batch(tmp_path):
    tokens, _ = write_toy(tmp_path)
    shards = Shards.open(tokens, "train")
    first = BatchStream(shards, 32, seed=1)
    for _ in range(4):  # past the end of an epoch of three
        next(first)
    second = BatchStream(shards, 32, seed=1)
    second.load_state_dict(first.state_dict())
    for _ in range(5):
        assert torch.equal(next(first).tokens_BT, next(second).tokens_BT)


def test_epochs_and_seeds_differ(tmp_path):
    tokens, _ = write_toy(tmp_path)
    shards = Shards.open(tokens, "train")
    stream = BatchStream(shards, 96, seed=1)
    first, second, other = next(stream), next(stream), next(BatchStream(shards, 96, seed=2))
    assert not torch.equal(first.tokens_BT, second.tokens_BT)
    assert not torch.equal(first.tokens_BT, other.tokens_BT)


def test_make_batch_counts_neither_prompt_nor_padding():
    batch = make_batch(torch.ones(1, 5, dtype=torch.long), torch.tensor([4]), torch.tensor([2]))
    assert batch.mask_BT.tolist() == [[True, True, True, True, False]]
    assert batch.target_BT.tolist() == [[False, False, True, True, False]]
