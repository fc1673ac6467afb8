"""The command line, to the letter: one JSON object or words, status 2 with one paragraph, nothing half-written."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from small_run import assignments, write_texts
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.console import Terminated
from flows.up import address_of
from gdcore import runs
from gdcore.artifacts import Store

COMMANDS = sorted(typer.main.get_group(app).commands)


def gdflow(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def in_a_process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=120)


def test_help_is_immediate_and_names_every_command() -> None:
    code = "import sys; from flows.cli import app\ntry: app(['--help'])\nexcept SystemExit: print(*sys.modules)"
    start = time.perf_counter()
    done = in_a_process(code)
    seconds = time.perf_counter() - start
    assert all(f"  {command} " in done.stdout for command in COMMANDS), done
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "prefect", "polars", "numpy", "pydantic", "great_expectations", "onnxruntime"}
    assert seconds < 3, "half a second where nothing else runs"


@pytest.mark.parametrize(
    "command",
    [[name] for name in COMMANDS]
    + [["store", each] for each in ("verify", "gc", "du")]
    + [["bundle", each] for each in ("verify", "sign")],
    ids=" ".join,
)
def test_each_command_has_help_with_an_example_json_and_home(command: list[str]) -> None:
    shown = gdflow(*command, "--help")
    assert shown.exit_code == 0
    assert f"gdflow {command[0]}" in shown.stdout
    assert "Example" in shown.stdout
    assert "--json" in shown.stdout
    assert "--home" in shown.stdout


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("generators", "lstm"),
        ("discriminators", "cnn"),
        ("objectives", "gad"),
        ("metrics", "bleu"),
        ("presets", "quickstart"),
        ("corpora", "docstrings"),
        ("protocols", "texygen-paper"),
    ],
)
def test_list_names_what_there_is(kind: str, name: str) -> None:
    shown = gdflow("list", kind, "--json")
    assert name in json.loads(shown.stdout)["names"]
    assert name in gdflow("list", kind).stdout.split()


def test_two_text_files_are_judged(tmp_path: Path) -> None:
    samples, references = (write_texts(tmp_path / f"{seed}.txt", 50, seed) for seed in (1, 2))
    files = ("--samples", samples, "--references", references)
    judged = json.loads(gdflow("evaluate", *files, "--train", references, "--protocol", "gdflow", "--json").stdout)
    assert judged["protocol"].startswith("gdflow@")
    assert judged["counts"]["samples"] == 50
    assert {"bleu_2", "bleu_5", "self_bleu_5", "distinct_1", "copy_rate"} <= judged["metrics"].keys()
    assert judged["metrics"]["bleu_2"].keys() == {"value", "low", "high"}
    shown = gdflow("evaluate", *files)
    assert "BLEU-2" in shown.stdout


def test_an_empty_home_has_no_runs_and_no_artifacts(tmp_path: Path) -> None:
    assert json.loads(gdflow("runs", "--home", tmp_path, "--json").stdout) == {"runs": []}
    assert json.loads(gdflow("store", "--home", tmp_path, "--json").stdout) == {"artifacts": [], "bytes": 0}
    assert json.loads(gdflow("store", "verify", "--home", tmp_path, "--json").stdout) == {"checked": 0, "damaged": {}}


def test_a_damaged_store_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "artifacts")
    with store.lock("corpus", "a" * 64), store.draft("corpus", "a" * 64) as draft:
        (draft / "x").write_text("x")
        ref = store.publish(draft, "corpus", "a" * 64)
    assert gdflow("store", "verify", "--home", tmp_path).exit_code == 0
    (store.path(ref) / "x").write_text("y")
    found = gdflow("store", "verify", "--home", tmp_path, "--json")
    assert found.exit_code == 2
    assert json.loads(found.stdout)["damaged"].keys() == {ref.name}


def bad(tmp_path: Path) -> dict[str, tuple[list[str | Path], str]]:
    """Name → arguments that cannot be, and what the one paragraph must name."""
    texts = write_texts(tmp_path / "texts.txt")
    (empty := tmp_path / "empty.txt").write_text("")
    (binary := tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 20)
    (blank := tmp_path / "blank.txt").write_text(" \n\n \n")
    (rows := tmp_path / "rows.jsonl").write_text('{"text": "a b"}\n' * 3)
    (one := tmp_path / "one.txt").write_text("".join("word " * n + "\n" for n in range(1, 200)))
    few = write_texts(tmp_path / "few.txt", 40)
    small = assignments()
    halves = ("--set", "corpus.valid_fraction=0.25", "--set", "corpus.test_fraction=0.25")
    return {
        "missing file": (["run", "--corpus", tmp_path / "no.txt"], "no.txt does not exist"),
        "empty file": (["run", "--corpus", empty], "empty.txt is empty"),
        "binary file": (["run", "--corpus", binary], "binary.txt holds binary data"),
        "wrong column": (["run", "--corpus", rows, "--text-column", "body"], "body"),
        "column of plain text": (["run", "--corpus", texts, "--label-column", "x"], "label_column"),
        "all rejected": (["run", "--corpus", blank], "blank.txt"),
        "one word": (["run", "--corpus", one, *small], "vocabulary"),
        "less than a batch": (["run", "--corpus", few, *small, *halves, "--set", "pretrain.batch_size=64"], "batch"),
        "two sources": (["run", "--corpus", texts, "--train", texts], "one source"),
        "unknown preset": (["run", "--preset", "tinny"], "tiny"),
        "unknown key": (["run", "--set", "pretrain.stepz=3"], "did you mean steps"),
        "unknown objective": (["run", "--set", "objective.name=segan"], "seqgan"),
        "negative": (["run", "--set", "pretrain.steps=-3"], "pretrain.steps"),
        "absurd": (["run", "--set", "finetune.generator_learning_rate=many"], "generator_learning_rate"),
        "no value": (["run", "--set", "seed"], "key=value"),
        "no yaml": (["run", "--set", "seed=[1"], "YAML"),
        "unknown protocol": (
            ["evaluate", "--samples", texts, "--references", texts, "--protocol", "x"],
            "texygen-paper",
        ),
        "half a pair": (["evaluate", "--samples", texts], "--references"),
        "no samples": (["evaluate", "--samples", tmp_path / "no.txt", "--references", texts], "no.txt"),
        "no run": (["evaluate", "--run", "x"], "no runs"),
        "no bundle": (["generate", "--bundle", tmp_path], "no bundle"),
        "no bundle yet": (["generate"], "gdflow run"),
        "unknown kind": (["list", "generator"], "generators"),
    }


CASES = [
    "missing file", "empty file", "binary file", "wrong column", "column of plain text", "all rejected", "one word",
    "less than a batch", "two sources", "unknown preset", "unknown key", "unknown objective", "negative", "absurd",
    "no value", "no yaml", "unknown protocol", "half a pair", "no samples", "no run", "no bundle", "no bundle yet",
    "unknown kind",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_is_one_paragraph_and_status_2(case: str, tmp_path: Path, prefect_server: str) -> None:
    arguments, words = bad(tmp_path)[case]
    home = tmp_path / "home"
    done = gdflow(*arguments, "--home", home)
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    message = done.stderr.strip().splitlines()[-1]
    assert len(done.stderr.strip().split("\n\n")) == 1
    assert "Traceback" not in done.output
    assert len(message) > 20
    assert done.stdout == ""
    if case not in ("one word", "less than a batch"):  # refused later: the folder of a run tells how far it came
        assert runs.every(home) == [], "nothing half-written"
    store = Store(home / "artifacts")
    assert not list(store.root.glob(".drafts/*"))
    assert store.complaints() == {}


def test_every_bad_case_is_tried(tmp_path: Path) -> None:
    assert list(bad(tmp_path)) == CASES


def test_a_configured_server_that_is_down_is_named() -> None:
    code = "from flows.cli import app; app(['run', '--preset', 'tiny'])"
    done = in_a_process(code, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == 2
    assert "http://127.0.0.1:9/api" in done.stderr
    assert "gdflow up" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_up_for_strangers_needs_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "name:password")
    monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)
    refused = gdflow("up", "--host", "0.0.0.0", "--home", tmp_path)
    assert refused.exit_code == 2
    assert "--host 0.0.0.0" in refused.stderr
    assert "set PREFECT_SERVER_API_AUTH_STRING and PREFECT_API_AUTH_STRING to name:password" in refused.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("host", "api"),
    [
        ("127.0.0.1", "http://127.0.0.1:4200/api"),
        ("0.0.0.0", "http://127.0.0.1:4200/api"),
        ("::", "http://[::1]:4200/api"),
        ("192.0.2.7", "http://192.0.2.7:4200/api"),
    ],
)
def test_where_a_server_is_reached_from_its_own_machine(host: str, api: str) -> None:
    assert address_of(host, 4200) == api


def test_up_elsewhere_is_refused(tmp_path: Path) -> None:
    code = f"from flows.cli import app; app(['up', '--home', {str(tmp_path)!r}])"
    done = in_a_process(code, PREFECT_API_URL="http://192.0.2.1:4200/api")
    assert done.returncode == 2
    assert "not this machine" in done.stderr


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[BaseException], None]]:
    """Have the flow end as if it had been stopped."""
    import flows.train

    def stop(error: BaseException) -> None:
        def train(**_: Any) -> None:
            raise error

        monkeypatch.setattr(flows.train, "train", train)

    yield stop


def test_ctrl_c_says_that_the_run_resumes(
    stopped: Callable[[BaseException], None], tmp_path: Path, prefect_server: str
) -> None:
    for error, status in ((KeyboardInterrupt(), 130), (Terminated(), 143)):
        stopped(error)
        done = gdflow("run", "--preset", "tiny", "--home", tmp_path)
        assert done.exit_code == status
        assert "the same command resumes" in done.stderr


def test_json_is_alone_on_stdout_whatever_prints(prefect_server: str) -> None:
    """Prints of libraries and of their child processes go to standard error, down to the file descriptor."""
    code = """
import os, subprocess, flows.train
from flows.cli import app
def train(**_):
    print("noise"); os.system("echo deep noise")
    return {"selected": "finetuned"}
flows.train.train = train
app(["run", "--preset", "tiny", "--json"])"""
    done = in_a_process(code, PREFECT_API_URL=prefect_server)
    assert json.loads(done.stdout) == {"selected": "finetuned"}
    assert "noise" in done.stderr
    assert "deep noise" in done.stderr


def test_run_then_everything_else(small_home: tuple[Path, dict[str, Any]]) -> None:
    home, first = small_home
    arguments = ("run", "--preset", "tiny", "--corpus", home / "texts.txt", *assignments(), "--home", home)
    done = gdflow(*arguments, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["selected"] in ("pretrained", "finetuned")
    assert result["counts"]["read"] == result["counts"]["used"] + result["counts"]["quarantined"] == 400
    assert all(line["state"] in ("built", "reused") for line in result["stages"].values())
    assert Path(result["report"]).exists()
    assert result["bundle"] == first["bundle"]
    shown = gdflow(*arguments)
    words = ("MLE", "adversarial", "real text", "Selected:", " generate --bundle", " up\n")
    assert all(word in shown.stdout for word in words), shown.stdout
    assert " run --corpus" not in shown.stdout, "it has just been run on a text of one's own"
    assert "export       reused" in shown.stderr
    listed = json.loads(gdflow("runs", "--home", home, "--json").stdout)["runs"]
    assert Path(result["run"]).name in [each["run"] for each in listed if each["finished"]]
    assert listed[0]["run"] in gdflow("runs", "--home", home).stdout
    held = json.loads(gdflow("store", "--home", home, "--json").stdout)["artifacts"]
    assert {Path(each["path"]).parent.name for each in held} == {*result["stages"], "promotion"}


def test_generate_needs_no_torch_and_obeys_its_seed(small_home: tuple[Path, dict[str, Any]]) -> None:
    home, result = small_home
    code = f"""
import sys
from flows.cli import app
try: app(["generate", "--bundle", {result["bundle"]!r}, "--num", "3", "--seed", "1", "--json"])
except SystemExit: pass
print(sorted({{"torch", "prefect", "polars", "great_expectations"}} & set(sys.modules)), file=sys.stderr)"""
    done = in_a_process(code)
    assert done.stderr.strip() == "[]"
    texts = json.loads(done.stdout)["texts"]
    assert len(texts) == 3
    arguments = ("generate", "--home", home, "--num", "3", "--json", "--seed")
    assert json.loads(gdflow(*arguments, "1").stdout)["texts"] == texts, "by default the latest bundle"
    assert json.loads(gdflow(*arguments, "2").stdout)["texts"] != texts
    cold = [json.loads(gdflow(*arguments, seed, "--temperature", "0").stdout)["texts"] for seed in "12"]
    assert cold[0] == cold[1]
    assert len(gdflow("generate", "--home", home, "--num", "4").stdout.rstrip("\n").split("\n")) == 4


def test_validate_judges_and_says_so(tmp_path: Path, prefect_server: str) -> None:
    texts = write_texts(tmp_path / "texts.txt")
    with texts.open("a") as file:
        file.writelines(f"the cat sees {n} stones today\n" for n in range(10))
    arguments = ("validate", "--preset", "tiny", "--corpus", texts, "--home", tmp_path, "--json", *assignments())
    done = gdflow(*arguments)
    assert done.exit_code == 0, done.output
    verdict = json.loads(done.stdout)
    assert verdict["success"] is True
    assert verdict["counts"] == {"read": 410, "used": 410, "quarantined": 0}
    assert {suite["name"] for suite in verdict["suites"]} == {"corpus", "tokens", "splits"}
    unfit = gdflow(*arguments, "--set", "validation.min_alphabet_share=1.0", "--set", "validation.mostly=1.0")
    assert unfit.exit_code == 2
    assert json.loads(unfit.stdout)["success"] is False
    assert "not_text" in unfit.stderr
    shown = gdflow("validate", "--preset", "tiny", "--corpus", texts, "--home", tmp_path, *assignments())
    assert "not_text" in shown.stdout
