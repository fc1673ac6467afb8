"""A server with a beginning and an end: it listens, and on SIGTERM finishes what it has begun before it goes.

The first SIGTERM or SIGINT has new work refused (503) while connections are still accepted, so that whoever balances
the load hears it from the server; when nothing runs any more, or after `drain_seconds`, the socket is closed and the
process ends with status 0. A second signal ends it at once.
"""

import asyncio
import time
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from gdcore.serving.admission import Serving
from gdcore.serving.limits import Asgi

KEEP_ALIVE = 30
"""Seconds that a connection may be idle between requests."""
LONGEST_HEAD = 32 * 1024
"""Bytes of a request's line and headers, or of what else is not complete yet."""


class Server(uvicorn.Server):
    """uvicorn's, which drains first and ends with status 0."""

    def __init__(self, config: uvicorn.Config, serving: Serving) -> None:
        super().__init__(config)
        self._serving, self._since = serving, 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """In the main thread, between two of its instructions: remember it, and no more."""
        if self._serving.draining:
            self.should_exit = self.force_exit = True
        self._serving.draining = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether it is time to go."""
        if self._serving.draining and not self.should_exit:
            self._since = self._since or time.monotonic()
            waited = time.monotonic() - self._since
            # Half a second for those who have just connected to hear that they are refused.
            idle = self._serving.observed.in_flight == 0 and waited > 0.5
            self.should_exit = idle or waited > self._serving.limits.drain_seconds
        return await super().on_tick(counter)


def server(app: Asgi, serving: Serving, host: str, port: int) -> Server:
    """A server that is yet to be run."""
    limits = serving.limits

    # httptools parses faster, but of a request that offers HTTP/2, as Java's client makes them, it loses the body.
    class Protocol(H11Protocol):
        """A connection that must come to the point, and take what it asked for."""

        _patience: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._patience = self.loop.call_later(limits.body_seconds, self._give_up)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            idle = self.cycle is None or self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]
            if not idle and self._patience:
                self._patience.cancel()
                self._patience = None
            elif idle and not self._patience:  # a further request has begun to come
                self._patience = self.loop.call_later(limits.body_seconds, self._give_up)

        def pause_writing(self) -> None:
            """Much of the answer waits for the client to read it, for which it has as long as for the whole."""
            super().pause_writing()
            self._unread = self.loop.call_later(limits.deadline, self.transport.abort)

        def resume_writing(self) -> None:
            if self._unread:
                self._unread.cancel()
            super().resume_writing()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._patience, self._unread):
                if timer:
                    timer.cancel()
            super().connection_lost(exc)

        def _give_up(self) -> None:
            """No whole head has come in time."""
            self._patience = None
            self.transport.close()

    config: Any = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]
        host=host,
        port=port,
        http=Protocol,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )
    return Server(config, serving)
