"""Held-out NLL: how surprised the generator is by real text it has not seen, in nats per token.

PAD never counts, EOS does. Texts weigh by their tokens (Σ nll / Σ tokens). It punishes a generator for each thing that
people write and it would not, so unlike BLEU it cannot be raised by saying less.
"""

from typing import TYPE_CHECKING, Literal

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Ratio
from gdcore.settings import Settings

if TYPE_CHECKING:
    from gdcore.contracts import Generator
    from gdcore.shards import Shards


class Config(Settings):
    name: Literal["nll"] = "nll"


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`nll`; nothing where no generator is at hand, as with text files."""
    return {} if evidence.likelihoods is None else {"nll": evidence.likelihoods.held_out}


def held_out(generator: "Generator", shards: "Shards", batch_size: int = 64) -> Ratio:
    """A split's NLL under the generator at temperature 1: per text the sum over its tokens, and their number."""
    from gdcore.batches import ordered_batches  # torch: only who has a generator needs it
    from gdcore.likelihood import score

    sums_N, counts_N = score(generator, ordered_batches(shards, batch_size))
    return Ratio(sums_N.double().numpy(), counts_N.double().numpy())
