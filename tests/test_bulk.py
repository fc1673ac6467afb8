"""Texts in bulk: the same as a session's, whoever is stopped, and no row is lost."""

import json
import os
from pathlib import Path

import polars as pl
import pytest
from small_bundle import exported
from typer.testing import CliRunner

from flows.cli import app
from gdcore import bulk
from gdcore.decoding import Decoding
from gdcore.errors import UserError
from gdcore.serving.session import Session

BUNDLE = exported() / "bundle"
COLD = Decoding(temperature=0.7, candidates=2)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "SHARD", 7)


def written(out: Path, num: int, seed: int = 3, decoding: Decoding = COLD) -> list[int]:
    return [each.done for each in bulk.generate(BUNDLE, out, bulk.unprompted(num), num, seed, decoding)]


def test_it_writes_what_a_session_writes(tmp_path: Path) -> None:
    out = tmp_path / "new" / "texts.parquet"
    assert written(out, 20) == [7, 14, 20]
    frame = pl.read_parquet(out)
    assert frame["text"].to_list() == Session(BUNDLE).generate(20, seed=3, **COLD.model_dump())
    assert frame["row"].to_list() == list(range(20))
    assert frame["prompt"].null_count() == frame["reason"].null_count() == 20
    assert os.listdir(out.parent) == [out.name], "no shard stays"
    told = bulk.summary(out)
    assert (told["rows"], told["written"], told["refused"]) == (20, 20, {})


def test_a_stopped_call_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    written(whole, 30)
    stopped = bulk.generate(BUNDLE, out, bulk.unprompted(30), 30, 3, COLD)
    assert next(stopped).done == 7
    assert next(stopped).done == 14
    stopped.close()
    assert not out.exists()
    (shard, _) = sorted(tmp_path.glob("out.parquet.parts-*/*"))
    before = shard.stat().st_mtime_ns
    written(out, 30, seed=4)  # another request does not take these shards for its own
    assert not pl.read_parquet(out).equals(pl.read_parquet(whole))
    written(out, 30)
    assert out.read_bytes() == whole.read_bytes()
    assert before < out.stat().st_mtime_ns
    assert list(tmp_path.glob("*.parts-*")) == []
    stamp = out.stat().st_mtime_ns
    written(out, 30)
    assert out.stat().st_mtime_ns == stamp, "what is asked again is there"


def test_each_row_of_a_file_is_answered_or_says_why_not(tmp_path: Path) -> None:
    lines = [json.dumps({"q": "bal gut"}), "{broken", json.dumps({"q": "fes " * 40}), json.dumps({"q": "fes"})]
    (tmp_path / "asked.jsonl").write_text("\n".join(lines) + "\n")
    out = tmp_path / "answers.parquet"
    list(bulk.generate(BUNDLE, out, bulk.prompts_of(tmp_path / "asked.jsonl", "q"), None, 0, Decoding()))
    rows = pl.read_parquet(out).to_dicts()
    assert [row["reason"] and row["reason"].split(",")[0] for row in rows] == [
        None, "invalid_json", "takes 41 tokens", None,
    ]  # fmt: skip
    assert rows[0]["text"].startswith("bal gut")
    assert rows[3]["text"].startswith("fes")
    assert rows[1]["text"] is rows[2]["text"] is None
    alone = Session(BUNDLE).generate(1, ["fes"], seed=0, first=3)
    assert [rows[3]["text"]] == alone, "row 3 is what it is whatever stands before it"


def test_a_model_that_answers_needs_something_to_answer(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    list(bulk.generate(exported(prompted=True) / "bundle", out, bulk.unprompted(2), 2, 0, Decoding()))
    assert pl.read_parquet(out)["reason"].to_list() == ["no prompt, and this model answers prompts"] * 2


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "texts.parquet"
    options = ["generate", "--bundle", str(BUNDLE), "--seed", "5", "--out", str(out), "--json"]
    done = CliRunner().invoke(app, [*options, "--num", "9"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == 9
    assert pl.read_parquet(out)["text"].to_list() == Session(BUNDLE).generate(9, seed=5)
    refused = CliRunner().invoke(app, ["generate", "--bundle", str(BUNDLE), "--prompts", str(out)])
    assert refused.exit_code == 2
    assert "--prompts goes with --out" in refused.output
    with pytest.raises(UserError, match="does not exist"):
        list(bulk.prompts_of(tmp_path / "none.jsonl", "q"))
    refused = CliRunner().invoke(app, [*options, "--prompts", str(tmp_path / "none.jsonl")])
    assert refused.exit_code == 2
    assert "none.jsonl does not exist" in refused.output
    os.mkfifo(tmp_path / "waiting.jsonl")
    for path, complaint in ((tmp_path / "waiting.jsonl", "is a FIFO"), (BUNDLE, "not one file|holds no")):
        with pytest.raises(UserError, match=complaint):
            bulk.digest_of(path)


def test_prompts_are_not_overwritten_and_may_be_none(tmp_path: Path) -> None:
    prompts, out = tmp_path / "prompts.csv", tmp_path / "texts.parquet"
    prompts.write_text("prompt\n")
    options = ["generate", "--bundle", str(BUNDLE), "--json", "--prompts", str(prompts), "--out"]
    refused = CliRunner().invoke(app, [*options, str(prompts)])
    assert (refused.exit_code, prompts.read_text()) == (2, "prompt\n")
    assert "is the file that is read" in refused.output
    done = CliRunner().invoke(app, [*options, str(out)])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["rows"], told["texts"]) == (0, [])
