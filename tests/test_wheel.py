"""The wheel: it builds, holds the package data, and runs outside the tree."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_runs_outside_the_tree(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT), cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    held = {str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*") if path.is_file()}
    for pattern in (
        "flows/presets/*.yaml",
        "gdcore/protocols/*.yaml",
        "gdcore/report/page.js",
        "gdcore/serving/web/*",
        "flows/prefect.yaml",
    ):
        assert {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)} <= held
    assert not [name for name in held if name.startswith(("tests", "benchmarks"))]
    # Ahead of the tree's own modules, which the tests' environment knows too.
    outside = {"PYTHONPATH": str(tmp_path / "site")}
    where = run(sys.executable, "-c", "import flows.cli; print(flows.cli.__file__)", cwd=tmp_path, **outside)
    assert where.startswith(str(tmp_path))
    assert "Run the whole pipeline" in run(sys.executable, "-m", "flows.cli", "--help", cwd=tmp_path, **outside)
    assert "quickstart" in run(sys.executable, "-m", "flows.cli", "list", "presets", cwd=tmp_path, **outside)
