"""Reverse LM score: how well a language model that has read only samples is prepared for real text (diversity).

NLL of the references, in nats per token, under our own Kneser–Ney model trained on a fixed number of samples: more
samples make a better model, whatever they are worth. A generator pays for each thing that people write and it does not,
so this score cannot be raised by saying less (Zhao et al. 2018; Semeniuta et al. 2018).
"""

from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.crossed import crossed
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Ratio, Rows, Sampling
from gdcore.evaluation.ngrams import KneserNey, sides
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["reverse_lm"] = "reverse_lm"
    order: int = Field(default=5, ge=1)
    """Words in the longest n-gram of the language model."""
    size: int | None = Field(default=None, ge=1)
    """Samples that it is trained on, drawn without repetition. None: all."""
    draws: int = Field(default=20, ge=2)
    """Language models trained, each on other samples; the figure is their average, its interval holds their spread."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`reverse_lm`: Σ nll / Σ tokens of the references; the interval covers both sides' draws."""
    vocabulary, samples, references = sides(evidence)
    num_texts = len(evidence.samples)

    def measure(rows: Rows) -> Ratio:
        chosen_N = np.zeros(num_texts, np.bool_)
        chosen_N[rows] = True
        return KneserNey(samples.of(chosen_N), vocabulary, config.order).nll(references)

    sampling = Sampling(evidence.seed, subsamples=config.draws)
    return {"reverse_lm": crossed(measure, num_texts, config.size, sampling, (0.0, np.inf))}
