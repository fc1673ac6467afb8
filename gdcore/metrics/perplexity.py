"""Perplexity: among how many equally likely tokens the generator is, on average, undecided; and NLL per whole text.

e to the held-out NLL per token, no more and no less, for readers who are used to it. Of whole texts that power is
astronomical, so there the NLL itself is given.
"""

from math import exp
from typing import Literal

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Mean, Measurement, Sampling, Stated, figure
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["perplexity"] = "perplexity"


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`perplexity` per token and `nll_per_text` in nats, EOS counted; nothing where no generator is at hand."""
    if evidence.likelihoods is None:
        return {}
    held_out = evidence.likelihoods.held_out
    # A rising function keeps the quantiles of a bootstrap in their places.
    nll = figure(held_out, Sampling(evidence.seed))
    per_token = Stated(exp(nll["value"]), exp(nll["low"]), exp(nll["high"]))
    return {"perplexity": per_token, "nll_per_text": Mean(held_out.numerators_N)}
