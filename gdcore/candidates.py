"""Several texts drawn for each one that is kept: which of them stays.

- `likelihood` keeps the candidate likeliest per token under the generator itself, end of text included: the cautious
  end of what it can write, without the flattening of every single word that a low temperature brings. Per token,
  for by the sum the shortest would win.
- `discriminator` keeps one with probability softmax(logit D): self-normalised importance resampling, whose texts tend
  to P(x) ∝ P_G(x)·exp(logit D) as candidates grow (Rubin 1987; for text Deng et al. 2020, §3.2). Only differences of
  logits matter, so a discriminator of pairs will do, which is right up to a constant.

A text depends on its own seed alone, so both choices look at its own candidates and at nothing else.

Shapes: B texts, C candidates a text.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gdcore.uniforms import uniforms

Choice = Literal["likelihood", "discriminator"]

MOST = 1024
"""Candidates a text, at most: all of them are in memory at once."""
CHOICE = 1 << 31
"""Number of a text's seed that its choice is drawn with; its tokens never get so far."""


def chosen(scores_BC: NDArray[np.float64], seeds_B: NDArray[np.int64], choose: Choice) -> NDArray[np.int64]:
    """Which candidate (B,) stays; `scores_BC` are log-likelihoods per token, or the discriminator's logits."""
    if choose == "likelihood":
        return scores_BC.argmax(axis=1)
    cumulative_BC = np.exp(scores_BC - scores_BC.max(axis=1, keepdims=True)).cumsum(axis=1)
    threshold_B1 = uniforms(seeds_B, CHOICE, 1) * cumulative_BC[:, -1:]
    return (cumulative_BC <= threshold_B1).sum(axis=1).clip(max=scores_BC.shape[1] - 1)
