"""The pipeline as a whole: what a run leaves behind, what the next one reuses, and what makes a stage new."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import get_client
from small_run import SETTINGS, run, write_texts

from flows.evaluate import evaluate
from flows.train import train
from flows.validate import check
from gdcore import runs, sources
from gdcore.artifacts import Store
from gdcore.corpora.config import CorpusConfig
from gdcore.errors import UserError
from gdcore.progress import Progress
from tasks import stage
from tasks.validation import Rejected

STAGES = ["corpus", "tokens", "validation", "pretraining", "finetuning", "evaluation", "export"]
FIRST = [*STAGES, "promotion"]


@pytest.fixture(scope="module")
def home(small_home: tuple[Path, dict[str, Any]]) -> Path:
    return small_home[0]


@pytest.fixture(scope="module")
def first(small_home: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    return small_home[1]


def test_a_run_gives_everything_it_should(home: Path, first: dict[str, Any]) -> None:
    assert first["selected"] in ("pretrained", "finetuned")
    assert first["counts"] == {"read": 400, "used": 400, "quarantined": 0}
    assert {name: line["state"] for name, line in first["stages"].items()} == dict.fromkeys(FIRST, "built")
    assert {"value", "low", "high"} == first["metrics"]["bleu_2"].keys()
    assert first["protocol"].startswith("gdflow@")
    assert json.loads(json.dumps(first)) == first, "the command line prints it"
    folder = Path(first["run"])
    assert folder.name.split("_")[1] == "tiny"
    assert (home / "runs" / "latest" / "bundle" / "generate.onnx").exists()
    assert (folder / "report.html").read_text().lstrip().startswith("<!")
    assert (folder / "data_docs" / "index.html").exists()
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["pretrain"]["steps"] == 6
    log = (folder / "run.log").read_text()
    assert all(f"{name:12} built" in log for name in FIRST)
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps if line["stage"] == "pretraining"] == [1, 2, 3, 4, 5, 6]
    store = Store(home / "artifacts")
    assert {each.kind for each in store.all()} == set(FIRST)
    assert store.complaints() == {}
    assert not list(store.root.glob(".drafts/*")) + list(store.root.glob(".work/*"))


def test_report_and_data_docs_are_linked_in_prefect(first: dict[str, Any]) -> None:
    with get_client(sync_client=True) as client:
        links = [(each.key, str(each.data)) for each in client.read_artifacts()]
    for key, path in (("report", first["report"]), ("data-docs", first["data_docs"])):
        address = Path(path).as_uri()
        assert [f"]({address})" in data for name, data in links if name == key and address in data] == [True], "once"
        assert Path(path).exists()


def test_the_same_again_is_reused(home: Path, first: dict[str, Any]) -> None:
    second = run(home)
    assert {name: line["state"] for name, line in second["stages"].items()} == dict.fromkeys(STAGES, "reused")
    assert second["bundle"] == first["bundle"]
    assert second["run"] != first["run"]


def test_a_run_is_resumed_from_what_is_left_of_the_store(home: Path, first: dict[str, Any]) -> None:
    """A truncated artifact is built again, to the same bytes: what follows from it is reused."""
    shard = next(runs.find(home).path("tokens").glob("*train*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    again = run(home)
    states = dict.fromkeys(STAGES, "reused") | {"tokens": "built"}
    assert {name: line["state"] for name, line in again["stages"].items()} == states


class Building(Exception):
    """A stage found that it has to be built."""


@pytest.fixture
def first_new(monkeypatch: pytest.MonkeyPatch, home: Path, first: dict[str, Any]) -> Any:
    """Says which stage is the first that a run with these settings would build."""

    def refuse(kind: str, progresses: Iterator[Progress]) -> None:
        raise Building(kind)

    monkeypatch.setattr(stage, "relay", refuse)

    def found(**settings: Any) -> str:
        with pytest.raises(Building) as building:
            run(home, **settings)
        return str(building.value)

    return found


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"tokens.lowercase": True}, "tokens"),
        ({"seed": 1}, "pretraining"),
        ({"objective.name": "seqgan", "discriminator.name": "causal_lstm"}, "finetuning"),
        ({"evaluation.decodings": [{"temperature": 0.7}]}, "evaluation"),
        ({"export.license": "MIT"}, "export"),
    ],
)
def test_a_setting_makes_its_own_stage_new(first_new: Any, setting: dict[str, Any], expected: str) -> None:
    assert first_new(**setting) == expected


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the sources for recipes to be made of, so that they can be edited."""
    copy = tmp_path_factory.mktemp("source")
    for package in sources.PACKAGES:
        shutil.copytree(sources.ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "ROOT", copy)
        yield copy


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("gdcore/corpora/text.py", "corpus"),
        ("tasks/expectations/corpus.py", "validation"),
        ("gdcore/objectives/gad.py", "finetuning"),
        ("gdcore/metrics/bleu.py", "evaluation"),
        ("gdcore/export/builder.py", "export"),
    ],
)
def test_editing_a_source_makes_what_uses_it_new(first_new: Any, source: Path, file: str, expected: str) -> None:
    path = source / file
    before = path.read_text()
    path.write_text(f"{before}\n# edited\n")
    try:
        assert first_new() == expected
    finally:
        path.write_text(before)


def test_a_run_is_judged_again_under_another_protocol(home: Path, first: dict[str, Any]) -> None:
    judged = evaluate(run=Path(first["run"]).name, protocol="texygen-paper", home=home)
    assert judged["protocol"].startswith("texygen-paper@")
    assert judged["judged"] == Path(first["run"]).name
    assert {row["model"] for row in judged["rows"]} == {"real", "pretrained", "finetuned"}
    assert (home / "runs" / "latest").resolve() == Path(runs.find(home).folder), (
        "judging is not a new run to serve from"
    )


def test_text_files_are_judged(tmp_path: Path, prefect_server: str) -> None:
    files = [write_texts(tmp_path / f"{seed}.txt", 60, seed) for seed in (1, 2)]
    judged = evaluate(samples=files[0], references=files[1], home=tmp_path)
    assert judged["protocol"].startswith("gdflow@")
    assert 0 < judged["metrics"]["bleu_2"]["value"] <= 1


def test_an_unfit_corpus_is_refused_with_its_verdict_kept(tmp_path: Path, prefect_server: str) -> None:
    texts = write_texts(tmp_path / "texts.txt", 400)
    texts.write_text("".join(f"{n} {line}" for n, line in enumerate(texts.read_text().splitlines(keepends=True))))
    corpus = CorpusConfig(paths=(str(texts),))
    strict = SETTINGS | {"validation.min_alphabet_share": 0.99, "tokens.kind": "word"}
    with pytest.raises(Rejected, match="not_text.*first: texts.txt.*data_docs"):
        train(preset="tiny", corpus=corpus, settings=strict, home=tmp_path)
    folder = runs.every(tmp_path)[0].folder
    assert "not_text" in (folder / "run.log").read_text()
    assert (folder / "data_docs" / "index.html").exists()
    assert not (tmp_path / "runs" / "latest").exists()
    result = check(preset="tiny", corpus=corpus, settings=strict, home=tmp_path)
    assert not result["success"]
    assert result["stages"]["validation"]["state"] == "reused", "the verdict was published, and stands"
    assert "not_text" in result["complaint"]


def test_what_was_refused_leaves_nothing(tmp_path: Path, prefect_server: str) -> None:
    with pytest.raises(UserError, match="does not exist"):
        train(preset="tiny", corpus=CorpusConfig(paths=(str(tmp_path / "nowhere.txt"),)), home=tmp_path)
    assert runs.every(tmp_path) == []
    assert Store(tmp_path / "artifacts").all() == []


def test_players_that_cannot_play_together_are_refused_before_anything_is_read(home: Path) -> None:
    before = len(Store(home / "artifacts").all())
    with pytest.raises(UserError, match="Set discriminator.name to causal_lstm"):
        run(home, **{"objective.name": "seqgan", "corpus.split_seed": 7})
    assert len(Store(home / "artifacts").all()) == before
