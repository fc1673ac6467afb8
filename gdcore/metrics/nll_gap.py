"""Train–test gap: how much better the generator knows its training text than unseen text, in nats per token.

Near 0 it has learnt the language, far above it the texts.
"""

from typing import Literal

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Sampling, Stated, difference, figure
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["nll_gap"] = "nll_gap"


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`nll_gap`: held-out NLL − NLL of training texts; nothing where either is not at hand."""
    likelihoods = evidence.likelihoods
    if likelihoods is None or likelihoods.train is None:
        return {}
    sampling = Sampling(evidence.seed)
    gap = difference(figure(likelihoods.train, sampling), figure(likelihoods.held_out, sampling))
    return {"nll_gap": Stated(**gap)}
