"""prefect.yaml means what it says, and what it says runs: a real server, a real worker, a scheduled run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect.cli.deploy import _models as models
from prefect.flows import load_flow_from_entrypoint
from prefect.workers.process import ProcessWorker
from pydantic import BaseModel
from small_stack import ENDED, alive_on, client_of, ended, eventually, started, up

from flows.up import DEPLOYMENTS, POOL
from gdcore.artifacts import Store

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


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, subprocess.Popen[str]]]:
    """The API's address, the home, and the process of one `gdflow up` for all tests: it takes a while to start."""
    home = tmp_path_factory.mktemp("home")
    often = {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2"}
    with up(home, tmp_path_factory.mktemp("prefect"), **often) as (api, process):
        yield api, home, process
    assert not alive_on(api)


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestUp:
    """What a stack does, whatever was done to it before."""

    def test_a_scheduled_run_completes(self, stack: tuple[str, Path, subprocess.Popen[str]]) -> None:
        """A schedule that comes due, not a run asked for: that is what silently stopped working before."""
        api, home, _ = stack
        with client_of(api) as client:
            deployments = {each["name"]: each for each in client.post("/deployments/filter", json={}).json()}
            assert deployments.keys() == {each["name"] for each in described()["deployments"]}
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

    def test_a_run_that_fails_says_why(self, stack: tuple[str, Path, subprocess.Popen[str]]) -> None:
        api, _, _ = stack
        with client_of(api) as client:
            run = started(client, "train/on-demand", {"preset": "tiny", "corpus": {"paths": ["/no/such.txt"]}})
            assert ended(client, run) == "FAILED"
            chosen = {"artifacts": {"key": {"any_": ["cause"]}, "flow_run_id": {"any_": [run]}}}
            (cause,) = eventually(lambda: client.post("/artifacts/filter", json=chosen).json())
            assert "does not exist" in cause["data"]
            assert "Start it again" in cause["data"]

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

        def workers() -> list[int]:
            found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(up.pid)], capture_output=True, text=True)
            return [int(line.split()[0]) for line in found.stdout.splitlines() if "worker start" in line]

        (before,) = workers()
        os.kill(before, signal.SIGKILL)
        (after,) = eventually(lambda: [pid for pid in workers() if pid != before])
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
            found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(up.pid)], capture_output=True, text=True)
            (pid,) = (int(line.split()[0]) for line in found.stdout.splitlines() if f"{victim} start" in line)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: not Path(f"/proc/{pid}").exists() or "zombie" in Path(f"/proc/{pid}/status").read_text())
            eventually(lambda: alive_on(api))
            assert ended(client, run) in ("COMPLETED", "CRASHED", "FAILED")
            again = started(client, "train/on-demand", asked)
            assert ended(client, again) == "COMPLETED"
        assert Store(home / "artifacts").complaints() == {}

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
            command = [sys.executable, "-m", "flows.cli", "deploy", "--home", str(home), "--json"]
            hook = ["--notices", "http://127.0.0.1:9/hook"]
            environment = os.environ | {"PREFECT_API_URL": api}
            done = subprocess.run([*command, *hook], capture_output=True, text=True, timeout=120, env=environment)
            assert done.returncode == 0, done.stderr
            after = automations()
            assert after.keys() == before.keys()
            assert after["gdflow: drift starts training"]["enabled"]
            assert before["gdflow: a run that failed"]["actions"][0]["type"] == "do-nothing"
            assert after["gdflow: a run that failed"]["actions"][0]["type"] == "call-webhook"

    def test_a_second_up_finds_the_first(self, stack: tuple[str, Path, subprocess.Popen[str]]) -> None:
        api, home, _ = stack
        command = [sys.executable, "-m", "flows.cli", "up", "--home", str(home), "--json"]
        again = subprocess.run(command, capture_output=True, text=True, cwd=home, timeout=120)
        assert again.returncode == 0, again.stderr
        assert '"already_running": true' in again.stdout
        assert api in again.stdout
        assert httpx.get(f"{api}/work_pools/{POOL}").is_success
