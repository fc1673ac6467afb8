"""Evaluations found by name, refused where they do not compare, paired by text and by seed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.cli import app
from gdcore.errors import UserError
from gdcore.evaluation import protocol
from gdcore.evaluation.side_by_side import read_side, side_by_side

GDFLOW, TEXYGEN = (protocol.load(name).id for name in ("gdflow", "texygen-paper"))
T1, T8 = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}, {"temperature": 0.8, "top_k": 0, "top_p": 1.0}


def about(value: float, half: float = 0.01) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def evaluation(folder: Path, lift: float = 0.0, by: str = GDFLOW, seed: int = 0, texts: str = "abc") -> Path:
    """A run's evaluation: the adversarial model lies `lift` higher on BLEU, and on NLL by as much as its texts say."""
    folder.mkdir()
    rows: list[dict[str, Any]] = [row("real", None, 0.35, by)]
    for model, bleu in (("pretrained", 0.30), ("finetuned", 0.30 + lift)):
        rows += [row(model, T1, bleu, by), row(model, T8, bleu + 0.02, by)]
    selection = {"selected": "finetuned", "reason": "", "comparisons": []}
    told = {"protocol": by, "seed": seed, "rows": rows, "selection": selection, "held_out": texts}
    (folder / "evaluation.json").write_text(json.dumps(told))
    rng = np.random.default_rng(0)
    tokens, hard = rng.integers(5, 15, 300).astype(float), rng.normal(50, 20, 300)
    both = {"pretrained": hard, "finetuned": hard - lift * tokens + rng.normal(0, 0.1, 300)}
    np.savez(folder / "likelihoods.npz", texts=np.array(texts), tokens=tokens, bytes=tokens * 5, **both)
    return folder / "evaluation.json"


def row(model: str, decoding: dict[str, Any] | None, bleu: float, by: str) -> dict[str, Any]:
    metrics = {"bleu_4": about(bleu), "copy_rate": about(0.1)} | ({} if decoding is None else {"nll": about(5, 0.5)})
    return {"model": model, "decoding": decoding, "protocol": by, "counts": {"samples": 500}, "metrics": metrics}


def test_two_models_of_a_run_are_compared_text_by_text(tmp_path: Path) -> None:
    path = evaluation(tmp_path / "one", lift=0.04)
    result = side_by_side([read_side(f"{path}:pretrained", tmp_path)], [read_side(str(path.parent), tmp_path)])
    found = {each["metric"]: each for each in result["contrasts"]}
    assert found["nll"]["unit"] == "texts"
    assert {name: each["verdict"] for name, each in found.items()} == {
        "nll": "better",
        "bleu_4": "better",
        "copy_rate": "no difference",
    }
    assert result["a"] == [f"MLE of {path} at T=1"]
    assert result["notes"] == []
    assert "is better on held-out NLL, BLEU-4" in result["summary"]


def test_a_side_may_name_its_model_and_decoding(tmp_path: Path) -> None:
    path = evaluation(tmp_path / "one")
    side = read_side(f"{path}:pretrained:T=0.8", tmp_path)
    assert (side.model, side.decoding, side.metrics["bleu_4"]["value"]) == ("pretrained", "T=0.8", pytest.approx(0.32))
    assert any(
        "Different decodings" in note for note in side_by_side([read_side(str(path), tmp_path)], [side])["notes"]
    )
    for given, there in ((":finetund", "pretrained, finetuned"), (":finetuned:T=3", "T=1; T=0.8")):
        with pytest.raises(UserError, match=there):
            read_side(f"{path}{given}", tmp_path)


def test_figures_of_other_protocols_are_refused_and_the_difference_named(tmp_path: Path) -> None:
    ours, theirs = evaluation(tmp_path / "a"), evaluation(tmp_path / "b", by=TEXYGEN)
    with pytest.raises(UserError, match="references 10,000 against all.*gdflow evaluate --protocol"):
        side_by_side([read_side(str(ours), tmp_path)], [read_side(str(theirs), tmp_path)])
    older = evaluation(tmp_path / "c", by="gdflow@00000000")
    with pytest.raises(UserError, match="another version of gdflow"):
        side_by_side([read_side(str(ours), tmp_path)], [read_side(str(older), tmp_path)])


def test_other_real_texts_are_refused(tmp_path: Path) -> None:
    a, b = evaluation(tmp_path / "a"), evaluation(tmp_path / "b", texts="xyz")
    with pytest.raises(UserError, match="different real texts"):
        side_by_side([read_side(str(a), tmp_path)], [read_side(str(b), tmp_path)])


def test_other_tokens_leave_bits_per_byte_alone(tmp_path: Path) -> None:
    a, b = evaluation(tmp_path / "a"), evaluation(tmp_path / "b")
    with np.load(b.parent / "likelihoods.npz") as kept:
        arrays = dict(kept)
    np.savez(b.parent / "likelihoods.npz", **(arrays | {"tokens": arrays["tokens"] + 1}))
    result = side_by_side([read_side(str(a), tmp_path)], [read_side(str(b), tmp_path)])
    assert [each["metric"] for each in result["contrasts"]] == ["bleu_4", "copy_rate"]


def test_training_seeds_are_paired_whatever_their_order(tmp_path: Path) -> None:
    lifts = [0.010, 0.012, 0.011, 0.013]
    paths = [evaluation(tmp_path / f"s{seed}", lift, seed=seed) for seed, lift in enumerate(lifts)]
    a = [read_side(f"{path}:pretrained", tmp_path) for path in paths]
    b = [read_side(str(path), tmp_path) for path in reversed(paths)]
    found = {each["metric"]: each for each in side_by_side(a, b)["contrasts"]}
    assert found["bleu_4"]["by_seed"] == pytest.approx(lifts)
    assert (found["bleu_4"]["verdict"], found["bleu_4"]["unit"]) == ("better", "seeds")
    assert found["copy_rate"]["p"] == 1
    with pytest.raises(UserError, match=r"different training seeds, 0, 1 and 0, 1, 2, 3"):
        side_by_side(a[:2], b)
    with pytest.raises(UserError, match="the same seed"):
        side_by_side([a[0], a[0]], b[:2])


def test_what_is_no_evaluation_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(UserError, match="is no evaluation"):
        read_side(str(tmp_path / "x.json"), tmp_path)
    with pytest.raises(UserError, match="no runs"):
        read_side("nothing", tmp_path)


def test_the_command(tmp_path: Path) -> None:
    path = evaluation(tmp_path / "one", lift=0.04)
    arguments = ["compare", f"{path}:pretrained", str(path), "--metric", "bleu_4", "--metric", "nll"]
    shown = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    for words in ("BLEU-4", "better", "Holm", "MLE of", "held-out NLL"):
        assert words in shown.stdout
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert [each["metric"] for each in told["contrasts"]] == ["bleu_4", "nll"]
    wrong = CliRunner().invoke(app, ["compare", str(path), str(tmp_path / "none.json")])
    assert wrong.exit_code == 2
    assert "Traceback" not in wrong.output
