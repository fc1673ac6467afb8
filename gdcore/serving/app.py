"""The HTTP server's routes: OpenAI's completions, KServe's health, metrics, and what only gdflow has (score, next …).

`create_app` makes an ASGI application; `gdcore.serving.running` gives it a socket and an end.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from gdcore.serving import schema
from gdcore.serving.answering import answered, scored, streamed
from gdcore.serving.batching import Busy, Closed
from gdcore.serving.keys import Keys
from gdcore.serving.limits import Asgi, Limited, Limits, Refused, problem
from gdcore.serving.models import Model, Models
from gdcore.serving.observing import Metrics, Observed
from gdcore.serving.reloading import follow

bearer = HTTPBearer(auto_error=False, description="An API key, where the server was started with any.")


class Serving:
    """What the routes share."""

    def __init__(self, bundles: Mapping[str, Path], limits: Limits, keys: Keys) -> None:
        self.version = _version()
        self.metrics, self.limits, self.keys = Metrics(self.version), limits, keys
        self.models = Models(bundles, limits, self.metrics)
        self.draining = False
        """Whether the server was told to stop: what runs is finished, nothing new is begun."""
        self.observed: Observed
        """The outermost layer, which knows how many requests are being answered."""

    @property
    def status(self) -> str:
        if self.draining:
            return "draining"
        return "ok" if all(model.ready for model in self.models) else "failed"


def serving_of(request: Request) -> Serving:
    return request.app.state.serving


Here = Annotated[Serving, Depends(serving_of)]


async def permitted(
    request: Request, here: Here, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> None:
    """Raises Refused for a request without a key, where keys are asked for."""
    if len(here.keys):
        owner = here.keys.owner(given.credentials) if given else None
        if owner is None:
            what = "is not known" if given else "is missing: send it as `Authorization: Bearer KEY`"
            raise Refused(401, f"the API key {what}", "invalid_api_key")
        request.scope["told"]["key"] = owner


async def admitted(here: Here) -> None:
    """Raises Refused while the server drains."""
    if here.draining:
        raise Refused(503, "the server is about to stop: ask another, or again later", "draining", seconds=5)


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": schema.ProblemResponse, "description": what}
    for status, what in {
        400: "The request cannot be answered; the message says why.",
        401: "No key, or one that is not known.",
        404: "No such model.",
        408: "The body came too slowly.",
        413: "The body is too large.",
        422: "Never: such requests are answered with 400.",
        429: "Too many texts wait; `Retry-After` says when to try again.",
        503: "The server is about to stop.",
        504: "It took too long.",
    }.items()
    if status != 422
}
open_routes = APIRouter()
routes = APIRouter(dependencies=[Depends(permitted)], responses={401: PROBLEMS[401], 404: PROBLEMS[404]})
work = APIRouter(dependencies=[Depends(permitted), Depends(admitted)], responses=PROBLEMS)


@work.post("/v1/completions", response_model=schema.Completion, response_model_exclude_unset=False)
async def completions(asked: schema.CompletionRequest, request: Request, here: Here) -> Response:
    """Texts that continue prompts or answer them; with `stream`, as server-sent events."""
    if asked.stream:
        return StreamingResponse(
            await streamed(here.models.get, asked, request, here.limits),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
    return await answered(here.models.get, asked, request, here.limits)


@work.post("/v1/score")
async def score(asked: schema.ScoreRequest, here: Here) -> schema.ScoreResponse:
    """How likely texts are under the model; what the discriminator makes of them."""
    model = here.models.get(asked.model)
    data = await model.direct(scored, model.session, asked)
    return schema.ScoreResponse(model=model.name, data=data)


@work.post("/v1/next")
async def next_words(asked: schema.NextRequest, here: Here) -> schema.NextResponse:
    """The words that most likely follow a text."""
    model = here.models.get(asked.model)
    words = await model.direct(model.session.next_words, asked.prefix, asked.k)
    data = [schema.Word(word=word, probability=probability) for word, probability in words]
    return schema.NextResponse(model=model.name, data=data)


@work.post("/v1/classify")
async def classify(asked: schema.ClassifyRequest, here: Here) -> schema.ClassifyResponse:
    """The classes of texts, by a bundle that `gdflow classify` made."""
    model = here.models.get(asked.model)
    found = await model.direct(model.session.classify, asked.texts, asked.prompts, asked.top)
    data = [
        schema.Classified(index=i, classes=[schema.Class(name=name, probability=p) for name, p in classes])
        for i, classes in enumerate(found)
    ]
    return schema.ClassifyResponse(model=model.name, data=data)


@routes.get("/v1/models")
async def models(here: Here) -> schema.ModelList:
    """The models there are."""
    return schema.ModelList(data=[_listed(model) for model in here.models])


@routes.get("/v1/models/{name}")
async def one_model(name: str, here: Here) -> schema.Listed:
    """One model."""
    return _listed(here.models.get(name))


@routes.get("/metrics", response_class=Response)
async def metrics(here: Here) -> Response:
    """Figures for Prometheus."""
    return Response(generate_latest(here.metrics.registry), media_type=CONTENT_TYPE_LATEST)


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


def _listed(model: Model) -> schema.Listed:
    manifest = model.session.manifest
    return schema.Listed(
        id=model.name,
        created=model.created,
        kind="generator" if model.batcher else "classifier",
        prompted=model.session.prompted,
        context=model.session.context,
        discriminator=(manifest.get("discriminator") or {}).get("name"),
        license=manifest["license"],
    )


def _tensor(described: Mapping[str, Any]) -> schema.Tensor:
    kinds = {"float": "FP32", "int64": "INT64", "bool": "BOOL"}
    shape = [size if isinstance(size, int) else -1 for size in described["shape"]]
    return schema.Tensor(name=described["name"], datatype=kinds[described["dtype"]], shape=shape)


def create_app(
    bundles: Mapping[str, Path],
    limits: Limits | None = None,
    keys: Keys | None = None,
    cors: Sequence[str] = (),
    followed: Mapping[str, Callable[[], Path]] | None = None,
) -> tuple[Asgi, Serving]:
    """The application, and what it serves. Raises UserError for a bundle that cannot be used.

    `followed`: of names among `bundles`, where the present bundle lies; it is looked up again and again.
    """
    serving = Serving(bundles, limits or Limits(), keys or Keys())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        serving.models.start()
        tasks = [
            asyncio.create_task(follow(serving.models, serving.metrics, name, where))
            for name, where in (followed or {}).items()
        ]
        yield
        for task in tasks:
            task.cancel()
        serving.models.retire()
        await serving.models.ended()

    app = FastAPI(title="gdflow", version=serving.version, lifespan=lifespan)
    app.state.serving = serving
    for router in (open_routes, routes, work):
        app.include_router(router)
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    inner: Asgi = app  # pyright: ignore[reportAssignmentType]
    if cors:
        allowed: Any = CORSMiddleware(
            app, allow_origins=list(cors), allow_methods=["*"], allow_headers=["*"], expose_headers=["x-request-id"]
        )
        inner = allowed
    serving.observed = Observed(Limited(inner, serving.limits), serving.metrics)
    return serving.observed, serving


async def _refused(request: Request, error: Any) -> Response:
    return JSONResponse(error.body, error.status, error.headers)


async def _invalid(request: Request, error: Any) -> Response:
    message, key = schema.told(error.errors()[0])
    # A lone surrogate cannot be encoded: a client that sent one gets it back escaped.
    message = message.encode("utf-8", "backslashreplace").decode()
    return JSONResponse(problem(message, param=key, code="bad_value"), 400)


async def _unusable(request: Request, error: Any) -> Response:
    message = str(error).encode("utf-8", "backslashreplace").decode()
    return JSONResponse(problem(message, code="bad_value"), 400)


async def _http(request: Request, error: Any) -> Response:
    return JSONResponse(problem(str(error.detail), code="http"), error.status_code, error.headers)


async def _busy(request: Request, error: Any) -> Response:
    return await _refused(request, Refused(429, str(error), "busy", seconds=error.seconds))


async def _closed(request: Request, error: Any) -> Response:
    return await _refused(request, Refused(503, str(error), "closed", seconds=1))


HANDLERS: dict[Any, Any] = {
    Refused: _refused,
    RequestValidationError: _invalid,
    ValueError: _unusable,
    HTTPException: _http,
    Busy: _busy,
    Closed: _closed,
}


def _version() -> str:
    try:
        return metadata.version("gdflow")
    except metadata.PackageNotFoundError:
        return "unknown"
