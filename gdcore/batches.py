"""Texts in batches: padded as little as possible, in an order that a seed fixes and a checkpoint resumes.

A sequence is `BOS [prompt SEP] text EOS`, then PAD to the batch's longest.

Shapes: B texts of a batch, T tokens, Z latent variables, N texts of a split.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gdcore import ranks
from gdcore.shards import Shards
from gdcore.tokenizer import BOS, EOS, PAD, SEP


@dataclass(frozen=True)
class Batch:
    """Texts side by side."""

    tokens_BT: Tensor
    """Ids; PAD on the right."""
    mask_BT: Tensor
    """True on what is not PAD."""
    target_BT: Tensor
    """True on the tokens that a generator is asked to predict: the text and its EOS, not BOS, prompt, SEP or PAD."""
    prompt_lengths_B: Tensor
    """How many leading tokens are given: BOS, prompt and SEP; at least 1."""
    noise_BZ: Tensor
    """What a generator with latent variables wrote each text from; of width 0 where there is none, or none is known."""

    def __len__(self) -> int:
        return len(self.tokens_BT)

    def rows(self, rows: Tensor) -> "Batch":
        """Some of the texts."""
        return Batch(*(tensor[rows] for tensor in vars(self).values()))

    def repeated(self, times: int) -> "Batch":
        """Each text so many times, one after the other."""
        return Batch(*(tensor.repeat_interleave(times, dim=0) for tensor in vars(self).values()))

    def to(self, device: torch.device | str) -> "Batch":
        return Batch(*(tensor.to(device) for tensor in vars(self).values()))


def make_batch(tokens_BT: Tensor, lengths_B: Tensor, prompt_lengths_B: Tensor) -> Batch:
    """A batch from padded ids and, per text, its number of tokens and of given tokens."""
    position_T = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
    mask_BT = position_T < lengths_B.unsqueeze(1)
    target_BT = mask_BT & (position_T >= prompt_lengths_B.unsqueeze(1))
    noise_BZ = torch.zeros(tokens_BT.shape[0], 0, device=tokens_BT.device)  # len() would be a fixed number when traced
    return Batch(tokens_BT, mask_BT, target_BT, prompt_lengths_B, noise_BZ)


def collate(shards: Shards, rows_B: np.ndarray) -> Batch:
    """The batch of these rows of a split, in this order."""
    flat, offsets, prompt_sizes_B = shards.rows(rows_B)
    sizes_B = np.diff(offsets)
    prompted_B = prompt_sizes_B > 0
    lengths_B = sizes_B + 2 + prompted_B
    tokens_BT = np.full((len(rows_B), int(lengths_B.max())), PAD, dtype=np.int64)
    tokens_BT[:, 0] = BOS
    # Token k of a row lands behind BOS, and behind SEP too once it is past the prompt.
    row_K = np.repeat(np.arange(len(rows_B)), sizes_B)
    k_K = np.arange(len(flat)) - np.repeat(offsets[:-1] - offsets[0], sizes_B)
    past_K = prompted_B[row_K] & (k_K >= prompt_sizes_B[row_K])
    tokens_BT[row_K, k_K + 1 + past_K] = flat
    tokens_BT[prompted_B, 1 + prompt_sizes_B[prompted_B]] = SEP
    tokens_BT[np.arange(len(rows_B)), lengths_B - 1] = EOS
    given_B = 1 + prompt_sizes_B + prompted_B
    return make_batch(
        torch.from_numpy(tokens_BT), torch.from_numpy(lengths_B), torch.from_numpy(given_B.astype(np.int64))
    )


def ordered_batches(shards: Shards, batch_size: int) -> Iterator[Batch]:
    """Every text of a split once, in row order."""
    for start in range(0, len(shards), batch_size):
        yield collate(shards, np.arange(start, min(start + batch_size, len(shards))))


class BatchStream:
    """Endless batches; each text once an epoch, the order drawn anew from (seed, epoch).

    A bucket is `bucket_batches` batches of texts drawn at random, sorted by length and cut into batches: almost no
    padding is left. With 1 the lengths of a batch are as mixed as the corpus' are, which a discriminator needs: the
    generated texts beside them are. The state is two integers, so that a resumed run reads on with the very next batch.
    """

    def __init__(self, shards: Shards, batch_size: int, seed: int, bucket_batches: int = 50) -> None:
        assert len(shards) >= batch_size, f"{len(shards)} texts are fewer than one batch of {batch_size}"
        self.shards, self.batch_size, self.seed = shards, batch_size, seed
        self.bucket_batches = bucket_batches
        self.epoch = self.position = 0
        self._plan = self._planned(0)

    def __len__(self) -> int:
        """Batches an epoch; texts left over when the last batch is not full wait for the next epoch's draw."""
        return len(self._plan)

    @property
    def mean_targets(self) -> float:
        """Tokens that count (text and EOS) in a batch, on average."""
        return self.batch_size * float((self.shards.lengths_N - self.shards.prompt_lengths_N).mean() + 1)

    def __iter__(self) -> "BatchStream":
        return self

    def __next__(self) -> Batch:
        return collate(self.shards, ranks.share(self.next_rows()))

    def next_rows(self) -> np.ndarray:
        """The rows of the next batch `(B,)`, for whoever knows more about them than their tokens."""
        if self.position == len(self._plan):
            self.epoch, self.position = self.epoch + 1, 0
            self._plan = self._planned(self.epoch)
        self.position += 1
        return self._plan[self.position - 1]

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]
        self._plan = self._planned(self.epoch)

    def _planned(self, epoch: int) -> np.ndarray:
        """The epoch's batches, as rows of row numbers `(batches, B)`."""
        rng = np.random.default_rng((self.seed, epoch))
        order_N = rng.permutation(len(self.shards))
        lengths_N = self.shards.lengths_N[order_N]
        bucket = self.batch_size * self.bucket_batches
        sorted_N = np.concatenate(
            [
                start + np.argsort(lengths_N[start : start + bucket], kind="stable")
                for start in range(0, len(order_N), bucket)
            ]
        )
        num_batches = len(order_N) // self.batch_size
        batches = order_N[sorted_N][: num_batches * self.batch_size].reshape(num_batches, self.batch_size)
        return rng.permutation(batches)
