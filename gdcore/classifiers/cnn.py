"""The convolutional discriminator, trained afresh for a few passes: sees wording that a linear judge cannot weigh.

Slower than `linear` by an order of magnitude and not quite the same on every machine; on few texts it learns less.

Shapes: B texts of a batch, L units of a text, T texts.
"""

import numpy as np
import torch
from torch import Tensor

from gdcore.discriminators.cnn import Config, Discriminator
from gdcore.evaluation.evidence import Texts
from gdcore.evaluation.ngram_counts import Bools, Counts, Floats, Ints

PASSES = 4
BATCH = 64
LEARNING_RATE = 2e-3
LONGEST = 200
"""Units of a text that are read."""
PADDING, UNKNOWN = 0, 1


class Classifier:
    def __init__(self, texts: Texts, seed: int):
        self._seed = seed
        counts = Counts([[*text[:LONGEST], "\x03"] for text in texts])
        # A word that one text alone holds is unknown: it could not help to judge another.
        document_frequency_W = np.bincount(counts.postings(1).gram_P)
        known_W = document_frequency_W > 1
        id_W = np.where(known_W, np.cumsum(known_W) + UNKNOWN, UNKNOWN)
        self._vocabulary_size = int(known_W.sum()) + 2
        ids = torch.from_numpy(id_W[counts.tokens_T])
        self._texts = ids.split(counts.lengths_N.tolist())

    def logits(self, learn: Ints, real: Bools, judge: Ints) -> Floats:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            return self._logits(learn, torch.from_numpy(real).float(), judge)

    def _logits(self, learn: Ints, real: Tensor, judge: Ints) -> Floats:
        model = Discriminator(Config(), self._vocabulary_size)
        optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.01)
        for _ in range(PASSES):
            for chosen in torch.randperm(len(learn)).split(BATCH):
                logits_B = model(*self._batch(learn[chosen.numpy()]))
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits_B, real[chosen])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
        model.eval()
        with torch.inference_mode():
            judged = [
                model(*self._batch(judge[start : start + BATCH])).numpy() for start in range(0, len(judge), BATCH)
            ]
        return np.concatenate(judged).astype(np.float64)

    def _batch(self, rows: Ints) -> tuple[Tensor, Tensor]:
        """Ids and mask, (B, L)."""
        ids_BL = torch.nn.utils.rnn.pad_sequence([self._texts[row] for row in rows.tolist()], batch_first=True)
        return ids_BL, ids_BL != PADDING


def prepare(texts: Texts, seed: int) -> Classifier:
    """Ids of all texts."""
    return Classifier(texts, seed)
