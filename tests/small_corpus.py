"""A corpus directory as the corpus stage leaves it, from lists of texts."""

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

SCHEMA = {"text": pl.String, "prompt": pl.String, "label": pl.String, "source": pl.String, "line": pl.UInt32}


def write_corpus(
    directory: Path,
    train: Sequence[str],
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    *,
    prompts: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    segmentation: str = "spaced",
) -> Path:
    """Write the three splits and the summary; `prompts` and `labels` are those of the train split."""
    directory.mkdir(parents=True, exist_ok=True)
    for split, texts in (("train", train), ("valid", valid), ("test", test)):
        none = [None] * len(texts)
        columns = {
            "text": list(texts),
            "prompt": prompts if prompts and split == "train" else none,
            "label": labels if labels and split == "train" else none,
            "source": [f"{split}.txt"] * len(texts),
            "line": range(1, len(texts) + 1),
        }
        pl.DataFrame(columns, schema=SCHEMA).write_parquet(directory / f"{split}.parquet")
    used = len(train) + len(valid) + len(test)
    summary = {"read": used, "used": used, "quarantined": 0, "segmentation": segmentation}
    (directory / "summary.json").write_text(json.dumps(summary), "utf-8")
    return directory
