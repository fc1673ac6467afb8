"""KServe's own Python client and Triton's, which speak the open inference protocol, version 2, of themselves.

They need other versions of what gdflow needs: KSERVE_PYTHON names the Python of an environment of their own, made by
`pip install kserve tritonclient[http]`.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from small_bundle import exported
from small_server import Keys, serve

from gdcore.serving.keys import new_key
from gdcore.serving.session import Session

pytestmark = pytest.mark.slow
PYTHON = os.environ.get("KSERVE_PYTHON")


@pytest.mark.skipif(PYTHON is None, reason="KSERVE_PYTHON names no Python that has kserve and tritonclient[http]")
def test_kserves_and_tritons_clients():
    key, line = new_key("tests")
    with serve({"small": exported() / "bundle"}, keys=Keys(line)) as running:
        command = [PYTHON, Path(__file__).with_name("kserve_clients.py"), f"127.0.0.1:{running.port}", key, "small"]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["kserve"] == {"live": True, "ready": True, "model_ready": True}
    triton = said["triton"]
    assert (triton["server_live"], triton["server_ready"], triton["model_ready"]) == (True, True, True)
    assert triton["stranger_ready"] is False, "without a key nothing is told"
    assert triton["server"]["name"] == "gdflow"
    graph = Session(exported() / "bundle").manifest["graphs"]["generate.onnx"]
    assert [tensor["name"] for tensor in triton["model"]["inputs"]] == [value["name"] for value in graph["inputs"]]
    assert [tensor["name"] for tensor in triton["model"]["outputs"]] == [value["name"] for value in graph["outputs"]]
