"""The page: whole, offline, escaped; and the same figures in a terminal."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import TypeAdapter
from rich.console import Console
from small_report import EVIL

from gdcore.environment import environment
from gdcore.evaluation.document import Evaluation
from gdcore.report import table, wording
from gdcore.report.markup import marked
from gdcore.report.page import write_report
from gdcore.report.svg import Point, Series, chart, standalone, ticks

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Collects what a browser would fetch or run, and checks that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        self.ids |= {value or "" for name, value in attrs if name == "id"}
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page(evaluation: dict[str, Any], tmp_path: Path) -> str:
    folders = {name: tmp_path / name for name in ("evaluation", "corpus", "validation", "pretraining", "finetuning")}
    for folder in folders.values():
        folder.mkdir()
    (folders["evaluation"] / "evaluation.json").write_text(json.dumps(evaluation))
    quarantine = {"read": 20, "used": 18, "quarantined": 2, "reasons": {EVIL: 2}, "repaired": {"bom": 1}}
    (folders["corpus"] / "summary.json").write_text(json.dumps(quarantine | {"segmentation_reason": EVIL}))
    (folders["validation"] / "summary.json").write_text(
        json.dumps({"used": 17, "quarantined": 1, "reasons": {"length": 1}})
    )
    log = [{"step": step, "generator_nll": 5 - step / 100} for step in range(1, 400)] + [
        {"step": 400, "valid_nll": 3.0}
    ]
    (folders["pretraining"] / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    log = [{"step": 1, "discriminator_accuracy": 0.6, "guard_unique": 1.0, "guard_valid_nll": 3.0, "alarm": EVIL}]
    (folders["finetuning"] / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    about = {"run": EVIL, "config": EVIL, "refs": {EVIL: EVIL}, "environment": environment() | {EVIL: EVIL}}
    (tmp_path / "data_docs").mkdir()
    (tmp_path / "data_docs" / "index.html").touch()
    write_report(out=tmp_path / "report.html", about=about, **folders)
    return (tmp_path / "report.html").read_text()


def test_the_page_is_whole_and_needs_nothing_else(page: str) -> None:
    parser = Page()
    parser.feed(page)
    assert parser.open == []
    assert all(link.startswith("#") or link == "data_docs/index.html" for link in parser.links)
    assert {link[1:] for link in parser.links if link[0] == "#"} <= parser.ids
    assert not parser.tags & {"link", "img", "iframe", "object"}
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_every_word_from_outside_is_escaped(page: str) -> None:
    assert page.count("<script>") == page.count("</script>") == 1
    script = page.index("<script>")
    assert "alert" not in page[script:], "nothing from outside stands in the script"
    assert page[:script].count("&lt;script&gt;") >= 20


def test_the_verdict_comes_first(page: str) -> None:
    assert page.index("Selected: the pretrained (MLE) model") < page.index("<table")


def test_the_page_holds_what_was_asked_of_it(page: str) -> None:
    for words in (
        "Quality against diversity",
        "Calibration, as it says",
        "50 % away from",
        "Evidence",
        "Python",
        "Collapse guard",
        "Pretraining",
        "The collapse guard stopped",
        "quarantined",
        "BLEU-4",
    ):
        assert words in page
    assert "600 texts of the validation split and 400 of the training split" in page
    assert "≥ 0.9900" in page


def test_marked_stretches_keep_the_text_as_it_is() -> None:
    assert marked("a<b c", [(0, 3, ""), (4, 5, " x")]) == "<mark>a&lt;b</mark> <mark x>c</mark>"
    assert marked("abc", [(1, 9, ""), (0, 2, ""), (5, 7, "")]) == "<mark>ab</mark><mark>c</mark>"
    assert marked("&", []) == "&amp;"


def test_the_fixture_is_what_the_schema_says(evaluation: dict[str, Any]) -> None:
    TypeAdapter(Evaluation).validate_python(evaluation)


def test_a_report_needs_no_more_than_the_evaluation(evaluation: dict[str, Any], tmp_path: Path) -> None:
    for each in evaluation["rows"]:
        each["metrics"].pop("self_bleu_4")
    del evaluation["calibration"]
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
    write_report(tmp_path, tmp_path / "report.html")
    assert "Selected" in (tmp_path / "report.html").read_text()


def test_charts_are_well_formed_and_inside_their_frame() -> None:
    series = Series("a <b>", "mle", [Point(0, 1, (-0.5, 0.5), (0.9, 1.1), "T=1"), Point(3, 4)])
    picture = standalone(chart([series, Series("real", "real", [Point(1, 2)])], title="&", x_label="x", y_label="y"))
    root = ElementTree.fromstring(picture)
    frame = [float(number) for number in root.attrib["viewBox"].split()]
    for circle in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 < float(circle.attrib["cx"]) < frame[2]
        assert 0 < float(circle.attrib["cy"]) < frame[3]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 1], [0, 0.2, 0.4, 0.6, 0.8, 1.0]), ([0.21, 0.34], [0.2, 0.225, 0.25, 0.275, 0.3, 0.325, 0.35])],
)
def test_ticks_are_round_numbers_round_the_data(values: list[float], expected: list[float]) -> None:
    assert ticks(values, 6) == pytest.approx(expected)
    assert ticks([5.0], 6)[0] < 5 < ticks([5.0], 6)[-1]


def test_intervals_in_words() -> None:
    def spread(value: float, low: float, high: float) -> str:
        return wording.spread({"value": value, "low": low, "high": high}, 3)

    assert spread(0.5, 0.4, 0.6) == "± 0.100"
    assert spread(0.0, 0.0, 0.002) == "≤ 0.002"
    assert spread(1.0, 0.98, 1.0) == "≥ 0.980"
    assert spread(0.01, 0.009, 0.05) == "0.009 to 0.050"
    assert spread(1.0, 1.0, 1.0) == "± 0.000"


def test_the_terminal_shows_the_same_figures(evaluation: dict[str, Any]) -> None:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table.render(evaluation))
    console.print(table.render_samples(evaluation, 2))
    text = console.export_text()
    console.file.close()
    for words in (
        "1 more figures in the report",
        "MLE ✓ selected",
        "adversarial",
        "real text",
        "0.300 ± 0.010",
        "held-out NLL",
        EVIL,
        "(empty)",
    ):
        assert words in text
    assert "plain" not in text
