"""NLL under the oracle: how surprised the distribution that real text was drawn from is by the samples, nats per token.

Known only where the corpus was drawn from one (`gdcore.corpora.exact`). SeqGAN (Yu et al. 2017) measured generators by
it alone, and it is half of a pair: a generator that writes its one best text over and over has the lowest. The other
half is held-out NLL. Real text has the distribution's entropy. Texts weigh by their tokens; one that the source gives
no probability at all is left out of the sum, and counted: `in_language` is the share of those that the source could
have written itself.
"""

from typing import Literal

import numpy as np

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Ratio, Share
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["nll_oracle"] = "nll_oracle"


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`nll_oracle`, where any text has a probability, and `in_language`; nothing where no oracle is at hand."""
    if evidence.oracle is None:
        return {}
    nll_N, tokens_N, own_N = evidence.oracle()
    found: dict[str, Measurement] = {}
    counted_N = np.isfinite(nll_N) & (tokens_N > 0)
    if counted_N.any():
        found["nll_oracle"] = Ratio(nll_N[counted_N], tokens_N[counted_N])
    found["in_language"] = Share(int(own_N.sum()), len(own_N))
    return found
