"""KServe's open inference protocol, version 2: health and metadata; and `/health`, for those who speak another."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Response

from gdcore.serving import schema
from gdcore.serving.admission import Here, permitted
from gdcore.serving.problems import PROBLEMS

open_routes = APIRouter()
"""Asked by probes, which have no keys."""
routes = APIRouter(dependencies=[Depends(permitted)], responses={401: PROBLEMS[401], 404: PROBLEMS[404]})


@open_routes.get("/health", responses={503: {"model": schema.Health}})
async def health(here: Here, response: Response) -> schema.Health:
    """Whether the server answers requests."""
    response.status_code = 200 if here.status == "ok" else 503
    return schema.Health(status=here.status)  # pyright: ignore[reportArgumentType]


@open_routes.get("/v2/health/live")
async def live() -> schema.Live:
    """KServe: whether the process lives."""
    return schema.Live(live=True)


@open_routes.get("/v2/health/ready", responses={503: {"model": schema.Ready}})
async def ready(here: Here, response: Response) -> schema.Ready:
    """KServe: whether all models can be asked."""
    response.status_code = 200 if here.status == "ok" else 503
    return schema.Ready(ready=here.status == "ok")


@routes.get("/v2")
async def server_metadata(here: Here) -> schema.Server:
    """KServe: what this is."""
    return schema.Server(name="gdflow", version=here.version, extensions=[])


@routes.get("/v2/models/{name}")
async def model_metadata(name: str, here: Here) -> schema.ModelMetadata:
    """KServe: what goes into a model's graph and comes out, as the bundle's manifest describes it."""
    model = here.models.get(name)
    graphs = model.session.manifest["graphs"]
    graph = graphs.get("generate.onnx") or graphs["classifier.onnx"]
    return schema.ModelMetadata(
        name=model.name,
        versions=[],
        platform="onnxruntime_onnx",
        inputs=[_tensor(value) for value in graph["inputs"]],
        outputs=[_tensor(value) for value in graph["outputs"]],
    )


@routes.get("/v2/models/{name}/ready", responses={503: {"model": schema.ModelReady}})
async def model_ready(name: str, here: Here, response: Response) -> schema.ModelReady:
    """KServe: whether a model can be asked."""
    model = here.models.get(name)
    can = model.ready and not here.draining
    response.status_code = 200 if can else 503
    return schema.ModelReady(name=model.name, ready=can)


def _tensor(described: Mapping[str, Any]) -> schema.Tensor:
    kinds = {"float": "FP32", "int64": "INT64", "bool": "BOOL"}
    shape = [size if isinstance(size, int) else -1 for size in described["shape"]]
    return schema.Tensor(name=described["name"], datatype=kinds[described["dtype"]], shape=shape)
