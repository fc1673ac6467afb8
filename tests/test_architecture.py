"""Who may know whom, held where an import linter cannot look: in the modules of a running process."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "prefect", "great_expectations", "polars", "pandas"}


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import gdcore",
        "import gdcore.serving.session",
        "import gdcore.serving.app, gdcore.serving.running",
        "import gdcore.artifacts",
        "import flows.cli",
    ],
)
def test_light_modules_import_nothing_heavy(statement):
    assert not modules_after(statement) & HEAVY


def test_the_library_knows_neither_prefect_nor_great_expectations():
    assert not modules_after("import gdcore.config, gdcore.training.phases") & {"prefect", "great_expectations"}


def test_no_module_is_named_after_the_standard_library_or_a_dependency():
    taken = sys.stdlib_module_names | {"onnx", "onnxruntime", "prefect", "polars", "torch", "pydantic", "numpy"}
    ours = {path.stem for folder in ("gdcore", "tasks", "flows") for path in (ROOT / folder).rglob("*.py")}
    assert not (ours - {"__init__"}) & taken
