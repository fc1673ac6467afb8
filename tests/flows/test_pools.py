"""Work pools in containers: Prefect's own templates with ours on top, as Prefect itself reads them."""

from typing import Any

import pytest
import yaml

from flows.pools import FOLDER, KINDS, merged, template
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


@pytest.mark.parametrize("kind", KINDS[1:])
def test_prefect_makes_a_job_of_it(kind: str) -> None:
    pytest.importorskip(f"prefect_{kind}")
    from prefect.utilities.templating import apply_values

    made = template(kind)
    assert made
    variables = made["variables"]["properties"]
    defaults = {name: each["default"] for name, each in variables.items() if "default" in each}
    job: dict[str, Any] = apply_values(made["job_configuration"], defaults | JOB)
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
