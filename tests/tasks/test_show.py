"""Markdown for Prefect's UI: whatever a text holds, it is shown and not obeyed."""

import base64

import pytest

from tasks import show


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words, 1.5 (x)", "plain words, 1.5 (x)"),
        ("a_b | *c*", r"a\_b \| \*c\*"),
        ("<img src=x onerror=alert(1)>", r"\<img src=x onerror=alert(1)\>"),
        ("[l](http://u) & `code`", r"\[l\](http://u) \& \`code\`"),
        ("- two\nlines\t\\", r"\- two lines \\"),
        ("# no heading", r"\# no heading"),
    ],
)
def test_texts_are_shown_as_they_are(text: str, expected: str) -> None:
    assert show.plain(text) == expected


def test_a_table_keeps_its_cells() -> None:
    assert show.table(["a|b", "n"], [["x\ny", 12345]]) == "| a\\|b | n |\n| --- | --- |\n| x y | 12,345 |"


def test_a_picture_is_inside_the_text() -> None:
    data = show.picture("<svg/>", "nothing").split("base64,")[1].rstrip(")")
    assert base64.b64decode(data) == b"<svg/>"
