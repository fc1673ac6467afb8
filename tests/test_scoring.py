"""`gdflow score`: a session's figures, whoever is stopped; every row is scored or says why not."""

import json
from pathlib import Path

import polars as pl
import pytest
from small_bundle import exported
from typer.testing import CliRunner, Result

from flows.cli import app
from gdcore import scoring
from gdcore.errors import UserError
from gdcore.serving.session import Session

BUNDLE = exported() / "bundle"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "PART", 7)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    lines = [json.dumps({"text": text}) for text in Session(BUNDLE).generate(17, seed=1, max_tokens=12)]
    lines[3:3] = ["{broken", json.dumps({"text": "fes " * 40})]
    path.write_text("\n".join(lines) + "\n")
    return path


def gdflow(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["score", *map(str, arguments)])


def test_each_row_is_scored_or_says_why_not(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "scores.parquet"
    done = gdflow(texts, "--bundle", BUNDLE, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    frame, session = pl.read_parquet(out), Session(BUNDLE)
    assert frame.columns == ["row", "prompt", "text", "nll", "tokens", "verdict", "reason"]
    assert frame["row"].to_list() == list(range(19))
    assert [row["reason"].split(",")[0] for row in frame[3:5].to_dicts()] == ["invalid_json", "too long: 42 tokens"]
    scored = frame.filter(pl.col("reason").is_null())
    assert scored["nll"].to_list() == pytest.approx(session.score(scored["text"].to_list()), abs=1e-5)
    assert scored["verdict"].to_list() == pytest.approx(session.judge(scored["text"].to_list()), abs=1e-5)
    assert scored["tokens"].to_list() == [len(ids) + 1 for ids in session.tokenizer.encode(scored["text"].to_list())]
    assert (
        frame.filter(pl.col("reason").is_not_null()).select("nll", "tokens", "verdict").null_count().row(0) == (2,) * 3
    )
    told = json.loads(done.stdout)
    assert (told["rows"], told["scored"], sum(told["refused"].values())) == (19, 17, 2)
    assert told["tokens"] == scored["tokens"].sum()
    assert told["nll"] == pytest.approx((scored["nll"] * scored["tokens"]).sum() / told["tokens"])


def test_a_stopped_call_goes_on_where_it_was(texts: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    assert [each.done for each in scoring.score(BUNDLE, texts, whole)] == [7, 14, 19]
    stopped = scoring.score(BUNDLE, texts, out)
    next(stopped)
    stopped.close()
    (part,) = tmp_path.glob("out.parquet.parts-*/*")
    stamp = part.stat().st_mtime_ns
    again = scoring.score(BUNDLE, texts, out)
    next(again)
    assert part.stat().st_mtime_ns == stamp
    list(again)
    assert out.read_bytes() == whole.read_bytes()
    assert list(tmp_path.glob("*.parts-*")) == []
    assert [each.note for each in scoring.score(BUNDLE, texts, out)] == ["was there already"]
    texts.write_text(texts.read_text() + json.dumps({"text": "bal"}) + "\n")
    assert list(scoring.score(BUNDLE, texts, out))[-1].done == 20, "another file is another request"


def test_answers_are_scored_as_answers(tmp_path: Path) -> None:
    bundle, out = exported(prompted=True) / "bundle", tmp_path / "scores.parquet"
    rows = [{"q": "bal gut", "a": "fes"}, {"q": "fes", "a": "bal"}, {"q": "bal " * 30, "a": "fes"}, {"a": "fes"}]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    list(scoring.score(bundle, path, out, "a", "q"))
    frame = pl.read_parquet(out)
    assert frame["nll"][:2].to_list() == pytest.approx(
        Session(bundle).score(["fes", "bal"], ["bal gut", "fes"]), abs=1e-5
    )
    assert frame["tokens"][:2].to_list() == [2, 2]
    assert frame["nll"].null_count() == 2
    with pytest.raises(UserError, match="answers prompts: name the column"):
        list(scoring.score(bundle, path, tmp_path / "x.parquet", "a"))
    with pytest.raises(UserError, match="knows no prompts"):
        list(scoring.score(BUNDLE, path, tmp_path / "x.parquet", "a", "q"))


def test_without_discriminator_there_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("bal gut\nfes\n")
    list(scoring.score(exported(discriminator=None) / "bundle", tmp_path / "t.txt", tmp_path / "o.parquet"))
    assert pl.read_parquet(tmp_path / "o.parquet")["verdict"].null_count() == 2
    assert pl.read_parquet(tmp_path / "o.parquet")["nll"].null_count() == 0


def test_wrong_files_are_told(tmp_path: Path) -> None:
    done = gdflow(tmp_path / "none.txt", "--bundle", BUNDLE, "--out", tmp_path / "o.parquet")
    assert (done.exit_code, "does not exist" in done.output) == (2, True)
    (tmp_path / "t.txt").write_text("bal\n")
    (tmp_path / "taken").write_text("")
    done = gdflow(tmp_path / "t.txt", "--bundle", BUNDLE, "--out", tmp_path / "taken" / "o.parquet")
    assert (done.exit_code, "cannot be written" in done.output) == (2, True)


def test_what_is_read_is_not_overwritten_and_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    read, folder = tmp_path / "t.txt", tmp_path / "folder"
    read.write_text("bal\n")
    folder.mkdir()
    for texts, out, complaint in (
        (read, read, "is the file that is read"),
        (read, folder, "is a folder"),
        (tmp_path / "none.txt", tmp_path / "o.parquet", "does not exist"),
    ):
        done = gdflow(texts, "--bundle", BUNDLE, "--out", out)
        assert (done.exit_code, complaint in done.output.replace("\n", " ")) == (2, True), done.output
    assert read.read_text() == "bal\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "t.txt"]
