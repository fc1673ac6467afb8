"""Errors as answers, in the shape that OpenAI's clients read."""

from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gdcore.serving import schema
from gdcore.serving.batching import Busy, Closed
from gdcore.serving.limits import Refused, problem

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": schema.ProblemResponse, "description": what}
    for status, what in {
        400: "The request cannot be answered; the message says why.",
        401: "No key, or one that is not known.",
        404: "No such model.",
        408: "The body came too slowly.",
        413: "The body is too large.",
        429: "Too many texts wait; `Retry-After` says when to try again.",
        503: "The server is about to stop.",
        504: "It took too long.",
    }.items()
}


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
