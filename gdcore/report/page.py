"""The report: one HTML file that opens anywhere, verdict first, every word of it escaped.

Nothing is loaded from elsewhere: style and pictures stand in the file, and there is no script.
"""

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from gdcore.report import histories, wording
from gdcore.report.style import CHART, COLOURS, PAGE
from gdcore.report.svg import Point, Series, chart
from gdcore.selection import CRITERIA

Row = dict[str, Any]


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
    this is: `run` (its name), `config` (YAML text), `refs` (stage → digest), all optional.
    """
    result = _json(evaluation / "evaluation.json")
    about = about or {}
    curves = quality_diversity(result["rows"])
    sections = [
        _verdict(result),
        _figures(result),
        _curves(curves),
        _training(_log(pretraining), _log(finetuning)),
        _samples(result),
        _data(result, _json_of(corpus, "summary.json"), _json_of(validation, "summary.json")),
        _configuration(about),
    ]
    name = str(about.get("run", ""))
    head = f"gdflow report{f' · {name}' if name else ''}"
    out.write_text(
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(head)}</title>\n'
        f"<style>{COLOURS}{CHART}{PAGE}</style>\n</head>\n<body>\n<h1>{escape(head)}</h1>\n"
        f'<p class="soft">Protocol {escape(result["protocol"])}: {escape(result.get("about", ""))}</p>\n'
        + "\n".join(filter(None, sections))
        + "\n</body>\n</html>\n",
        encoding="utf-8",
    )


def quality_diversity(rows: Sequence[Row]) -> str:
    """BLEU-4 against self-BLEU-4, one line a model over its decodings, and real text as a point; "" without them."""
    series: list[Series] = []
    for model in wording.MODEL:
        points = [
            _point(row["metrics"]["self_bleu_4"], row["metrics"]["bleu_4"], wording.decoding(row["decoding"]))
            for row in rows
            if row["model"] == model and {"bleu_4", "self_bleu_4"} <= row["metrics"].keys()
        ]
        series.append(Series(wording.MODEL[model], wording.COLOUR[model], points))
    if not any(each.points for each in series):
        return ""
    return chart(
        series,
        title="Quality against diversity",
        x_label="self-BLEU-4: more alike →",
        y_label="BLEU-4: closer to real wording",
        width=760,
        height=440,
    )


def _point(x: dict[str, float], y: dict[str, float], label: str) -> Point:
    return Point(x["value"], y["value"], (x["low"], x["high"]), (y["low"], y["high"]), label)


def _verdict(result: Row) -> str:
    selection = result["selection"]
    chosen = "the adversarial model" if selection["selected"] == "finetuned" else "the pretrained (MLE) model"
    lines: list[list[str]] = []
    for each in selection["comparisons"]:
        criterion, change = CRITERIA[each["metric"]], each["difference"]
        beyond = change["low"] > 0 or change["high"] < 0
        clear = "worse" if each["worse"] else "better" if beyond else "no difference"
        colour = {"worse": "bad", "better": "good"}.get(clear, "soft")
        digits = criterion.digits
        value, low, high = (wording.signed(change[part], digits) for part in ("value", "low", "high"))
        lines.append(
            [
                escape(criterion.label),
                f"{each['pretrained']['value']:.{digits}f}",
                f"{each['finetuned']['value']:.{digits}f}",
                f'{value} <span class="pm">{low} to {high}</span>',
                f'<span class="{colour}">{clear}</span>',
            ]
        )
    header = ["", '<span class="mle">MLE</span>', '<span class="adv">adversarial</span>', "difference", ""]
    return (
        f'<section class="verdict {selection["selected"]}"><h2>Selected: {chosen}</h2>'
        f"<p>{escape(selection['reason'])}</p></section>\n"
        + _table(header, lines)
        + f'<p class="note">Decided on the validation split ({result["splits"]["valid"]:,} texts), '
        "so that the test split below stays unused for any choice. Intervals: 95 %; NLL is compared text by text.</p>"
    )


def _figures(result: Row) -> str:
    rows = wording.main_rows(result)
    names = list(dict.fromkeys(name for row in reversed(rows.values()) for name in row["metrics"]))
    header = ["", *(f'<span class="{wording.COLOUR[model]}">{wording.MODEL[model]}</span>' for model in rows)]
    lines = [
        [_metric_name(name), *(_cell(row["metrics"].get(name), wording.metric(name).digits) for row in rows.values())]
        for name in names
    ]
    decoding = next((wording.decoding(row["decoding"]) for row in rows.values() if row["decoding"]), "")
    counts: Row = rows["real"]["counts"] if "real" in rows else {}
    origin = ""
    if "from_valid" in counts:
        origin = f" Real text is {counts['from_valid']:,} texts of the validation split"
        origin += f" and {counts['from_train']:,} of the training split." if counts["from_train"] else "."
    warnings = list(dict.fromkeys(warning for row in rows.values() for warning in row.get("warnings", [])))
    noted = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    any_row = next(iter(rows.values()))
    return (
        f"<h2>How they compare with real text</h2>"
        f'<p class="note">{any_row["counts"]["samples"]:,} samples at {escape(decoding)} against '
        f"{any_row['counts']['references']:,} texts of the test split, cut into "
        f"{escape(str(any_row['counts'].get('words', '')))}.{origin} The aim is the real-text column, not the highest "
        f"number: a model that scores above real text repeats safe wording.</p>"
        + _table(header, lines)
        + (f'<ul class="warnings note">{noted}</ul>' if noted else "")
        + _every_decoding(result, names)
    )


def _every_decoding(result: Row, names: Sequence[str]) -> str:
    rows = result["rows"]
    header = ["", *(escape(wording.metric(name).label) for name in names)]
    lines = [
        [
            f'<span class="{wording.COLOUR[row["model"]]}">{wording.MODEL[row["model"]]}</span> '
            f"{escape(wording.decoding(row['decoding']))}",
            *(_cell(row["metrics"].get(name), wording.metric(name).digits) for name in names),
        ]
        for row in rows
    ]
    return f"<details><summary>Every decoding, every figure</summary>{_table(header, lines)}</details>"


def _curves(curves: str) -> str:
    if not curves:
        return ""
    return (
        f'<h2>Across decodings</h2><figure><div class="wide scroll">{curves}</div>'
        "<figcaption>Each point is one decoding; crosses are 95 % intervals. Sharper decoding moves a model up "
        "(wording that real text has) and right (texts that resemble one another). A better model is higher at the "
        "same place on the horizontal axis; the green point is what people write.</figcaption></figure>"
    )


def _training(pretraining: list[Row], finetuning: list[Row]) -> str:
    start = next((line["step"] for line in finetuning if "guard_valid_nll" in line), None)
    guide = "The first reading is the pretrained generator's own." if start is not None else ""
    charts = histories.draw("pretraining", pretraining) + histories.draw("finetuning", finetuning)
    shown = [f'<figure class="card">{each}</figure>' for each in charts]
    if not shown:
        return ""
    alarm = next((line["alarm"] for line in reversed(finetuning) if line.get("alarm")), None)
    stopped = f'<p class="bad">The collapse guard stopped fine-tuning: {escape(alarm)}.</p>' if alarm else ""
    return f'<h2>Training</h2>{stopped}<div class="cards charts">{"".join(shown)}</div><p class="note">{guide}</p>'


def _samples(result: Row) -> str:
    cards = [
        f'<div class="card"><h3 class="{wording.COLOUR[model]}">{wording.MODEL[model]}</h3><ol class="texts">'
        + "".join(f"<li>{escape(wording.quoted(each)) or '<span class=soft>(empty)</span>'}</li>" for each in texts)
        + "</ol></div>"
        for model, texts in result["samples"].items()
    ]
    note = '<p class="note">The first that were drawn, unchosen.</p>'
    return f'<h2>Samples</h2>{note}<div class="cards">{"".join(cards)}</div>'


def _data(result: Row, corpus: Row, validation: Row) -> str:
    splits = {f"{name} texts": count for name, count in result["splits"].items()}
    if not corpus:
        return f"<h2>Data</h2>{_counts(splits)}"
    reasons = {**corpus.get("reasons", {}), **validation.get("reasons", {})}
    quarantined = corpus.get("quarantined", 0) + validation.get("quarantined", 0)
    used = validation.get("used", corpus.get("used", 0))
    lines = [[escape(reason.replace("_", " ")), f"{count:,}"] for reason, count in _most(reasons)]
    repaired = [[escape(rule.replace("_", " ")), f"{count:,}"] for rule, count in _most(corpus.get("repaired", {}))]
    return (
        "<h2>Data</h2>"
        + _counts({"records read": corpus.get("read", 0), "used": used, "quarantined": quarantined, **splits})
        + f'<p class="note">{escape(_writing(corpus))}</p><div class="cards">'
        + (f"<div><h3>Why records were quarantined</h3>{_table(None, lines)}</div>" if lines else "")
        + (f"<div><h3>What was repaired</h3>{_table(None, repaired)}</div>" if repaired else "")
        + "</div>"
    )


def _writing(corpus: Row) -> str:
    kind = {"spaced": "Words are parted by spaces", "unspaced": "Words are not parted by spaces"}
    found, reason = kind.get(corpus.get("segmentation", "")), corpus.get("segmentation_reason", "")
    return ": ".join(filter(None, [found, reason]))


def _most(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(((name, count) for name, count in counts.items() if count), key=lambda pair: -pair[1])


def _counts(counts: dict[str, int]) -> str:
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{count:,}</dd></div>" for name, count in counts.items())
    return f'<dl class="counts">{cells}</dl>'


def _configuration(about: Row) -> str:
    parts: list[str] = []
    if about.get("refs"):
        lines = [[escape(stage), f"<code>{escape(str(ref))}</code>"] for stage, ref in about["refs"].items()]
        parts.append(_table(["artifact", "digest"], lines))
    if about.get("config"):
        parts.append(
            f"<details><summary>Resolved configuration</summary><pre>{escape(about['config'])}</pre></details>"
        )
    return f"<h2>What made this</h2>{''.join(parts)}" if parts else ""


def _metric_name(name: str) -> str:
    metric = wording.metric(name)
    return f'{escape(metric.label)}<span class="about soft note">{escape(metric.about)}</span>'


def _cell(figure: dict[str, float] | None, digits: int) -> str:
    if figure is None:
        return '<span class="soft">–</span>'
    shown: Any = figure
    return f'{wording.value(shown, digits)}<span class="pm">{wording.spread(shown, digits)}</span>'


def _table(header: Sequence[str] | None, lines: Iterable[Sequence[str]]) -> str:
    """Cells are HTML already."""
    head = f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in header)}</tr></thead>" if header else ""
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in lines
    )
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def _json(path: Path) -> Row:
    return json.loads(path.read_text(encoding="utf-8"))


def _json_of(folder: Path | None, name: str) -> Row:
    return _json(folder / name) if folder and (folder / name).is_file() else {}


def _log(folder: Path | None) -> list[Row]:
    path = folder / "metrics.jsonl" if folder else None
    return [json.loads(line) for line in path.read_text().splitlines() if line] if path and path.is_file() else []
