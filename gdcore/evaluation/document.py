"""What `evaluation.json` holds, as types.

`python -m gdcore.evaluation.document` makes `docs/evaluation.schema.json` of them.

Whoever reads the file can rely on it: a key that is not declared here is not written.
"""

import json
import sys
from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from gdcore.evaluation.breakdown import OfLabel
from gdcore.evaluation.calibration import Calibration
from gdcore.evaluation.evidence import Exhibit
from gdcore.evaluation.frontier import PlaneFrontier
from gdcore.evaluation.gallery import Sample
from gdcore.evaluation.intervals import Figure
from gdcore.evaluation.selection import Selection

CLOSED = ConfigDict(extra="forbid", use_attribute_docstrings=True, title="evaluation.json of gdflow")

ModelName = Literal["real", "pretrained", "finetuned", "samples"]
"""A run's models; `samples` are those of a text file."""


class Row(TypedDict):
    """One set of texts, judged."""

    model: ModelName
    decoding: dict[str, Any] | None
    """How its texts were drawn; null for real text."""
    protocol: str
    """The protocol's id; figures of different ids must never be compared."""
    counts: dict[str, Any]
    """Texts and tokens of each side, and what a unit of text is."""
    warnings: list[str]
    metrics: dict[str, Figure]
    """docs/metrics.md says what each is."""
    exhibits: list[Exhibit]
    """Texts that show what a figure means."""


class Evaluation(TypedDict):
    """A run's two models, or a file of samples, and real held-out text under one protocol."""

    __pydantic_config__ = CLOSED  # pyright: ignore[reportGeneralTypeIssues]

    protocol: str
    about: str
    """The protocol in one sentence."""
    seed: int
    splits: dict[str, int]
    """Texts of each split that were looked at."""
    not_looked_at: NotRequired[dict[str, int]]
    """How many more of a split there are, beyond `max_train_texts` and `max_held_out_texts`."""
    rows: list[Row]
    """Real text first; of each model, the first row is the decoding that selection looked at."""
    frontier: NotRequired[dict[str, PlaneFrontier]]
    """Quality against diversity over decodings, by plane."""
    selection: NotRequired[Selection]
    """Which model goes on; of text files nothing is selected."""
    held_out: NotRequired[str]
    """Digest of the held-out texts; what each model says of each lies in `likelihoods.npz`, beside this file."""
    nll_by_label: NotRequired[dict[str, dict[str, Figure]]]
    """By model and label, most frequent first, where the held-out texts have labels."""
    labels: NotRequired[list[OfLabel]]
    """Of text files, where the samples have labels."""
    calibration: NotRequired[dict[str, Calibration]]
    """By model: the discriminator on its texts at the first decoding and on held-out real ones."""
    samples: dict[str, list[Sample]]
    """By model, at the first decoding, the first that were drawn."""


def schema() -> dict[str, Any]:
    """The JSON schema."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **TypeAdapter(Evaluation).json_schema()}


if __name__ == "__main__":
    json.dump(schema(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
