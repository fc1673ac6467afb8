"""The HTTP server's routes: OpenAI's completions, metrics, and what only gdflow has (score, next, classify).

`create_app` makes an ASGI application; `gdcore.serving.running` gives it a socket and an end.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Scope

from gdcore.serving import kserve, schema
from gdcore.serving.admission import Here, Serving, admitted, permitted
from gdcore.serving.answering import answered, scored, streamed
from gdcore.serving.keys import Keys
from gdcore.serving.limits import Asgi, Limited, Limits
from gdcore.serving.models import Model
from gdcore.serving.observing import Observed
from gdcore.serving.page import policy
from gdcore.serving.problems import HANDLERS, PROBLEMS
from gdcore.serving.reloading import follow
from gdcore.serving.session import Precision

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


class Page(StaticFiles):
    """The bundle's page, which may load nothing from elsewhere."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["content-security-policy"] = policy()
        return response


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


def create_app(
    bundles: Mapping[str, Path],
    limits: Limits | None = None,
    keys: Keys | None = None,
    cors: Sequence[str] = (),
    followed: Mapping[str, Callable[[], Path]] | None = None,
    precision: Precision = "float32",
    page: Path | None = None,
) -> tuple[Asgi, Serving]:
    """The application, and what it serves. Raises UserError for a bundle that cannot be used.

    `followed`: of names among `bundles`, where the present bundle lies; it is looked up again and again. `precision`:
    of which graphs, as `Session` takes it. `page`: a folder that `write_page` wrote, to be had at `/` by everybody.
    """
    serving = Serving(bundles, limits or Limits(), keys or Keys(), precision)

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

    # No pages about the routes: FastAPI's would load their scripts from other hosts into the visitor's browser.
    app = FastAPI(title="gdflow", version=serving.version, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.serving = serving
    for router in (work, routes, kserve.open_routes, kserve.routes):  # looked through in this order
        app.include_router(router)
    if page:
        app.mount("/", Page(directory=page, html=True))
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
