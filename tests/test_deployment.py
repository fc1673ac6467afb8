"""prefect.yaml means what it says, and what it says runs: a real server, a real worker, a scheduled run."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
import yaml
from prefect.cli.deploy import _models as models
from prefect.flows import load_flow_from_entrypoint
from prefect.workers.process import ProcessWorker
from pydantic import BaseModel
from small_stack import ENDED, alive_on, client_of, ended, eventually, listening, started, up

from flows import up as stack_module
from flows.up import DEPLOYMENTS, POOL
from gdcore.artifacts import Store
from gdcore.errors import UserError

SOURCE = Path(__file__).parents[1]


def described() -> dict[str, Any]:
    return yaml.safe_load(DEPLOYMENTS.read_text())


def unknown_keys(content: dict[str, Any]) -> set[str]:
    """The keys that Prefect would drop without a word, and the job variables that its process worker does not have."""

    def beyond(part: dict[str, Any], model: type[BaseModel]) -> set[str]:
        known = model.model_fields
        return part.keys() - known.keys() - {field.alias for field in known.values()}

    unknown = beyond(content, models.PrefectYamlModel)
    variables = ProcessWorker.get_default_base_job_template()["variables"]["properties"].keys()
    for deployment in content["deployments"]:
        unknown |= beyond(deployment, models.DeploymentConfig)
        unknown |= beyond(deployment["work_pool"], models.WorkPoolConfig)
        unknown |= deployment["work_pool"]["job_variables"].keys() - variables
        unknown |= beyond(deployment.get("concurrency_limit", {}), models.ConcurrencyLimitSpec)
        for schedule in deployment.get("schedules", []):
            unknown |= beyond(schedule, models.RawScheduleConfig)
    return unknown


def test_prefect_yaml_has_no_key_that_prefect_would_drop() -> None:
    assert unknown_keys(described()) == set()
    models.PrefectYamlModel.model_validate(described())


@pytest.mark.parametrize(
    "at",
    [
        (),
        ("deployments", 0),
        ("deployments", 0, "work_pool"),
        ("deployments", 0, "work_pool", "job_variables"),
        ("deployments", 0, "concurrency_limit"),
        ("deployments", 0, "schedules", 0),
    ],
)
def test_a_misspelt_key_is_found(at: tuple[str | int, ...]) -> None:
    broken = described()
    part: Any = broken
    for step in at:
        part = part[step]
    part["shedule"] = 1
    assert unknown_keys(broken) == {"shedule"}


@pytest.mark.parametrize("deployment", described()["deployments"], ids=lambda each: each["name"])
def test_entrypoints_exist_and_take_the_parameters(deployment: dict[str, Any]) -> None:
    flow = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    flow.validate_parameters(deployment.get("parameters", {}))
    assert not set(flow.parameters.required)
    form = flow.parameters.properties
    assert all("description" in form[name] for name in form), "a form without help"


def test_the_root_file_is_the_shipped_one() -> None:
    assert (SOURCE / "prefect.yaml").resolve() == DEPLOYMENTS.resolve()


def test_a_long_log_begins_anew_while_it_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_module, "LOG_BYTES", 100)
    log, previous = tmp_path / "worker.log", tmp_path / "worker.log.previous"
    log.write_text("of long ago\n" * 10)
    # It speaks when it is told to, and ends when nobody is left who could.
    said = "of today" * 20
    speaker = ["bash", "-c", f"until [ -e {tmp_path}/go ]; do sleep .05; done; echo {said}; sleep 60"]
    with stack_module.Kept(speaker, dict(os.environ), log) as kept:
        begun = log.read_text()
        assert begun.startswith(stack_module.BEGUN)
        (tmp_path / "go").touch()
        eventually(lambda: log.read_text() != begun)
        assert previous.read_text() == "of long ago\n" * 10
        kept.keep("worker")
        assert (log.read_text(), kept.process.poll()) == ("", None)
    assert previous.read_text() == f"{begun}{said}\n"


def test_errors_are_kept_as_long_as_runs(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    for name, days in (("old", 91), ("new", 89)):
        (tmp_path / "results" / name).touch()
        os.utime(tmp_path / "results" / name, (time.time() - days * 24 * 3600,) * 2)
    stack_module.forget_old_results(tmp_path)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["new"]


def test_what_a_start_says_is_told_from_what_earlier_ones_said(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("of long ago\n")
    with pytest.raises(UserError, match=r"ends with:\nthe port is taken\n") as raised:
        stack_module.Kept(["bash", "-c", "echo the port is taken; exit 1"], dict(os.environ), log).until(lambda: False)
    assert "of long ago" not in str(raised.value)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, subprocess.Popen[str]]]:
    """The API's address, the home, and the process of one `gdflow up` for all tests: it takes a while to start."""
    home = tmp_path_factory.mktemp("home")
    often = {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2"}
    with up(home, tmp_path_factory.mktemp("prefect"), **often) as (api, process):
        yield api, home, process
    assert not alive_on(api)


def children(up: subprocess.Popen[str], name: str) -> list[int]:
    """The processes of the server, or of the worker, that `gdflow up` has started."""
    found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(up.pid)], capture_output=True, text=True)
    return [int(line.split()[0]) for line in found.stdout.splitlines() if f"{name} start" in line]


@pytest.fixture
def sink() -> Iterator[tuple[str, list[str]]]:
    """A webhook's address, and the texts that have been posted to it."""
    told: list[str] = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", told
        finally:
            server.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(900)
class TestUp:
    """What a stack does, whatever was done to it before."""

    def test_a_scheduled_run_completes(self, stack: tuple[str, Path, subprocess.Popen[str]]) -> None:
        """A schedule that comes due, not a run asked for: that is what silently stopped working before."""
        api, home, _ = stack
        assert listening(api) == ["0100007F"], "strangers cannot reach it"
        with client_of(api) as client:
            deployments = {each["name"]: each for each in client.post("/deployments/filter", json={}).json()}
            assert deployments.keys() == {each["name"] for each in described()["deployments"]}
            limits = {
                each["name"]: each["limit"] for each in client.post("/v2/concurrency_limits/filter", json={}).json()
            }
            assert limits["gdflow-training"] == 1
            assert all("GDFLOW_TIMEOUT_HOURS" in each["job_variables"]["env"] for each in deployments.values())
            assert deployments["nightly"]["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
            often = {
                "schedule": {"interval": 5},
                "active": True,
                "parameters": {"preset": "tiny"},
                "max_scheduled_runs": 1,
            }
            nightly = deployments["nightly"]["id"]
            (made,) = client.post(f"/deployments/{nightly}/schedules", json=[often]).json()
            run = self._finished(client, nightly)
            client.delete(f"/deployments/{nightly}/schedules/{made['id']}").raise_for_status()
            assert (run["state_type"], run["auto_scheduled"]) == ("COMPLETED", True), run["state"]
            assert run["name"].startswith("tiny · ")
            assert run["name"].endswith("· seed 0")
            tasks = {each["name"]: each["state_name"] for each in self._tasks(client, run["id"])}
            stages = (
                "corpus",
                "tokens",
                "validation",
                "pretraining",
                "finetuning",
                "evaluation",
                "export",
                "promotion",
            )
            assert tasks == dict.fromkeys(stages, "Completed")
            artifacts = client.post("/artifacts/filter", json={}).json()
            shown = {each["key"]: each["data"] for each in artifacts}
            assert shown.keys() >= {
                *("corpus", "validation", "metrics", "samples", "promotion", "bundle", "report", "data-docs")
            }
            for key in ("pretraining", "finetuning", "frontier", "calibration"):
                assert "data:image/svg+xml;base64," in shown[key], key
            logs = client.post("/logs/filter", json={"limit": 200}).json()
            assert any("corpus       built" in each["message"] for each in logs)
        assert (home / "runs" / "latest" / "bundle" / "manifest.json").exists()

    def _finished(self, client: httpx.Client, deployment: str) -> dict[str, Any]:
        chosen = {"deployments": {"id": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"}
        for _ in range(300):
            runs = client.post("/flow_runs/filter", json=chosen).json()
            if runs and runs[0]["state_type"] in ENDED:
                return runs[0]
            time.sleep(1)
        raise AssertionError(f"no scheduled run has finished: {runs}")

    def _tasks(self, client: httpx.Client, run: str) -> list[dict[str, Any]]:
        """Task runs are recorded with a lag."""
        found: list[dict[str, Any]] = []
        for _ in range(40):
            found = client.post("/task_runs/filter", json={"flow_runs": {"id": {"any_": [run]}}}).json()
            if len(found) == 8 and all(each["state_type"] == "COMPLETED" for each in found):
                break
            time.sleep(0.5)
        return found

    def test_every_other_deployment_runs(self, stack: tuple[str, Path, subprocess.Popen[str]]) -> None:
        """On what the scheduled run has made, so that hardly anything is built."""
        api, home, _ = stack
        plan = {"about": "One.", "preset": "tiny", "seeds": [0], "systems": {"as it is": {}}}
        (home / "one.yaml").write_text(yaml.safe_dump(plan))
        asked = {
            "evaluate/evaluate": ({"run": "latest"}, "metrics"),
            "drift/drift": ({}, None),  # the same text: nothing to show
            "generate-batch/generate-batch": ({"num": 5, "seed": 1, "out": str(home / "five.parquet")}, "generated"),
            "sweep/sweep": ({"plan": str(home / "one.yaml")}, "results"),
        }
        with client_of(api) as client:
            # One waits for the other: the worker takes one run at a time.
            begun = {name: started(client, name, parameters) for name, (parameters, _) in asked.items()}
            for name, run in begun.items():
                assert ended(client, run) == "COMPLETED", name
                if artifact := asked[name][1]:
                    assert self._shown(client, run, artifact), name
        assert pl.read_parquet(home / "five.parquet").height == 5
        (table,) = home.glob("runs/*_sweep-one_*/results.json")
        assert json.loads(table.read_text())["failures"] == []
        (drift,) = home.glob("runs/*_drift_*")
        assert "corpus       reused" in (drift / "run.log").read_text()

    def _shown(self, client: httpx.Client, run: str, key: str) -> list[str]:
        """What a run's artifacts of this key hold."""
        chosen = {"artifacts": {"key": {"any_": [key]}, "flow_run_id": {"any_": [run]}}}
        return [each["data"] for each in client.post("/artifacts/filter", json=chosen).json()]

    def test_a_run_that_fails_says_why(self, stack: tuple[str, Path, subprocess.Popen[str]]) -> None:
        api, _, _ = stack
        with client_of(api) as client:
            run = started(client, "train/on-demand", {"preset": "tiny", "corpus": {"paths": ["/no/such.txt"]}})
            assert ended(client, run) == "FAILED"
            (cause,) = eventually(lambda: self._shown(client, run, "cause"))
            assert "does not exist" in cause
            assert "Mend what is named here" in cause

    def test_a_cancelled_training_stops_soon_with_a_checkpoint(
        self, stack: tuple[str, Path, subprocess.Popen[str]]
    ) -> None:
        api, home, _ = stack
        settings = {"pretrain.steps": 100_000, "pretrain.checkpoint_every": 99_999, "pretrain.eval_every": 99_999}
        with client_of(api) as client:
            run = started(client, "train/on-demand", {"preset": "tiny", "settings": settings})
            work = eventually(lambda: [*home.glob("artifacts/.work/pretraining-*/metrics.jsonl")])[0].parent
            eventually(lambda: (work / "metrics.jsonl").read_text().count("\n") > 20)
            assert not list(work.glob("step-*"))
            process = int(client.get(f"/flow_runs/{run}").json()["infrastructure_pid"].rpartition(":")[2])
            cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
            asked = time.monotonic()
            client.post(f"/flow_runs/{run}/set_state", json=cancelling).raise_for_status()
            checkpoint = eventually(lambda: [*work.glob("step-*")])[0]
            eventually(lambda: not Path(f"/proc/{process}").exists())
            assert time.monotonic() - asked < 10
            assert (checkpoint / "state.json").exists()
            eventually(lambda: client.get(f"/flow_runs/{run}").json()["state_type"] == "CANCELLED", 60)

    def test_a_worker_that_dies_is_started_again(self, stack: tuple[str, Path, subprocess.Popen[str]]) -> None:
        api, _, up = stack

        (before,) = children(up, "worker")
        os.kill(before, signal.SIGKILL)
        (after,) = eventually(lambda: [pid for pid in children(up, "worker") if pid != before])
        assert after
        with client_of(api) as client:
            run = started(client, "evaluate/evaluate", {"run": "no-such-run"})
            assert ended(client, run) == "FAILED", "somebody takes up work again"

    @pytest.mark.timeout(1500)
    @pytest.mark.parametrize("victim", ["server", "worker"])
    def test_a_run_whose_server_or_worker_is_killed_can_be_run_again(
        self, stack: tuple[str, Path, subprocess.Popen[str]], victim: str
    ) -> None:
        """It may get through on its own; if not, it must not stay «running», and the next one finishes its work."""
        api, home, up = stack
        seed = {"server": 1, "worker": 2}[victim]
        asked = {"preset": "tiny", "seed": seed, "settings": {"pretrain.steps": 3000, "pretrain.patience": 1000}}
        with client_of(api) as client:
            before = set(home.glob("artifacts/.work/pretraining-*"))
            run = started(client, "train/on-demand", asked)
            eventually(lambda: set(home.glob("artifacts/.work/pretraining-*")) - before)
            (pid,) = children(up, victim)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: not Path(f"/proc/{pid}").exists() or "zombie" in Path(f"/proc/{pid}/status").read_text())
            eventually(lambda: alive_on(api))
            assert ended(client, run) in ("COMPLETED", "CRASHED", "FAILED")
            again = started(client, "train/on-demand", asked)
            assert ended(client, again) == "COMPLETED"
        assert Store(home / "artifacts").complaints() == {}

    @pytest.mark.timeout(1500)
    @pytest.mark.parametrize("with_its_worker", [False, True], ids=["alone", "with its worker"])
    def test_a_run_whose_process_is_killed_is_crashed_and_says_so(
        self, stack: tuple[str, Path, subprocess.Popen[str]], with_its_worker: bool
    ) -> None:
        """With its worker, nobody is left to tell: the server marks it as crashed, the next `up` says why."""
        api, home, up = stack
        settings = {"pretrain.steps": 3000, "pretrain.patience": 1000, "pretrain.checkpoint_every": 100}
        asked = {"preset": "tiny", "seed": 3 + with_its_worker, "settings": settings}
        with client_of(api) as client:
            before = set(home.glob("artifacts/.work/pretraining-*"))
            run = started(client, "train/on-demand", asked)
            (work,) = eventually(lambda: set(home.glob("artifacts/.work/pretraining-*")) - before)
            eventually(lambda: [*work.glob("step-*")])
            process = int(client.get(f"/flow_runs/{run}").json()["infrastructure_pid"].rpartition(":")[2])
            if with_its_worker:
                found = subprocess.run(
                    ["ps", "-o", "pid=,args=", "--ppid", str(up.pid)], capture_output=True, text=True
                )
                (worker,) = (int(line.split()[0]) for line in found.stdout.splitlines() if "worker start" in line)
                os.kill(worker, signal.SIGKILL)
            os.kill(process, signal.SIGKILL)
            assert ended(client, run) == "CRASHED"
            if with_its_worker:
                assert self._shown(client, run, "cause") == []
                self._deploy(api, home)
            (cause,) = eventually(lambda: self._shown(client, run, "cause"))
            assert "Its process ended without a word" in cause
            assert "goes on from its last checkpoint" in cause
            if with_its_worker:
                assert "No sign of life" in cause
                self._deploy(api, home)
                assert len(self._shown(client, run, "cause")) == 1, "it is said once"
            assert ended(client, started(client, "train/on-demand", asked)) == "COMPLETED"
        assert Store(home / "artifacts").complaints() == {}

    def _deploy(self, api: str, home: Path, *options: str) -> None:
        command = [sys.executable, "-m", "flows.cli", "deploy", "--home", str(home), "--json", *options]
        environment = os.environ | {"PREFECT_API_URL": api}
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
        assert done.returncode == 0, done.stderr

    def test_automations_are_there_once_and_stay_as_they_were_switched(
        self, stack: tuple[str, Path, subprocess.Popen[str]]
    ) -> None:
        api, home, _ = stack
        with client_of(api) as client:

            def automations() -> dict[str, dict[str, Any]]:
                listed = client.post("/automations/filter", json={}).json()
                assert len({each["name"] for each in listed}) == len(listed)
                return {each["name"]: each for each in listed}

            before = automations()
            assert len(before) == 5
            retrain, lost = before["gdflow: drift starts training"], before["gdflow: a run that was lost"]
            assert (retrain["enabled"], lost["enabled"]) == (False, True)
            client.patch(f"/automations/{retrain['id']}", json={"enabled": True}).raise_for_status()
            self._deploy(api, home, "--notices", "http://127.0.0.1:9/hook")
            after = automations()
            assert after.keys() == before.keys()
            assert after["gdflow: drift starts training"]["enabled"]
            assert before["gdflow: a run that failed"]["actions"][0]["type"] == "do-nothing"
            assert after["gdflow: a run that failed"]["actions"][0]["type"] == "call-webhook"

    def test_a_failure_and_a_promotion_are_told_to_the_webhook(
        self, stack: tuple[str, Path, subprocess.Popen[str]], sink: tuple[str, list[str]]
    ) -> None:
        api, home, _ = stack
        address, told = sink
        self._deploy(api, home, "--notices", address)
        with client_of(api) as client:
            failing = {"preset": "tiny", "corpus": {"paths": ["/no/such.txt"]}}
            assert ended(client, started(client, "train/on-demand", failing)) == "FAILED"
            eventually(lambda: [text for text in told if text.endswith(": prefect.flow-run.Failed")])
            # The first of its name has nobody to beat; what it is made of was made before.
            promoted = {"preset": "tiny", "settings": {"promotion.name": "told"}}
            assert ended(client, started(client, "train/on-demand", promoted)) == "COMPLETED"
            eventually(lambda: [text for text in told if ": gdflow.model.promoted · " in text])

    def test_the_ways_to_start_a_run_that_the_documentation_shows(
        self, stack: tuple[str, Path, subprocess.Popen[str]], tmp_path: Path
    ) -> None:
        """Its own words, but for the folder, the preset and a loop that waits a minute."""
        api, _, _ = stack
        section = (SOURCE / "docs" / "operations.md").read_text().split("**Started by something else.**")[1]
        asking, watching = section.split("```\n")[1:4:2]
        folder = tmp_path / "texts"
        folder.mkdir()
        (folder / "one.txt").write_text("a text\n")
        told = {"PREFECT_API_URL": api, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

        def shell(script: str) -> subprocess.Popen[bytes]:
            for words, ours in (("/data/texts", str(folder)), ('"default"', '"tiny"'), ("sleep 60", "sleep 1")):
                script = script.replace(words, ours)
            return subprocess.Popen(["bash", "-c", script], env=os.environ | told, start_new_session=True)

        with client_of(api) as client:
            seen: set[str] = set()

            def asked() -> list[str]:
                """The runs that were asked for since; called off, before the worker takes them all."""
                runs = client.post("/flow_runs/filter", json={"sort": "START_TIME_DESC"}).json()
                ours = {"preset": "tiny", "corpus": {"paths": [str(folder)]}}
                found = [run["id"] for run in runs if run["parameters"] == ours and run["id"] not in seen]
                for run in found:
                    off = {"state": {"type": "CANCELLED"}, "force": True}
                    client.post(f"/flow_runs/{run}/set_state", json=off).raise_for_status()
                seen.update(found)
                return found

            assert shell(asking).wait(120) == 0
            assert len(eventually(asked)) == 1
            watch = shell(watching)
            try:
                eventually(asked)
                time.sleep(5)
                assert asked() == [], "nothing has changed"
                (folder / "two.txt").write_text("another\n")
                eventually(asked)
            finally:
                os.killpg(watch.pid, signal.SIGKILL)
                watch.wait()

    def test_a_second_up_finds_the_first(self, stack: tuple[str, Path, subprocess.Popen[str]]) -> None:
        api, home, _ = stack
        command = [sys.executable, "-m", "flows.cli", "up", "--home", str(home), "--json"]
        again = subprocess.run(command, capture_output=True, text=True, cwd=home, timeout=120)
        assert again.returncode == 0, again.stderr
        assert '"already_running": true' in again.stdout
        assert api in again.stdout
        assert httpx.get(f"{api}/work_pools/{POOL}").is_success

    def test_an_up_of_another_home_does_not_take_the_deployments_away(
        self, stack: tuple[str, Path, subprocess.Popen[str]], tmp_path: Path
    ) -> None:
        api, home, _ = stack
        command = [sys.executable, "-m", "flows.cli", "up", "--home", str(tmp_path)]
        told = os.environ | {"PREFECT_API_URL": api}
        other = subprocess.run(command, capture_output=True, text=True, env=told, timeout=120)
        assert other.returncode == 2
        assert f"works for the home {home}, where `gdflow up` is running" in other.stderr
        nightly = httpx.get(f"{api}/deployments/name/train/nightly").raise_for_status().json()
        assert str(home) in str(nightly["pull_steps"])
