"""A request for texts, answered: its texts written by the batcher, told at once or as they come."""

import asyncio
import secrets
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from itertools import accumulate, count

from gdcore.serving.arguments import Manner
from gdcore.serving.batching import Closed
from gdcore.serving.limits import Limits, Refused
from gdcore.serving.models import Model
from gdcore.serving.schema import Choice, CompletionRequest, Logprobs, Usage
from gdcore.tokenizer import BOS, EOS, MARK, SEP, Tokenizer
from gdcore.uniforms import row_seeds


class Draft:
    """One text of a request: written by the batcher's thread, told by the event loop."""

    def __init__(self, model: Model, asked: CompletionRequest, prompt: str | None, seed: int) -> None:
        """Raises ValueError for a prompt that cannot be continued."""
        session, self.prompt = model.session, prompt
        stop = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
        self.teller = session.teller(prompt, stop)
        self.pieces: list[str] = []
        """What is certain of the text so far; it only grows."""
        # Text is made token by token only for those who need it so.
        self._each = asked.stream or bool(stop)
        self.echo = asked.echo
        how = Manner(asked.temperature, asked.top_k, asked.top_p, asked.min_p)
        self.writing = session.writing(
            prompt, seed, how, asked.max_tokens, asked.logprobs, self._hear if self._each else None
        )
        self.before = " ".join((prompt or "").split())
        """The prompt, as it stands before a text that continues it."""
        self.begin = self.before if asked.echo else ""
        if self.begin and session.prompted:
            self.begin += " "  # an answer does not bring the space before its first word

    def _hear(self, token: int) -> bool:
        """In the batcher's thread: the text so far; whether it ends here."""
        self.pieces.append(self.teller.add([token]))
        return self.teller.stopped

    def end(self) -> None:
        """When it is written: the rest of its text."""
        if not self._each:
            self.pieces.append(self.teller.add(self.writing.drawn))
        self.pieces.append(self.teller.end())

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def finish(self) -> str | None:
        # What ends in the middle of the last token that had room has ended all the same.
        return "stop" if self.teller.stopped else self.writing.finish


class Completing:
    """The texts of one request."""

    def __init__(self, model: Model, asked: CompletionRequest, limits: Limits) -> None:
        """Raises Refused or ValueError for what cannot be asked of this model; Busy where there is no room."""
        if model.batcher is None:
            raise Refused(400, f"{model.name!r} classifies: it writes no texts", "not_a_generator", "model")
        self.model, self.asked, self._limits = model, asked, limits
        prompts = asked.prompt if isinstance(asked.prompt, list) else [asked.prompt]
        if not model.session.prompted:
            prompts = [prompt or None for prompt in prompts]
        self.best_of = max(asked.best_of or asked.n, asked.n)
        if asked.best_of is not None and asked.best_of < asked.n:
            raise Refused(400, f"best_of: must be at least n, {asked.n}, not {asked.best_of}", "bad_value", "best_of")
        if asked.stream and self.best_of > asked.n:
            raise Refused(400, "best_of: a stream cannot take back what was not the best", "bad_value", "best_of")
        most = min(limits.texts, limits.slots + limits.queue)  # for more there never is room: trying again is no help
        if (num := len(prompts) * self.best_of) > most:
            message = f"{num} texts are asked for at a time; at most {most} may be: ask several times"
            raise Refused(400, message, "too_many", "n")
        seed = secrets.randbits(63) if asked.seed is None else asked.seed
        seeds = row_seeds(seed, num).tolist()
        self.drafts = [
            Draft(model, asked, prompt, seeds[i * self.best_of + j])
            for i, prompt in enumerate(prompts)
            for j in range(self.best_of)
        ]
        self._changed, self._late = asyncio.Event(), False
        self._alarm = asyncio.get_running_loop().call_later(limits.deadline, self._ring)
        for draft in self.drafts:
            model.post.expect(draft.writing, self._changed, asked.stream)
        try:
            model.batcher.submit([draft.writing for draft in self.drafts])
        except BaseException:
            self.let_go()
            raise
        self._surfaces = surfaces(model.session.tokenizer)

    def let_go(self) -> None:
        """No longer want what is not written yet; its slots become free."""
        self._alarm.cancel()
        for draft in self.drafts:
            draft.writing.cancelled = True
            self.model.post.forget(draft.writing)

    async def written(self) -> list[Choice]:
        """All texts, when they have ended. Raises Refused after the deadline, or where the model failed."""
        while not all(draft.writing.over for draft in self.drafts):
            await self._change()
        for draft in self.drafts:
            draft.end()
        kept = self.drafts if self.best_of == self.asked.n else await self._best()
        return [
            Choice(
                text=draft.begin + draft.text,
                index=i,
                logprobs=self.logprobs(draft),
                finish_reason=draft.finish,  # pyright: ignore[reportArgumentType]
            )
            for i, draft in enumerate(kept)
        ]

    async def pieces(self) -> AsyncIterator[Choice]:
        """Pieces of the texts as they come; the last of each says why it ended. Raises Refused if the model fails."""
        told = [0] * len(self.drafts)
        marked = [0] * len(self.drafts)
        open_ = set(range(len(self.drafts)))
        for i in [i for i in open_ if self.drafts[i].begin]:
            yield Choice(text=self.drafts[i].begin, index=i)
        while open_:
            await self._change()
            for i in sorted(open_):
                draft = self.drafts[i]
                if over := draft.writing.over:
                    draft.end()
                    open_.discard(i)
                new = draft.pieces[told[i] :]
                told[i] += len(new)
                if (text := "".join(new)) or over:
                    logprobs = self.logprobs(draft, marked[i])
                    marked[i] += len(logprobs.tokens) if logprobs else 0
                    finish = draft.finish if over else None
                    yield Choice(text=text, index=i, logprobs=logprobs, finish_reason=finish)  # pyright: ignore[reportArgumentType]

    def usage(self) -> Usage:
        marks = 2 if self.model.session.prompted else 1
        each = len(self.drafts) // self.best_of
        read = sum(len(self.drafts[i * self.best_of].writing.given) - marks for i in range(each))
        wrote = sum(len(draft.writing.drawn) for draft in self.drafts)
        return Usage(prompt_tokens=read, completion_tokens=wrote, total_tokens=read + wrote)

    async def _change(self) -> None:
        """Wait until a text has gone on or ended. Raises Refused after the deadline, or where the model has failed."""
        await self._changed.wait()
        self._changed.clear()
        if self._late:
            seconds = self._limits.deadline
            message = f"it took longer than {seconds:g} seconds, the server's deadline: ask for fewer or shorter texts"
            raise Refused(504, message, "deadline")
        if any(draft.writing.cancelled for draft in self.drafts):
            raise Refused(503, "the model has failed; the server's log says why", "model_failed")

    def _ring(self) -> None:
        """At the deadline: one alarm a request, for to set one a token takes longer than to tell the token."""
        self._late = True
        self._changed.set()

    async def _best(self) -> list[Draft]:
        """The `n` best of each prompt's candidates."""
        session = self.model.session
        texts = [draft.text if session.prompted else draft.before + draft.text for draft in self.drafts]
        prompts = [draft.prompt or "" for draft in self.drafts] if session.prompted else None
        if session.holds("discriminator.onnx"):
            merits = await self.model.direct(session.judge, texts, prompts)
        else:
            merits = [-nll for nll in await self.model.direct(session.score, texts, prompts)]
        kept: list[Draft] = []
        for start in range(0, len(self.drafts), self.best_of):
            order = sorted(range(start, start + self.best_of), key=lambda i: -merits[i])
            kept += [self.drafts[i] for i in order[: self.asked.n]]
        return kept

    def logprobs(self, draft: Draft, start: int = 0) -> Logprobs | None:
        """Of the tokens from number `start` on, those of the prompt first where it is echoed."""
        if self.asked.logprobs is None:
            return None
        likelihoods = list(draft.writing.likelihoods)
        if not draft.echo:
            likelihoods = likelihoods[len(draft.writing.given) - 1 :]
        likelihoods = [each for each in likelihoods if each.token not in (EOS, SEP)]
        pieces = [self._surfaces[each.token] for each in likelihoods]
        if pieces and (draft.echo or not draft.before or self.model.session.prompted):
            pieces[0] = pieces[0].removeprefix(" ")  # nothing stands before it
        if draft.begin.endswith(" ") and len(pieces) > (first := len(draft.writing.given) - len((BOS, SEP))):
            pieces[first] = " " + pieces[first].removeprefix(" ")
        offsets = [0, *accumulate(map(len, pieces))]
        end = len(pieces)
        if draft.teller.stopped:  # tokens of which nothing is left are not told
            end = bisect_left(offsets, len(draft.begin + draft.text))
        some = likelihoods[start:end]
        best = [{self._surfaces[token]: logprob for token, logprob in each.best} for each in some]
        return Logprobs(
            tokens=pieces[start:end],
            token_logprobs=[each.logprob for each in some],
            top_logprobs=best if any(best) else None,
            text_offset=offsets[start:end],
        )


class Surfaces:
    """Each token as it stands in a text, its space before it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._known = tokenizer, dict[int, str]()
        self._letter = next(iter(tokenizer.encode(["a"])[0]), None)

    def __getitem__(self, token: int) -> str:
        if token not in self._known:
            self._known[token] = self._of(token)
        return self._known[token]

    def _of(self, token: int) -> str:
        if token <= SEP:
            return self._tokenizer.token(token)
        if self._tokenizer.kind in ("word", "char"):
            return self._tokenizer.token(token).replace(MARK, " ")
        # A decoder takes away the space that a text begins with: behind a letter it stays.
        begun = [] if self._letter is None else [self._letter]
        return self._tokenizer.decode([*begun, token])[len(self._tokenizer.decode(begun)) :]


@lru_cache(maxsize=32)
def surfaces(tokenizer: Tokenizer) -> Surfaces:
    return Surfaces(tokenizer)


async def completing(find: Callable[[str | None], Model], asked: CompletionRequest, limits: Limits) -> Completing:
    """Begin to answer. A model that is just being replaced is asked for again, under its name."""
    for attempt in count():
        try:
            return Completing(find(asked.model), asked, limits)
        except Closed:
            if attempt == 3:
                raise
            await asyncio.sleep(0)
    raise AssertionError
