"""Held-out NLL of the model as it is decoded: of the distribution that its samples come from, at their temperature.

`nll` is the model's own, at temperature 1, whatever samples it stands beside. Where quality and diversity are compared
along a model's temperatures (Caccia et al. 2020; the two-number protocol of the synthetic oracle), both numbers belong
to one distribution, and this is the second of them. A sharp model pays for every text that it would no longer write.
"""

from typing import Literal

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["nll_tempered"] = "nll_tempered"


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`nll_tempered`; nothing where there is no generator, or its decoding has no likelihood that could be told."""
    tempered = evidence.likelihoods.tempered if evidence.likelihoods else None
    return {} if tempered is None else {"nll_tempered": tempered}
