"""An evaluation as a report finds it, hostile words in every place that comes from outside."""

from typing import Any

import numpy as np

from gdcore.evaluation.calibration import calibrate
from gdcore.evaluation.intervals import Sampling
from gdcore.evaluation.selection import CRITERIA

EVIL = '<script>alert("x")</script>&'
MODELS = ("real", "pretrained", "finetuned")


def figure(value: float, half: float = 0.01) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def row(model: str, temperature: float | None, bleu: float) -> dict[str, Any]:
    metrics = {
        "bleu_4": figure(bleu),
        "self_bleu_4": figure(bleu + 0.1),
        "unique": {"value": 1.0, "low": 0.99, "high": 1.0},
        "bleu_2": figure(bleu + 0.4),
    }
    decoding = None if temperature is None else {"temperature": temperature, "top_k": 0, "top_p": 1.0}
    counts = {"samples": 1000, "references": 900, "words": EVIL, "from_valid": 600, "from_train": 400}
    if temperature is not None:
        metrics["nll"] = figure(4.2)
    exhibits = [{"title": EVIL, "about": EVIL, "columns": [EVIL, "n"], "rows": [[EVIL, 0.25], [EVIL, 3]]}]
    told = {"counts": counts, "warnings": [EVIL], "metrics": metrics, "exhibits": exhibits}
    return {"model": model, "decoding": decoding, "protocol": "gdflow@0", **told}


def sample(text: str) -> dict[str, Any]:
    near = {"text": f"{EVIL} nearest", "distance": 0.5, "differs": [[0, len(EVIL)]]}
    told = {"text": text, "prompt": None, "logit": -1.0, "probability": 0.25, "nearest": near if text else None}
    return told | ({"spans": [[0, 8, 0.9]]} if text == EVIL else {})


def small_evaluation() -> dict[str, Any]:
    """What `evaluation.json` of a run holds."""
    comparisons = [
        {
            "metric": name,
            "pretrained": figure(0.3),
            "finetuned": figure(0.2),
            "difference": figure(-0.1),
            "test": "z",
            "p": 0.001,
            "p_holm": 0.005,
            "worse": True,
            "better": False,
        }
        for name in CRITERIA
    ]
    rows = [row("real", None, 0.33)]
    rows += [row(model, t, b) for model in ("pretrained", "finetuned") for t, b in ((1.0, 0.3), (0.8, 0.35))]
    return {
        "protocol": "gdflow",
        "about": EVIL,
        "splits": {"train": 10, "valid": 5, "test": 5},
        "rows": rows,
        "selection": {"selected": "pretrained", "reason": EVIL, "comparisons": comparisons},
        "seed": 0,
        "calibration": {
            model: calibrate(np.array([2.0, 1.0, -0.5]), np.array([0.5, -1.0, -2.0]), Sampling())
            for model in ("pretrained", "finetuned")
        },
        "samples": {model: [sample(EVIL), sample(""), sample("plain")] for model in MODELS},
    }
