"""The table of a sweep, from runs written by hand."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gdcore import runs
from gdcore.errors import UserError
from gdcore.report.results import Trial, fine_tuning_curves, markdown, tabulate, write

ABOUT = {"config": {}, "inputs": {}, "seconds": 90.0, "cpu_seconds": 60.0, "peak_memory": 2**30}


def finished(home: Path, system: str, seed: int, *, bleu: float, **told: Any) -> Trial:
    """A trial whose run's stages lie in the store; `pretrained` names the model it started from, "" tunes nothing."""
    run = runs.start(home, "tiny", {"system": system, "seed": seed})
    tuned, protocol = told.get("tuned", True), told.get("protocol", "gdflow@1")
    rows = [("real", None, 0.5), ("pretrained", {"temperature": 1.0}, told.get("mle", 0.3))]
    rows += [("finetuned", {"temperature": 1.0}, bleu)]
    judged = {
        "protocol": protocol,
        "selection": {"selected": "finetuned" if tuned else "pretrained"},
        "rows": [
            {"model": name, "decoding": decoding, "metrics": {"bleu_4": {"value": b, "low": b - 0.1, "high": b + 0.1}}}
            for name, decoding, b in rows
        ],
    }
    files = {
        "pretraining": {"summary.json": {"model": told.get("pretrained", "small"), "seed": seed}},
        "finetuning": {
            "summary.json": {"steps": 5 if tuned else 0, "stopped": system == "wild"},
            "metrics.jsonl": told.get("log", []),
        },
        "evaluation": {"evaluation.json": judged},
    }
    for stage, named in files.items():
        address = f"{system}{seed}{stage}".encode().hex().ljust(64, "0")
        with run.store.lock(stage, address), run.store.draft(stage, address) as draft:
            for name, content in named.items():
                lines = content if name.endswith(".jsonl") else [content]
                (draft / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
            ref = run.store.publish(draft, stage, address, ABOUT)
        run.record(stage, ref, "built", 1.0)
    return Trial(system=system, seed=seed, run=str(run.folder))


def cells(table: dict[str, Any]) -> dict[str, tuple[float, float]]:
    return {
        row["system"]: (row["metrics"]["bleu_4"]["value"], row["metrics"]["bleu_4"]["high"]) for row in table["rows"]
    }


def test_a_row_is_a_system_over_its_seeds(tmp_path: Path) -> None:
    trials = [finished(tmp_path, "gad", seed, bleu=b, mle=m) for seed, b, m in ((0, 0.40, 0.30), (1, 0.44, 0.30))]
    trials += [finished(tmp_path, "wild", seed, bleu=0.1, mle=0.30) for seed in (0, 1)]
    table = tabulate("Which is best.", [*trials, Trial(system="gone", seed=0, failure="no space")])
    found = cells(table)
    assert list(found) == ["real text", "maximum likelihood", "gad", "wild"]
    # Student's limit with one degree of freedom is 12.706; the standard error of (.40, .44) is .02.
    assert found["gad"] == pytest.approx((0.42, 0.42 + 12.706 * 0.02), abs=1e-4)
    assert found["real text"] == pytest.approx((0.5, 0.6)), "measured once: its own interval"
    rows = {row["system"]: row for row in table["rows"]}
    assert (rows["wild"]["guard"], rows["gad"]["guard"], rows["gad"]["selected"]) == ("2 of 2", "0 of 2", "2 of 2")
    assert rows["gad"]["pretraining"] == rows["gad"]["finetuning"] == 1.5
    assert rows["gad"]["finetuning_cpu"] == 1.0
    assert "finetuning" not in rows["maximum likelihood"]
    text = markdown(table)
    assert "- gone, seed 0: no space" in text
    assert "mean over seeds 0, 1 ± 95 % (Student)" in text


def test_every_pretrained_model_has_a_row_and_a_name(tmp_path: Path) -> None:
    small = finished(tmp_path, "small", 0, bleu=0.9, mle=0.30, tuned=False, pretrained="small")
    big = finished(tmp_path, "big", 0, bleu=0.9, mle=0.35, tuned=False, pretrained="big")
    wide = finished(tmp_path, "gad wide", 0, bleu=0.40, mle=0.36, pretrained="wide")
    found = cells(tabulate("", [small, big, wide]))
    assert {name: value for name, (value, _) in found.items()} == {
        "real text": 0.5,
        "small": 0.30,
        "big": 0.35,
        "maximum likelihood of gad wide": 0.36,
        "gad wide": 0.40,
    }


def test_one_seed_keeps_its_own_interval(tmp_path: Path) -> None:
    table = tabulate("", [finished(tmp_path, "gad", 3, bleu=0.4)])
    assert cells(table)["gad"] == pytest.approx((0.4, 0.5))
    assert "seed 3; ± is the run's own" in markdown(table)


def test_figures_of_two_protocols_are_not_tabled_together(tmp_path: Path) -> None:
    trials = [finished(tmp_path, "a", 0, bleu=0.4), finished(tmp_path, "b", 0, bleu=0.4, protocol="gdflow@2")]
    with pytest.raises(UserError, match="different protocols"):
        tabulate("", trials)


def test_a_system_leads_to_its_curves(tmp_path: Path) -> None:
    def log(nll: float) -> list[dict[str, float]]:
        read = {"guard_valid_nll": nll, "guard_accuracy": 0.5, "guard_coverage": 90.0}
        return [{"step": 10, **read}, {"step": 11}, {"step": 20, **read, "guard_valid_nll": nll + 0.1}]

    trials = [finished(tmp_path, "g, c", seed, bleu=0.4, log=log(3.0 + seed)) for seed in (0, 1)]
    trials += [finished(tmp_path, "mle", 0, bleu=0.3, tuned=False, log=log(3.0)[:1])]
    pictures = fine_tuning_curves(trials)
    assert list(pictures) == ["g, c"], "one reading is no curve"
    write(tmp_path / "docs.md", tabulate("", trials), pictures)
    assert "| [g, c](docs/g-c.svg) |" in (tmp_path / "docs.md").read_text()
    picture = ElementTree.parse(tmp_path / "docs" / "g-c.svg").getroot()
    lines = picture.findall(".//{*}polyline")
    assert len(lines) == 6, "three panels, two seeds"
    first, second = (float(line.get("points", "").split(",")[1].split()[0]) for line in lines[:2])
    assert first > second, "seed 1 is the less likely one: it lies higher"
