"""What races print is read again, and what breaks off or says nothing is an error; to fall short is none."""

import subprocess
import sys

import pytest

from benchmarks import __main__ as races
from benchmarks.lines import Arithmetic, Skipped, Verdict, read

SHORT = Verdict("mle", 4.5, 4.0, 5.25, "≥", 7.0, False)
SECONDS = Verdict("start_seconds", 0.25, 0.2, 0.5, "≤", 0.5, True)


@pytest.mark.parametrize("fact", [SHORT, SECONDS, Arithmetic("mle", 11.5, 2), Skipped("hf", "pip install this")])
def test_a_line_says_what_was_found(fact):
    assert read(f"{fact}\n") == fact
    assert read(f"  told: {fact}") is None, "for people"


def test_more_is_better_or_less_is():
    assert not SHORT.within
    assert SECONDS.within


@pytest.mark.parametrize(
    ("said", "breaks", "status"),
    [([str(SHORT), str(SECONDS)], False, 0), ([str(SHORT)], True, 1), (["nothing of note"], False, 1)],
)
def test_the_report_ends_with_what_falls_short(said, breaks, status, monkeypatch, tmp_path):
    def lines_of(command, threads):
        yield from ["limit float32 1 80.0 GFLOP/s"] if "limits" in command[-1] else said
        if breaks and "limits" not in command[-1]:
            raise subprocess.CalledProcessError(3, command)

    out = tmp_path / "results.md"
    monkeypatch.setattr(races, "lines_of", lines_of)
    monkeypatch.setattr(races, "RACES", (races.Race("one", "bench_one", "bench_one"),))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        races.main()
    assert ended.value.code == status
    text = out.read_text()
    assert ("Broken" in text) == bool(status)
    if not status:
        assert text.rstrip().endswith(f"1 of 2 fall short of their reach:\n\n- {SHORT}")
    assert f"- {SECONDS}" not in text
