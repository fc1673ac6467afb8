"""What the routes share, and who may use them: whoever has a key, where there are any, until the server drains."""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gdcore.serving.keys import Keys
from gdcore.serving.limits import Limits, Refused
from gdcore.serving.models import Models
from gdcore.serving.observing import Metrics, Observed
from gdcore.serving.session import Precision

bearer = HTTPBearer(auto_error=False, description="An API key, where the server was started with any.")


class Serving:
    """What the routes share."""

    def __init__(self, bundles: Mapping[str, Path], limits: Limits, keys: Keys, precision: Precision) -> None:
        self.version = _version()
        self.metrics, self.limits, self.keys = Metrics(self.version), limits, keys
        self.models = Models(bundles, limits, self.metrics, precision)
        self.draining = False
        """Whether the server was told to stop: what runs is finished, nothing new is begun."""
        self.observed: Observed
        """The outermost layer, which knows how many requests are being answered."""

    @property
    def status(self) -> str:
        if self.draining:
            return "draining"
        return "ok" if all(model.ready for model in self.models) else "failed"


async def serving_of(request: Request) -> Serving:
    # Asynchronous, though it waits for nothing: what is not, FastAPI hands over to a thread, for each request.
    return request.app.state.serving


Here = Annotated[Serving, Depends(serving_of)]


async def permitted(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
    """Raises Refused for a request without a key, where keys are asked for."""
    if len(keys := request.app.state.serving.keys):
        owner = keys.owner(given.credentials) if given else None
        if owner is None:
            what = "is not known" if given else "is missing: send it as `Authorization: Bearer KEY`"
            raise Refused(401, f"the API key {what}", "invalid_api_key")
        request.scope["told"]["key"] = owner


async def admitted(request: Request) -> None:
    """Raises Refused while the server drains."""
    if request.app.state.serving.draining:
        raise Refused(503, "the server is about to stop: ask another, or again later", "draining", seconds=5)


def _version() -> str:
    try:
        return metadata.version("gdflow")
    except metadata.PackageNotFoundError:
        return "unknown"
