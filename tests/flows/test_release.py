"""Challengers in the pipeline and in the release flow: the rule, a person, and a form that a real server shows."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from small_run import assignments, run, write_texts
from small_stack import client_of, eventually, up
from typer.testing import CliRunner

from flows.cli import app
from flows.drift import drift
from flows.release import release
from gdcore import runs
from gdcore.artifacts import Store
from gdcore.errors import UserError
from gdcore.release.champion import Champion

BETTER = {"pretrain.steps": 40}


def champion(home: Path, name: str = "champion") -> Champion:
    return Champion(Store(home / "artifacts"), name)


def gdflow(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def outcomes(home: Path) -> list[tuple[str, str]]:
    return [(each.outcome, each.by) for each in champion(home).history()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, small_home: tuple[Path, dict[str, Any]]) -> Path:
    """A home whose first run is champion, and whose second, better one waits for a person."""
    home = tmp_path_factory.mktemp("release")
    shutil.copytree(small_home[0], home, symlinks=True, dirs_exist_ok=True)  # its stages are reused
    shutil.rmtree(home / "artifacts" / "champions")
    shutil.rmtree(home / "runs")
    first = run(home)
    assert first["promotion"]["outcome"] == "promoted"
    second = run(home, **BETTER, **{"promotion.mode": "manual"})
    assert second["promotion"]["outcome"] == "waiting"
    assert "--approve" in second["promotion"]["reason"]
    assert outcomes(home) == [("promoted", "rule")]
    return home


def names(home: Path) -> tuple[str, str]:
    """The two trained runs, oldest first."""
    second, first = (each.name for each in runs.every(home) if "_tiny_" in each.name)
    return first, second


def test_a_challenger_from_judgement_to_rollback(home: Path) -> None:
    first, second = names(home)
    shown = gdflow("release", second, "--judge", "--home", home, "--json")
    assert json.loads(shown.stdout)["promotion"]["outcome"] == "waiting", shown.stderr
    told = json.loads(gdflow("release", "--home", home, "--json").stdout)["promotion"]
    assert told["outcome"] == "promoted"
    assert told["champion"] == second
    (_, decision) = champion(home).history()
    assert decision.evidence["contest"]["difference"]["high"] < 0
    assert decision.evidence["protocol"].startswith("gdflow@")
    assert decision.evidence["digests"]["today"] == decision.beside["corpus"].content
    assert decision.run == second
    assert decision.about == "tiny · texts.txt · seed 0"
    assert gdflow("runs", "--home", home).stdout.count("champion") == 1
    texts = json.loads(gdflow("generate", "--champion", "--home", home, "--json").stdout)
    assert texts["bundle"] == str((runs.find(home, second).folder / "bundle").resolve())

    rolled = json.loads(gdflow("release", "--rollback", "--by", "Ada", "--home", home, "--json").stdout)
    assert (rolled["rolled_back"], rolled["champion"]) == (second, first)
    told = json.loads(gdflow("release", "--home", home, "--json").stdout)["promotion"]
    assert told["outcome"] == "unchanged"
    assert "Ada rolled back" in told["reason"], "no rule brings back what a person took out"
    told = json.loads(gdflow("release", "--reject", "--by", "Ada", "--home", home, "--json").stdout)["promotion"]
    assert told["outcome"] == "rejected"
    assert "The rule disagrees" in told["reason"]
    approved = gdflow("release", "--approve", "--by", "Ada", "--comment", "after all", "--home", home)
    assert "Champion: this run's model" in approved.stdout
    assert "after all" in approved.stdout
    assert gdflow("release", "--approve", "--by", "Ada", "--home", home).exit_code == 2, "it is that already"
    history = json.loads(gdflow("release", "--history", "--home", home, "--json").stdout)["history"]
    expected = [
        ("promoted", "rule"),
        ("promoted", "rule"),
        ("rolled back", "Ada"),
        ("rejected", "Ada"),
        ("approved", "Ada"),
    ]
    assert [(each["outcome"], each["by"]) for each in history] == expected == outcomes(home)
    worse = json.loads(gdflow("release", first, "--home", home, "--json").stdout)["promotion"]
    assert worse["outcome"] == "rejected"
    again = json.loads(gdflow("release", first, "--home", home, "--json").stdout)["promotion"]
    assert again["outcome"] == "unchanged", "decided on the same evidence, it is not written down twice"
    assert len(champion(home).history()) == 6


def test_the_events_arrive_at_the_server(home: Path, prefect_server: str) -> None:
    def seen() -> set[tuple[str, str]]:
        asked = {"filter": {"event": {"prefix": ["gdflow."]}}, "limit": 50}
        found = httpx.post(f"{prefect_server}/events/filter", json=asked).json()["events"]
        return {(each["event"], each["resource"]["prefect.resource.id"]) for each in found}

    wanted = {f"gdflow.model.{what}" for what in ("promoted", "rejected", "rolled-back")}
    eventually(lambda: wanted <= {event for event, _ in seen()})
    assert {resource for _, resource in seen()} == {"gdflow.champion.champion"}


@pytest.mark.slow
def test_another_name_and_no_promotion_at_all(home: Path) -> None:
    told = run(home, **BETTER, **{"promotion.name": "jokes"})["promotion"]
    assert (told["name"], told["outcome"]) == ("jokes", "promoted")
    told = run(home, **BETTER, **{"promotion.mode": "off"})["promotion"]
    assert told["outcome"] == "off"
    assert len(champion(home, "jokes").history()) == 1


def test_wrong_input_is_told(home: Path) -> None:
    for arguments, words in (
        (("--approve", "--reject"), "do not go together"),
        (("nowhere",), "no runs"),
        (("--rollback", "--name", "news"), "no champion named 'news'"),
        (("--by", "Ada"), "--by and --comment go with"),
    ):
        done = gdflow("release", *arguments, "--home", home)
        assert done.exit_code == 2
        assert words in done.stderr
    with pytest.raises(UserError, match="only a run of the deployment"):
        release(decide="person", home=home)
    done = gdflow("generate", "--champion", "--name", "news", "--home", home)
    assert "there are champion" in done.stderr


def test_unchanged_text_has_not_drifted(home: Path) -> None:
    still = gdflow("drift", "--home", home, "--name", "champion", "--json")
    assert json.loads(still.stdout)["due"] is False, still.stderr
    assert drift(name="news", home=home)["due"] is False, "no champion, nothing to drift from"


@pytest.mark.slow
def test_drift_is_told_from_chance(home: Path, tmp_path: Path) -> None:
    limits = ("--set", "draws=5", "--set", "num_texts=100")
    same = write_texts(tmp_path / "same.txt", 400, seed=7)
    told = json.loads(gdflow("drift", "--corpus", same, "--name", "champion", *limits, "--home", home, "--json").stdout)
    assert not any(each["drifted"] for each in told["moved"]), "other texts by the same grammar"
    assert told["due"], "but there are many of them"
    assert told["growth"]["drifted"]
    other = tmp_path / "other.txt"
    other.write_text("".join(f"{line} or {line[::-1]}\n" for line in same.read_text().splitlines()))
    shown = gdflow("drift", "--corpus", other, "--name", "champion", *limits, "--home", home)
    assert "Retraining is due" in shown.stdout
    assert shown.stdout.count("moved") >= 3


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[tuple[httpx.Client, Path]]:
    """`gdflow up` on a home with one run, and a client of its server."""
    home = tmp_path / "home"
    home.mkdir()
    with up(home, tmp_path / "prefect") as (api, _):
        texts = write_texts(home / "texts.txt")
        options = [
            "--preset",
            "tiny",
            "--corpus",
            str(texts),
            "--home",
            str(home),
            *assignments(**{"promotion.mode": "manual"}),
        ]
        environment = os.environ | {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": api}
        command = [sys.executable, "-m", "flows.cli", "run", *options]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        with client_of(api) as client:
            yield client, home


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_release_waits_for_a_person_and_goes_on_from_the_form(stack: tuple[httpx.Client, Path]) -> None:
    client, home = stack
    assert champion(home).history() == []
    deployment = client.get("/deployments/name/release/release").json()
    assert deployment["parameters"] == {"decide": "person"}
    started = client.post(f"/deployments/{deployment['id']}/create_flow_run", json={}).json()
    path = f"/flow_runs/{started['id']}"

    def state() -> str:
        return client.get(path).json()["state_name"]

    eventually(lambda: state() == "Suspended", 300)
    assert champion(home).history() == [], "nobody has decided"
    # Answered while its process is still on the way out, Prefect's worker (3.8) dies: it holds the run's slot already.
    process = int(client.get(path).json()["infrastructure_pid"].rpartition(":")[2])
    eventually(lambda: not Path(f"/proc/{process}").exists())
    time.sleep(3)
    keys = client.get(path).json()["state"]["state_details"]["run_input_keyset"]
    words = client.get(f"{path}/input/{keys['description']}").json()
    assert "The rule would promote it." in words
    assert "unique texts" in words
    refused = client.post(f"{path}/resume", json={"run_input": {"promote": True}}).json()
    assert refused["status"] == "REJECT", "a decision has a name"
    answer = {"promote": True, "by": "Ada", "comment": "reads well"}
    assert client.post(f"{path}/resume", json={"run_input": answer}).json()["status"] == "ACCEPT"
    eventually(lambda: state() == "Completed", 300)
    (decision,) = champion(home).history()
    assert (decision.outcome, decision.by) == ("approved", "Ada")
    assert "reads well" in decision.why
    assert decision.evidence["limits"]
    asked = {"filter": {"event": {"name": ["gdflow.model.promoted"]}}}

    def events() -> list[dict[str, Any]]:
        return client.post("/events/filter", json=asked).json()["events"]

    eventually(lambda: len(events()) == 1)
    assert events()[0]["payload"]["by"] == "Ada"
    assert events()[0]["payload"]["bundle"] == str(champion(home).bundle())
    assert not list(home.glob("runs/*/waiting.json"))
