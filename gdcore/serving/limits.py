"""What one client may take of a server, and the outermost layer that holds it to that."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pydantic import Field

from gdcore.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]


class Limits(Settings):
    """How much at a time."""

    slots: int = Field(default=64, ge=1, le=4096)
    """Texts of a model that are written at a time; more share a step, and each takes longer."""
    queue: int = Field(default=512, ge=0)
    """Texts of a model that wait for a slot; who comes then is told to try again (429)."""
    texts: int = Field(default=128, ge=1)
    """Texts of one request, all candidates counted."""
    deadline: float = Field(default=60.0, gt=0)
    """Seconds that a request may take; then its texts are given up (504)."""
    body_bytes: int = Field(default=1 << 20, ge=1024)
    """Size of a request's body (413)."""
    body_seconds: float = Field(default=10.0, gt=0)
    """Seconds in which a request's head, and then its body, must have come (408)."""
    drain_seconds: float = Field(default=30.0, ge=0)
    """Seconds that what runs is given to end, when the server is told to stop."""


def problem(
    message: str, kind: str = "invalid_request_error", param: str | None = None, code: str | None = None
) -> Any:
    """An error's body, as OpenAI's clients read it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


class Refused(Exception):
    """A request that gets this status and error instead of an answer."""

    def __init__(self, status: int, message: str, code: str, param: str | None = None, seconds: int = 0) -> None:
        super().__init__(message)
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status)
        kind = kind or ("invalid_request_error" if status < 500 else "server_error")
        self.status, self.body = status, problem(message, kind, param, code)
        self.headers = {"retry-after": str(seconds)} if seconds else {}
        if status == 401:
            self.headers["www-authenticate"] = "Bearer"


class Limited:
    """An application of which each request's body is of limited size, and must come in limited time."""

    def __init__(self, app: Asgi, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
        except Refused as error:
            await refuse(send, error, close=True)
            return
        if body is None:  # the client left
            return
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)

    async def _body(self, scope: Message, receive: Receive) -> bytes | None:
        """The whole body, None of a client that left. Raises Refused."""
        limit = self.limits.body_bytes
        too_large = Refused(413, f"the body is larger than {limit:,} bytes: send less at a time", "too_large")
        if int(dict(scope["headers"]).get(b"content-length", b"0")) > limit:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise too_large
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            seconds = self.limits.body_seconds
            raise Refused(408, f"the body did not come within {seconds:g} seconds: send it faster", "slow") from None


async def refuse(send: Send, error: Refused, close: bool = False) -> None:
    """Answer with an error; `close` the connection where the rest of the request may still be on its way."""
    body = json.dumps(error.body).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **error.headers}
    if close:
        headers["connection"] = "close"
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
