"""What a server tells about itself: metrics, and a line of JSON for each request. Never what was asked or written.

Prompts and texts are in neither. A request's id is the client's, if it sent a sensible one (`x-request-id`), or new.
"""

import json
import logging
import re
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.process_collector import ProcessCollector

from gdcore.serving.limits import Asgi, Message, Receive, Refused, Send, refuse

ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
log = logging.getLogger("gdflow.serve")


class Metrics:
    """The figures of one server."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # pyright: ignore[reportUnusedExpression]
        Info("gdflow", "The server.", registry=registry).info({"version": version})
        self.requests = Counter("gdflow_requests", "Requests.", ["path", "status"], registry=registry)
        self.seconds = Histogram(
            "gdflow_request_seconds", "Until the last byte.", ["path"], buckets=SECONDS, registry=registry
        )
        self.first = Histogram(
            "gdflow_first_token_seconds", "Until a text began.", ["model"], buckets=SECONDS, registry=registry
        )
        self.tokens = Counter("gdflow_tokens", "Tokens read and written.", ["model", "kind"], registry=registry)
        self.steps = Counter("gdflow_steps", "Steps of a model.", ["model"], registry=registry)
        self.stepped = Counter("gdflow_stepped_texts", "Texts, summed over steps.", ["model"], registry=registry)
        self.step_seconds = Counter("gdflow_step_seconds", "Seconds in steps.", ["model"], registry=registry)
        self.running = Gauge("gdflow_texts_running", "Texts being written.", ["model"], registry=registry)
        self.waiting = Gauge("gdflow_texts_waiting", "Texts that wait for a slot.", ["model"], registry=registry)
        self.reloads = Counter("gdflow_reloads", "Bundles taken in.", ["model", "outcome"], registry=registry)
        self.in_flight = Gauge("gdflow_requests_in_flight", "Requests being answered.", registry=registry)


class JsonLines(logging.Formatter):
    """One JSON object a record; what a record carries in `told` is part of it."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, Any] = {"when": when, "level": record.levelname.lower(), "what": record.getMessage()}
        told |= getattr(record, "told", {})
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def log_json(level: int = logging.INFO) -> None:
    """Have the server's and its libraries' log lines written to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("gdflow", "gdcore", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # its chat about starting and stopping


class Observed:
    """An application whose requests have ids, are counted and logged, and fail with an answer."""

    def __init__(self, app: Asgi, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics
        self.in_flight = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told: dict[str, Any] = {"id": _id(scope), "method": scope["method"], "status": 499}
        scope["told"] = told
        start = time.perf_counter()

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", told["id"].encode())]
            await send(message)

        self.in_flight += 1
        self.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, answered)
        except Exception as error:
            log.exception("a request failed", extra={"told": {"id": told["id"]}})
            if told["status"] != 499:  # the answer has begun: the connection must break, or half would pass for whole
                raise
            message = f"the server failed ({type(error).__name__}); its log says more about {told['id']}"
            await refuse(answered, Refused(500, message, "failed"))
        finally:
            self.in_flight -= 1
            self.metrics.in_flight.dec()
            self._count(scope, told, time.perf_counter() - start)

    def _count(self, scope: Message, told: dict[str, Any], seconds: float) -> None:
        # The route, not the path: who asks for paths that are none must not make a time series of each.
        path = getattr(scope.get("route"), "path", "none")
        self.metrics.requests.labels(path, told["status"]).inc()
        self.metrics.seconds.labels(path).observe(seconds)
        log.info("request", extra={"told": {**told, "path": path, "seconds": round(seconds, 6)}})


def _id(scope: Message) -> str:
    given = dict(scope["headers"]).get(b"x-request-id", b"")
    return given.decode() if ID.fullmatch(given) else uuid.uuid4().hex
