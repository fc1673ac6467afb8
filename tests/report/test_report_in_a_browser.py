"""The page as Chromium sees it: the script sorts and searches, nothing is fetched, nothing overflows."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from small_report import sample

from gdcore.report.page import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="needs Chromium")]

TEXTS = {"one red cat": 0.5, "two red dogs and a bird": 0.9, "three <b>cats</b>": 0.1}


@pytest.fixture
def page(evaluation: dict[str, Any], tmp_path: Path) -> Path:
    for model in evaluation["samples"]:
        evaluation["samples"][model] = [sample(text) | {"probability": p} for text, p in TEXTS.items()]
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
    write_report(tmp_path, tmp_path / "report.html")
    return tmp_path / "report.html"


def asked(page: Path, script: str, *flags: str) -> Any:
    """What `script`, run after the page's own, returns as JSON."""
    hook = page.with_name("hooked.html")
    ending = f"<script>document.title = 'said ' + JSON.stringify((() => {{ {script} }})())</script></body>"
    hook.write_text(page.read_text().replace("</body>", ending))
    assert BROWSER
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'profile'}", *flags)
    done = subprocess.run(
        [BROWSER, *options, "--dump-dom", f"file://{hook}"], capture_output=True, text=True, timeout=90
    )
    title = done.stdout.partition("<title>said ")[2].partition("</title>")[0]
    return json.loads(title.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


SHOWN = """
    const said = (li) => li.querySelector(".text").textContent;
    const shown = (list) => [...list.children].filter((li) => !li.hidden).map(said);
    const lists = [...document.querySelectorAll("ol.texts")];
    const form = document.getElementById("tools");
    const set = (name, value) => {
      const field = form.elements[name];
      if (field.type === "checkbox") field.checked = value; else field.value = value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    };
"""


def test_sorting_and_searching(page: Path) -> None:
    steps = """
      const seen = { tools: !form.hidden, first: shown(lists[0]) };
      set("order", "real -1"); seen.real = shown(lists[1]);
      set("order", "length 1"); seen.short = shown(lists[2]);
      set("order", "order 1"); seen.again = shown(lists[1]);
      set("query", "RED  ca"); seen.red = lists.map(shown); seen.found = form.elements.found.value;
      set("query", "<b>"); seen.tag = shown(lists[0]);
      set("query", ""); set("near", false); seen.near = getComputedStyle(lists[0].querySelector(".near")).display;
      return seen;
    """
    drawn = list(TEXTS)
    said = asked(page, SHOWN + steps)
    assert said["tools"]
    assert said["first"] == said["again"] == drawn
    assert said["real"] == sorted(drawn, key=lambda text: -TEXTS[text])
    assert said["short"] == sorted(drawn, key=len)
    assert said["red"] == [["one red cat"]] * 3
    assert said["found"] == "1 · 1 · 1 of 3 · 3 · 3"
    assert said["tag"] == ["three <b>cats</b>"]
    assert said["near"] == "none"


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_fetched_and_nothing_is_wider_than_the_screen(page: Path, width: int) -> None:
    steps = "return [performance.getEntriesByType('resource').length, document.documentElement.scrollWidth, innerWidth]"
    fetched, wide, screen = asked(page, steps, f"--window-size={width},900")
    assert fetched == 0
    assert wide <= screen


def test_dark_and_light(page: Path) -> None:
    steps = "return getComputedStyle(document.documentElement).backgroundColor"
    dark, light = (asked(page, steps, f"--blink-settings=preferredColorScheme={scheme}") for scheme in (0, 1))
    assert dark == "rgb(20, 23, 26)"
    assert light == "rgb(253, 253, 251)"


def test_colours_can_be_read(page: Path) -> None:
    """WCAG 2.1, contrast of text against what it stands on: at least 4.5."""
    steps = """
      const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
      const light = (colour) => parts(colour).slice(0, 3).map((c) => c / 255)
        .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
      const under = (node) => {
        for (; node; node = node.parentElement) {
          const colour = getComputedStyle(node).backgroundColor;
          if (parts(colour)[3] !== 0) return colour;
        }
      };
      return [...document.querySelectorAll("h1,h2,h3,p,th,td,span,a,summary,mark,dt,dd,label,li")]
        .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
        .map((node) => {
          const [a, b] = [light(getComputedStyle(node).color), light(under(node))].sort((x, y) => y - x);
          return [(a + 0.05) / (b + 0.05), node.className || node.tagName, node.textContent.slice(0, 20)];
        }).sort((x, y) => x[0] - y[0])[0];
    """
    for scheme in (0, 1):
        ratio, *where = asked(page, steps, f"--blink-settings=preferredColorScheme={scheme}")
        assert ratio >= 4.5, (scheme, where)
