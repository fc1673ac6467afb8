"""Answers of the routes that take more than a line: whole, or as a stream; and what if the client leaves."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from gdcore.serving.completing import Completing, completing
from gdcore.serving.limits import Limits, Refused
from gdcore.serving.models import Model
from gdcore.serving.schema import Completion, CompletionRequest, Score, ScoreRequest, SpanOf
from gdcore.serving.session import Session

Finder = Callable[[str | None], Model]
DONE = b"data: [DONE]\n\n"


async def answered(find: Finder, asked: CompletionRequest, request: Request, limits: Limits) -> Response:
    """Whole texts. Raises Refused after the deadline; a client that leaves frees its slots."""
    start = time.perf_counter()
    work = await completing(find, asked, limits)
    answer, gone = asyncio.create_task(work.written()), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            return Response(status_code=499)  # which nobody hears, but for the log
        choices = answer.result()
    finally:
        work.let_go()
        for task in (answer, gone):
            task.cancel()
        _count(work, request, start)
    body = {**_head(work), "choices": [choice.model_dump() for choice in choices], "usage": work.usage().model_dump()}
    return JSONResponse(body)


async def streamed(find: Finder, asked: CompletionRequest, request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """Server-sent events. What cannot be begun is refused before the first."""
    return _events(await completing(find, asked, limits), request)


async def _events(work: Completing, request: Request) -> AsyncIterator[bytes]:
    start, first = time.perf_counter(), True
    usage = work.asked.stream_options and work.asked.stream_options.include_usage
    none_yet = {"usage": None} if usage else {}
    before = json.dumps(_head(work)).removesuffix("}")  # the same in every event

    def event(**rest: Any) -> bytes:
        return f"data: {before}, {json.dumps(rest).removeprefix('{')}\n\n".encode()

    try:
        async for choice in work.pieces():
            if first:
                work.model.metrics.first.labels(work.model.name).observe(time.perf_counter() - start)
                first = False
            yield event(choices=[choice.model_dump()], **none_yet)
        if usage:
            yield event(choices=[], usage=work.usage().model_dump())
        yield DONE
    except Refused as error:
        yield f"data: {json.dumps(error.body)}\n\n".encode()
    finally:
        work.let_go()
        _count(work, request, start)


def scored(session: Session, asked: ScoreRequest) -> list[Score]:
    """Scores of texts, and what else was asked for."""
    nll = session.score(asked.texts, asked.prompts)
    verdicts = session.judge(asked.texts, asked.prompts) if asked.judge else [None] * len(nll)
    spans = session.highlight(asked.texts, asked.prompts) if asked.highlight else None
    return [
        Score(
            index=i,
            nll=each,
            verdict=verdict,
            spans=None if spans is None else [SpanOf(**span._asdict()) for span in spans[i]],
        )
        for i, (each, verdict) in enumerate(zip(nll, verdicts, strict=True))
    ]


async def _gone(request: Request) -> None:
    """Ends when the client leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _head(work: Completing) -> dict[str, Any]:
    return {
        "id": f"cmpl-{uuid.uuid4().hex}",
        "object": Completion.model_fields["object"].default,
        "created": int(time.time()),
        "model": work.model.name,
    }


def _count(work: Completing, request: Request, start: float) -> None:
    usage, name, tokens = work.usage(), work.model.name, work.model.metrics.tokens
    tokens.labels(name, "prompt").inc(usage.prompt_tokens)
    tokens.labels(name, "completion").inc(usage.completion_tokens)
    request.scope["told"] |= {"model": name, "read": usage.prompt_tokens, "wrote": usage.completion_tokens}
