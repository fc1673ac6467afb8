"""Requests made up from the server's own OpenAPI schema: no 5xx, no answer that the schema lacks."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_bundle import exported
from small_server import Limits, serve

pytestmark = pytest.mark.slow


def schemathesis() -> str | None:
    beside = Path(sys.executable).with_name("schemathesis")
    return os.environ.get("SCHEMATHESIS") or (str(beside) if beside.is_file() else shutil.which("schemathesis"))


@pytest.mark.skipif(schemathesis() is None, reason="schemathesis is not installed: pip install 'gdflow[clients]'")
def test_fuzz(request: pytest.FixtureRequest, tmp_path: Path):
    examples = request.config.getoption("--fuzz")
    crf = exported("crf") / "bundle"
    with serve({"small": exported() / "bundle", "crf": crf}, Limits(texts=8, queue=64)) as running:
        command = [schemathesis(), "run", f"{running.url}/openapi.json", "--max-examples", str(examples)]
        command += ["--checks", "not_a_server_error,status_code_conformance,response_schema_conformance"]
        command += ["--phases", "examples,coverage,fuzzing", "--seed", "1", "--workers", "2"]
        command += ["--exclude-path", "/metrics"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        print(done.stdout[-3000:])
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        assert running.idle()
        assert running.http.get("/health").json() == {"status": "ok"}
        counts = re.findall(
            r'gdflow_requests_total{path=".*",status="(\d)\d\d"} (\d+)', running.http.get("/metrics").text
        )
    print(f"{sum(int(number) for _, number in counts):,} requests")
    assert not [status for status, _ in counts if status == "5"]
