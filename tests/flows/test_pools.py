"""Work pools in containers: Prefect's own templates with ours on top, as Prefect itself reads them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.server.api import collections
from prefect.server.schemas.actions import DeploymentCreate, WorkPoolCreate
from prefect.utilities.schema_tools.validation import ValidationError, is_valid_schema, preprocess_schema
from prefect.utilities.templating import apply_values

from flows.pools import FOLDER, KINDS, merged, template
from flows.up import DEPLOYMENTS
from gdcore.errors import UserError

JOB = {"command": "run", "env": {"A": "b"}, "labels": {}, "name": "x", "image": "mine", "memory_limit": "9Gi"}


def test_laying_over() -> None:
    base = {"a": 1, "b": {"c": [{"x": 1}], "d": 2}}
    assert merged(base, {"b": {"c": [{"y": 2}]}}) == {"a": 1, "b": {"c": [{"x": 1, "y": 2}], "d": 2}}
    assert merged(base, {"b": {"c": [1, 2]}, "e": 3}) == {"a": 1, "b": {"c": [1, 2], "d": 2}, "e": 3}
    assert base == {"a": 1, "b": {"c": [{"x": 1}], "d": 2}}


@pytest.mark.parametrize("kind", KINDS[1:])
def test_every_placeholder_has_a_variable(kind: str) -> None:
    ours = yaml.safe_load((FOLDER / f"{kind}.yaml").read_text())
    used = yaml.safe_dump(ours["job_configuration"])
    new = {name for name, each in ours["variables"]["properties"].items() if "type" in each}
    assert new, "memory or GPUs"
    assert {name for name in new if f"{{{{ {name} }}}}" in used} == new


def test_a_kind_whose_package_is_missing_is_told() -> None:
    assert template("process") is None
    with pytest.raises(UserError, match=r"pip install 'gdflow\[warehouse\]'"):
        template("warehouse")


def shipped(kind: str) -> dict[str, Any]:
    """Our template on the one that Prefect's server keeps of each kind of worker, installed or not."""
    views = Path(collections.__file__).with_name("collections_data") / "views"
    workers = json.loads((views / "aggregate-worker-metadata.json").read_text())
    ours = yaml.safe_load((FOLDER / f"{kind}.yaml").read_text())
    return merged(workers[f"prefect-{kind}"][kind]["default_base_job_configuration"], ours)


def installed(kind: str) -> dict[str, Any]:
    pytest.importorskip(f"prefect_{kind}")
    made = template(kind)
    assert made
    return made


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("made", [shipped, installed])
def test_prefects_own_schemas_take_it(kind: str, made: Callable[[str], dict[str, Any]]) -> None:
    found = made(kind)
    WorkPoolCreate(name="gdflow", type=kind, base_job_template=found)
    is_valid_schema(found["variables"])
    assert preprocess_schema(found["variables"])["properties"].keys() == found["variables"]["properties"].keys()
    for deployment in yaml.safe_load(DEPLOYMENTS.read_text())["deployments"]:
        told = deployment["work_pool"]["job_variables"]
        asked = DeploymentCreate(name="any", flow_id=uuid4(), job_variables=told)
        asked.check_valid_configuration(found)
        with pytest.raises(ValidationError, match="stream_output"):
            asked.model_copy(update={"job_variables": told | {"stream_output": "loud"}}).check_valid_configuration(
                found
            )


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_variable_that_is_not_declared_is_refused(kind: str) -> None:
    broken = shipped(kind)
    del broken["variables"]["properties"]["gpus"]
    with pytest.raises(ValueError, match="undeclared variable.*gpus"):
        WorkPoolCreate(name="gdflow", type=kind, base_job_template=broken)


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("made", [shipped, installed])
def test_prefect_makes_a_job_of_it(kind: str, made: Callable[[str], dict[str, Any]]) -> None:
    found = made(kind)
    variables = found["variables"]["properties"]
    defaults = {name: each["default"] for name, each in variables.items() if "default" in each}
    job: dict[str, Any] = apply_values(found["job_configuration"], defaults | JOB)
    if kind == "docker":
        assert (job["image"], job["mem_limit"], job["volumes"]) == ("mine", "8g", ["gdflow-home:/data"])
        assert job["container_create_kwargs"] == {"device_requests": []}
        return
    spec = job["job_manifest"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "mine"
    assert container["resources"]["limits"] | {"cpu": None} == {"cpu": None, "memory": "9Gi", "nvidia.com/gpu": 0}
    assert container["volumeMounts"][0]["name"] == spec["volumes"][0]["name"]
    assert spec["volumes"][0]["persistentVolumeClaim"]["claimName"] == "gdflow-home"
