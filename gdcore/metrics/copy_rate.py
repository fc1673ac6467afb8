"""Copy rate: how many samples stand word for word in the training text, beside how many real held-out texts do.

People repeat one another too: only what exceeds the floor, the rate of real text, is memorised.
"""

from typing import Literal

from gdcore.evaluation.evidence import Evidence, joined
from gdcore.evaluation.intervals import Measurement, Share
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["copy_rate"] = "copy_rate"


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`copy_rate` of the samples and `copy_rate_floor` of the references; nothing where no training text is given."""
    if evidence.train is None:
        return {}
    sides = {"copy_rate": evidence.samples, "copy_rate_floor": evidence.references}
    known = evidence.train.known
    copies = {name: sum(text in known for text in joined(texts)) for name, texts in sides.items()}
    return {name: Share(copies[name], len(texts)) for name, texts in sides.items()}
