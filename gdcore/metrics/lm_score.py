"""LM score: how surprised a language model of real text is by the samples, in nats per token (quality).

The language model is our own Kneser–Ney, trained on the references, and so never the generator itself. Low is fluent;
below real text's, a generator says likely things too often: one good text, repeated, scores best of all. It is half of
a pair, and the reverse LM score is the other (Cífka et al. 2018; Semeniuta et al. 2018).
"""

from typing import Literal

from pydantic import Field

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement
from gdcore.evaluation.ngrams import KneserNey, sides
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["lm_score"] = "lm_score"
    order: int = Field(default=5, ge=1)
    """Words in the longest n-gram of the language model."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`lm_score`: Σ nll / Σ tokens of the samples, EOS counted; words that no reference has are UNK."""
    vocabulary, samples, references = sides(evidence)
    model = evidence.once(f"lm_score: {config.order}", lambda: KneserNey(references, vocabulary, config.order))
    return {"lm_score": model.nll(samples)}
