"""The report: one HTML file that opens anywhere, verdict first, every word of it escaped.

Nothing is loaded from elsewhere: style, pictures and a small script stand in the file. Without the script the page
reads the same; it sorts and searches the samples.
"""

import json
import math
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from gdcore.evaluation.intervals import Ratio
from gdcore.report import histories, reliability
from gdcore.report.figures import exhibits, figures, verdict
from gdcore.report.frontier import quality_and_diversity
from gdcore.report.gallery import samples
from gdcore.report.markup import note, section
from gdcore.report.origins import data, made
from gdcore.report.style import CHART, COLOURS, PAGE

Row = dict[str, Any]

SCRIPT = Path(__file__).with_name("page.js")
CONTENTS = {
    "frontier": "Frontier",
    "figures": "Figures",
    "samples": "Samples",
    "discriminator": "Discriminator",
    "training": "Training",
    "evidence": "Evidence",
    "data": "Data",
    "made": "What made this",
}


def write_report(
    evaluation: Path,
    out: Path,
    *,
    corpus: Path | None = None,
    validation: Path | None = None,
    pretraining: Path | None = None,
    finetuning: Path | None = None,
    about: dict[str, Any] | None = None,
) -> None:
    """Write the page to `out`.

    `evaluation` is the folder of `evaluation.json`; the stages' folders add what they know. `about` says which run
    this is: `run` (its name), `config` (YAML text), `refs` (stage → digest), `environment` (name → value), all
    optional. Data Docs in `data_docs/` beside `out` are linked.
    """
    result = _json(evaluation / "evaluation.json")
    about = about or {}
    docs = "data_docs/index.html" if (out.parent / "data_docs" / "index.html").is_file() else ""
    sections = {
        "frontier": quality_and_diversity(result),
        "figures": figures(result, _likelihoods(evaluation)),
        "samples": samples(result) if result["samples"] else "",
        "discriminator": reliability.calibration(result),
        "training": _training(_log(pretraining), _log(finetuning)),
        "evidence": exhibits(result),
        "data": data(result, _json_of(corpus, "summary.json"), _json_of(validation, "summary.json"), docs),
        "made": made(result, about),
    }
    name = str(about.get("run", ""))
    title = escape(f"gdflow report{f' · {name}' if name else ''}")
    links = "".join(f'<a href="#{key}">{CONTENTS[key]}</a>' for key, body in sections.items() if body)
    out.write_text(
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{COLOURS}{CHART}{PAGE}</style>\n</head>\n<body>\n<header><h1>{title}</h1></header>\n<main>\n"
        f'{verdict(result) if "selection" in result else ""}\n<nav class="screen" aria-label="Contents">{links}</nav>\n'
        + "\n".join(filter(None, sections.values()))
        + f"\n</main>\n<script>\n{SCRIPT.read_text(encoding='utf-8')}</script>\n</body>\n</html>\n",
        encoding="utf-8",
    )


def _training(pretraining: list[Row], finetuning: list[Row]) -> str:
    """The curves, the guard's among them; what stopped it, if anything did."""
    charts = histories.draw("pretraining", pretraining) + histories.draw("finetuning", finetuning)
    if not charts:
        return ""
    alarm = next((line["alarm"] for line in reversed(finetuning) if line.get("alarm")), None)
    readings = [line for line in finetuning if "guard_valid_nll" in line]
    guide = "The collapse guard's first reading is the pretrained generator's own." if readings else ""
    if readings and not alarm:
        guide += f" It looked {len(readings)} times and found nothing to stop."
    return section(
        "training",
        "Training",
        f'<p class="bad">The collapse guard stopped fine-tuning: {escape(alarm)}.</p>' if alarm else "",
        note(guide),
        f'<div class="cards charts">{"".join(f"<figure class=card>{each}</figure>" for each in charts)}</div>',
    )


def _likelihoods(evaluation: Path) -> dict[str, tuple[Ratio, Ratio]]:
    """What both models say of each held-out text, where the evaluation kept it."""
    path = evaluation / "likelihoods.npz"
    if not path.is_file():
        return {}
    with np.load(path) as kept:
        tokens_N, bytes_N = kept["tokens"], kept["bytes"]
        before_N, after_N = (kept[model] for model in ("pretrained", "finetuned"))
    bits = math.log(2)
    return {
        "nll": (Ratio(before_N, tokens_N), Ratio(after_N, tokens_N)),
        "bits_per_byte": (Ratio(before_N / bits, bytes_N), Ratio(after_N / bits, bytes_N)),
    }


def _json(path: Path) -> Row:
    return json.loads(path.read_text(encoding="utf-8"))


def _json_of(folder: Path | None, name: str) -> Row:
    return _json(folder / name) if folder and (folder / name).is_file() else {}


def _log(folder: Path | None) -> list[Row]:
    path = folder / "metrics.jsonl" if folder else None
    return [json.loads(line) for line in path.read_text().splitlines() if line] if path and path.is_file() else []
