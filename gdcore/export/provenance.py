"""Where an exported model comes from, for its manifest: the text, the training and the evaluation, in short."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.export.card import FIGURES


def provenance(judged: Mapping[str, Any], config: RunConfig, stages: Mapping[str, Ref], tokens: Path) -> dict[str, Any]:
    """What the manifest of a run's bundle says in `about`; `judged` is its evaluation, `stages` what it was made of.

    Nothing here depends on the machine or the clock.
    """
    selection, splits = judged["selection"], judged["splits"]
    num_words = json.loads((tokens / "tokenizer_config.json").read_text("utf-8"))["vocab_size"]
    counts = {f"{split}_texts": num for split, num in splits.items()}
    text = {**counts, "vocabulary": num_words, "tokens_digest": stages["tokens"].content}
    training = {
        "pretraining": f"maximum likelihood, {config.pretrain.steps} steps at most",
        "finetuning": f"{config.objective.name}, {config.finetune.steps} steps at most",
        "seed": config.seed,
        **{f"{stage}_digest": stages[stage].content for stage in ("pretraining", "finetuning")},
    }
    evaluation = {"protocol": judged["protocol"], "about": judged["about"], "rows": _rows(judged)}
    return {
        "selected": selection["selected"],
        "reason": selection["reason"],
        "protocol": judged["protocol"],
        "text": text,
        "training": training,
        "evaluation": evaluation,
    }


def _rows(judged: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Real text, and each model as it was first decoded."""
    rows: dict[str, dict[str, Any]] = {}
    for row in judged["rows"]:
        figures = {
            name: {end: row["metrics"][name].get(end) for end in ("value", "low", "high")}
            for name in FIGURES
            if name in row["metrics"]
        }
        rows.setdefault(row["model"], {"model": row["model"], "decoding": row["decoding"], "figures": figures})
    return list(rows.values())
