"""The figures in words and numbers: the verdict's comparisons, every metric by family beside real text, exhibits."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from gdcore.evaluation.comparison import Contrast, compare, settle
from gdcore.evaluation.intervals import Ratio
from gdcore.evaluation.selection import CRITERIA
from gdcore.report import strips, wording
from gdcore.report.markup import details, figure_cell, model_name, note, section, table

Row = dict[str, Any]


def verdict(result: Row) -> str:
    """Which model was selected and why, then each criterion with the interval of its difference."""
    selection = result["selection"]
    chosen = "the adversarial model" if selection["selected"] == "finetuned" else "the pretrained (MLE) model"
    header = ["", model_name("pretrained"), model_name("finetuned"), "difference", "95 % interval round zero", ""]
    return (
        f'<section class="verdict {selection["selected"]}" id="verdict"><h2>Selected: {chosen}</h2>'
        f"<p>{escape(selection['reason'])}</p></section>\n"
        + table(header, map(_comparison, selection["comparisons"]), kind="criteria", label="What decided")
        + note(
            f"Decided on the validation split ({result['splits']['valid']:,} texts), so that the test split below "
            "stays unused for any choice. NLL is compared text by text."
        )
    )


def _comparison(each: Row) -> list[str]:
    criterion, change = CRITERIA[each["metric"]], each["difference"]
    clear = "worse" if each["worse"] else "better" if each["better"] else "no difference"
    colour = {"worse": "bad", "better": "good"}.get(clear, "soft")
    digits = criterion.digits
    value, low, high = (wording.signed(change[part], digits) for part in ("value", "low", "high"))
    return [
        escape(criterion.label),
        f"{each['pretrained']['value']:.{digits}f}",
        f"{each['finetuned']['value']:.{digits}f}",
        f'{value} <span class="pm">{low} to {high}</span>',
        strips.interval(change, colour),
        f'<span class="{colour}">{clear}</span>',
    ]


def figures(result: Row, paired: Mapping[str, tuple[Ratio, Ratio]]) -> str:
    """Models and real text at the decoding that selection looked at; then every decoding.

    `paired`: what both models say of the same held-out texts, for the metrics that can be compared text by text.
    """
    rows = wording.main_rows(result)
    verdicts = _verdicts(rows, paired)
    parts: list[str] = []
    for family, inside in wording.by_family(name for row in rows.values() for name in row["metrics"]).items():
        shown = [name for name in inside if wording.metric(name).headline] or inside[:3]
        rest = [name for name in inside if name not in shown]
        title, _, question = wording.FAMILIES[family].partition(": ")
        parts.append(_family(rows, verdicts, shown, title, f'{title} <span class="soft">{question}</span>'))
        if rest:
            labels = ", ".join(wording.metric(name).label for name in rest[:4]) + (" …" if len(rest) > 4 else "")
            whole = _family(rows, verdicts, rest, f"{title}, the rest", "")
            parts.append(details(f"{len(rest)} more: {escape(labels)}", whole))
    return section(
        "figures", "How they compare with real text", _counts(rows), *parts, _warnings(rows), _every_decoding(result)
    )


def _verdicts(rows: Mapping[str, Row], paired: Mapping[str, tuple[Ratio, Ratio]]) -> dict[str, str]:
    """Of each metric that has a better side: the adversarial model against MLE, and what would settle it."""
    if not {"pretrained", "finetuned"} <= rows.keys():
        return {}
    before, after = rows["pretrained"], rows["finetuned"]
    samples = min(before["counts"]["samples"], after["counts"]["samples"])
    real = rows["real"]["metrics"] if "real" in rows else None
    contrasts = compare(before["metrics"], after["metrics"], samples=samples, real=real, paired=paired)
    return {each["metric"]: _settled(each) for each in contrasts}


def _settled(each: Contrast) -> str:
    colour = {"better": "good", "worse": "bad"}.get(each["verdict"], "soft")
    needed = settle(each)
    about = f"{needed} would tell" if needed else ""
    return f'<span class="{colour}">{each["verdict"]}</span><span class="about">{about}</span>'


def _family(
    rows: Mapping[str, Row], verdicts: Mapping[str, str], names: Sequence[str], label: str, heading: str
) -> str:
    header = [heading, *map(model_name, rows), "", "against MLE" if verdicts else ""]
    lines: list[list[str]] = []
    for name in names:
        metric = wording.metric(name)
        found = {model: row["metrics"].get(name) for model, row in rows.items()}
        head = f'{escape(metric.label)}<span class="about">{escape(metric.about)}</span>'
        known = {wording.COLOUR[model]: figure for model, figure in found.items() if figure}
        cells = [figure_cell(figure, metric.digits) for figure in found.values()]
        lines.append([head, *cells, strips.strip(known), verdicts.get(name, "")])
    return table(header, lines, kind="figures", label=label)


def _counts(rows: dict[str, Row]) -> str:
    """How many texts of what, and why the highest number is not the aim."""
    decoding = next((wording.decoding(row["decoding"]) for row in rows.values() if row["decoding"]), "")
    told = next(reversed(rows.values()))["counts"]
    real: Row = rows["real"]["counts"] if "real" in rows else {}
    origin = ""
    if "from_references" in real:
        origin = f" Real text is {real['from_references']:,} of the references, held against the others."
    elif "from_valid" not in real and "from_train" in real:
        origin = f" Real text is {real['from_train']:,} of the training texts."
    elif "from_valid" in real:
        origin = f" Real text is {real['from_valid']:,} texts of the validation split"
        origin += f" and {real['from_train']:,} of the training split." if real["from_train"] else "."
    of_files = "samples" in rows
    at, against = f" at {decoding}" if decoding else "", "references" if of_files else "texts of the test split"
    last = (
        ""
        if of_files
        else " The last column compares the adversarial model with MLE, corrected for the number of metrics (Holm); "
        "it decides nothing."
    )
    return note(
        f"{told['samples']:,} samples{at} against {told['references']:,} {against}, cut into "
        f"{told.get('words', '')}.{origin} The aim is the real-text column, not the highest number: a model that "
        "scores above real text repeats safe wording. The strip beside each line puts all on one scale; whiskers and "
        f"± are 95 % intervals.{last}"
    )


def _warnings(rows: Mapping[str, Row]) -> str:
    noted = "".join(f"<li>{escape(told)}</li>" for told in wording.cautioned(rows.values()))
    return f'<ul class="warnings note">{noted}</ul>' if noted else ""


def _every_decoding(result: Row) -> str:
    rows = result["rows"]
    names = wording.ordered(name for row in rows for name in row["metrics"])
    header = ["", *(f"{model_name(row['model'])} {escape(wording.decoding(row['decoding']))}" for row in rows)]
    lines = [
        [
            escape(wording.metric(name).label),
            *(figure_cell(row["metrics"].get(name), wording.metric(name).digits) for row in rows),
        ]
        for name in names
    ]
    whole = table(header, lines, kind="every", label="Every decoding")
    return details(f"Every figure at every decoding ({len(rows)} sets of texts)", whole, kind="screen")


def exhibits(result: Row) -> str:
    """The texts behind the figures, model by model."""
    shown: dict[str, list[tuple[str, Row]]] = {}
    rows = wording.main_rows(result)
    for model, row in rows.items():
        for each in row.get("exhibits", []):
            shown.setdefault(each["title"], []).append((model, each))
    if not shown:
        return ""
    parts = [
        details(
            escape(title) + ("" if len(found) == len(rows) else f": {', '.join(map(_model, found))}"),
            note(found[0][1]["about"]) + "".join(_exhibit(model, each) for model, each in found),
        )
        for title, found in shown.items()
    ]
    return section("evidence", "Evidence: the texts behind the figures", *parts)


def _model(found: tuple[str, Row]) -> str:
    return wording.MODEL[found[0]]


def _exhibit(model: str, exhibit: Row) -> str:
    lines: Iterable[list[str]] = ([escape(_said(cell)) for cell in row] for row in exhibit["rows"])
    title = f"{exhibit['title']}, {wording.MODEL[model]}"
    return f"<h3>{model_name(model)}</h3>" + table(
        [escape(column) for column in exhibit["columns"]], lines, kind="words", label=title
    )


def _said(cell: Any) -> str:
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)
