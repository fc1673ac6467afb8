"""Text files of anybody's making under a protocol, with the row of real text that any figure must be read beside."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gdcore.errors import UserError
from gdcore.evaluation import protocol as protocols
from gdcore.evaluation.breakdown import by_label
from gdcore.evaluation.judging import Judge, texts_digest
from gdcore.evaluation.protocol import Protocol
from gdcore.evaluation.text_files import Records, read_records
from gdcore.report.page import write_report

FEW = 50
"""Training texts below which there is nothing to hold against the references, or to look for copies in."""

Row = dict[str, Any]


def judge_files(
    samples: Path,
    references: Path,
    train: Path | None = None,
    protocol: str = "gdflow",
    text_column: str | None = None,
    label_column: str | None = None,
) -> dict[str, Any]:
    """`evaluation.json` of two text files: rows `real` and `samples`, and figures by label where there are labels.

    Columns are those of `.jsonl` files; the references, and the training text, need no labels. Raises UserError for a
    file that cannot be used.
    """
    chosen = protocols.load(protocol)
    judged, real = (_records(path, text_column, label_column) for path in (samples, references))
    known = _records(train, text_column, None).texts if train else None
    rows = [
        _real_row(real.texts, known, len(judged.texts), chosen),
        {"model": "samples", "decoding": None, **Judge(real.texts, known, chosen)(judged.texts)},
    ]
    evaluation = {
        "protocol": chosen.id,
        "about": chosen.about,
        "seed": chosen.seed,
        "splits": {"samples": len(judged.texts), "references": len(real.texts)}
        | ({"train": len(known)} if known else {}),
        "rows": [row for row in rows if row],
        "held_out": texts_digest(real.texts),
        "samples": {},  # they stand in the user's own file, and no discriminator has read them
    }
    if judged.labels:
        evaluation["labels"] = by_label(judged.texts, judged.labels, real.texts, real.labels, chosen)
    return evaluation


def summary(evaluation: dict[str, Any]) -> dict[str, Any]:
    """An evaluation of files with the samples' own row on top, for a command to pass on."""
    return {**next(row for row in evaluation["rows"] if row["model"] == "samples"), **evaluation}


def make(out: Path) -> None:
    """The folder to write to; before the work, so that a wrong name is told at once. Raises UserError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} cannot be made a folder: {error.strerror}; give --out another name") from error


def write(evaluation: dict[str, Any], out: Path) -> None:
    """`evaluation.json` and `report.html` in a folder."""
    make(out)
    text = json.dumps(evaluation, ensure_ascii=False, indent=1, allow_nan=False)
    (out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    write_report(out, out / "report.html")


def _records(path: Path, text_column: str | None, label_column: str | None) -> Records:
    """Columns go for the files that can have them; a file of plain lines beside one of objects has none."""
    plain = not path.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson"))
    return read_records(path) if plain else read_records(path, text_column, label_column)


def _real_row(references: Sequence[str], train: Sequence[str] | None, number: int, protocol: Protocol) -> Row | None:
    """What real text itself scores: as many training texts as samples against the references.

    They are left out of what copies are looked for in. Without training texts, one half of the references is held
    against the other; of a single reference there is nothing to hold.
    """
    real = [text for text in references if text.strip()]
    rng = np.random.default_rng(protocol.seed)
    if train is not None and len(train) >= FEW:
        order: list[int] = rng.permutation(len(train)).tolist()
        taken = min(number, protocol.samples or number, len(train))
        judged, rest = [train[row] for row in order[:taken]], [train[row] for row in order[taken:]]
        result = Judge(real, rest if len(rest) >= FEW else None, protocol)(judged)
        result["counts"]["from_train"] = taken
        return {"model": "real", "decoding": None, **result}
    if len(real) < 2:
        return None
    order = rng.permutation(len(real)).tolist()
    half = len(real) // 2
    judged, others = ([real[row] for row in rows] for rows in (order[:half], order[half:]))
    result = Judge(others, train, protocol)(judged)
    result["counts"]["from_references"] = half
    result["warnings"].insert(
        0,
        f"real text here is {half:,} references held against the other {len(others):,}: against fewer references BLEU "
        "and the like come out lower; give --train to hold training text against all references",
    )
    return {"model": "real", "decoding": None, **result}
