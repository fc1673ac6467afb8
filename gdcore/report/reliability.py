"""The discriminator examined: does it tell real from generated, and do its probabilities mean what they say?"""

from typing import Any

from gdcore.report import wording
from gdcore.report.markup import figure_cell, model_name, note, section, table
from gdcore.report.svg import Point, Series, chart

Row = dict[str, Any]
FORMS = (("raw", "as it says"), ("fitted", "recalibrated"))


def charts(result: Row) -> list[str]:
    """The reliability diagrams; none where the evaluation holds no calibration."""
    return [_diagram(result["calibration"], form, words) for form, words in FORMS] if "calibration" in result else []


def calibration(result: Row) -> str:
    """Diagrams and figures; "" without them."""
    found: dict[str, Row] = result.get("calibration", {})
    if not found:
        return ""
    lines = [
        ["ranked rightly", *(figure_cell(each["ranked"], 3) for each in found.values())],
        ["on the right side of ½", *(figure_cell(each["accuracy"], 3) for each in found.values())],
    ]
    for form, words in FORMS:
        lines += [
            [f"Brier score, {words}", *(figure_cell(each[form]["brier"], 3) for each in found.values())],
            [f"calibration error, {words}", *map(_error, (each[form] for each in found.values()))],
        ]
    header = ["", *(f"against {model_name(model)}" for model in found)]
    texts = next(iter(found.values()))["texts"]
    return section(
        "discriminator",
        "The discriminator",
        note(
            f"Asked about {texts:,} held-out real texts and as many generated ones. «Ranked rightly» is the share of "
            "pairs in which the real text got the higher verdict: at .5 the texts cannot be told apart, which is what "
            "the generator is after. A discriminator of pairs has no threshold of its own, so only its ranking counts "
            "before it is recalibrated: by a line through its logits, fitted on the other half of the texts. The "
            "calibration error is the mean distance from the diagonal; by chance alone it would be as large as is said."
        ),
        '<div class="cards charts">' + "".join(f'<figure class="card">{each}</figure>' for each in charts(result)),
        "</div>",
        table(header, lines, kind="figures examined", label="The discriminator"),
    )


def _error(reliability: Row) -> str:
    """The error beside what chance alone would make of it."""
    return f'{reliability["ece"]:.3f}<span class="pm">chance ≤ {reliability["ece_floor"]:.3f}</span>'


def _diagram(found: Row, form: str, words: str) -> str:
    """Share of real texts against the probability they were given; on the diagonal the two agree."""
    series = [Series("", "plain", [Point(0, 0), Point(1, 1)], marks=False, dash=1)]
    for model, each in found.items():
        points = [
            Point(
                bin_["predicted"],
                bin_["real"]["value"],
                y_range=(bin_["real"]["low"], bin_["real"]["high"]),
                label=f"{bin_['texts']:,} texts",
            )
            for bin_ in each[form]["bins"]
        ]
        series.append(Series(wording.MODEL[model], wording.COLOUR[model], points, labels=False))
    return chart(
        series,
        title=f"Calibration, {words}",
        x_label="probability of being real, as given →",
        y_label="share that is real",
        about="On the diagonal, what is given and what is found agree.",
        width=460,
        height=380,
    )
