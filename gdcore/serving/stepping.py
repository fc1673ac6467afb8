"""Texts written a token at a time, many side by side: `decode.onnx` in use.

A text is what `generate.onnx` writes from the same seed, whoever shares its steps.

Shapes: B texts of a group, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from gdcore.serving.arguments import Manner
from gdcore.serving.runtime import Array, Graph
from gdcore.tokenizer import EOS

Finish = Literal["stop", "length"]


class Likelihood(NamedTuple):
    """What the model thought of one token, before temperature and the like."""

    token: int
    logprob: float
    """In nats."""
    best: list[tuple[int, float]]
    """The likeliest tokens there with theirs, the likeliest first."""


@dataclass(eq=False)
class Writing:
    """One text while it is written."""

    given: Sequence[int]
    """What it begins with, from BOS on."""
    seed: int
    """Its own, an int64."""
    manner: Manner
    longest: int
    """At so many tokens it ends, those given included."""
    num_best: int | None = None
    """Of how many of the likeliest tokens the log-probability is kept, besides that of each token; None: of none."""
    until: Callable[[int], bool] | None = None
    """Told each token that is drawn; whether the text ends there."""
    ids: list[int] = field(default_factory=list[int])
    """What is given and what was drawn, EOS included. It only grows: another thread may read it meanwhile."""
    likelihoods: list[Likelihood] = field(default_factory=list[Likelihood])
    """Of each token of `ids` but the first."""
    finish: Finish | None = None
    """Why it ended: by EOS or `until` (stop), or for want of room (length)."""
    cancelled: bool = False
    """Set by whoever no longer wants it; it then leaves before the next step."""

    def __post_init__(self) -> None:
        self.ids = [self.given[0]]

    @property
    def number(self) -> int:
        """Which token of its own it draws next; below 0 while it reads what is given."""
        return len(self.ids) - len(self.given)

    @property
    def drawn(self) -> list[int]:
        """What it drew, without EOS."""
        ids = self.ids[len(self.given) :]
        return ids[:-1] if ids and ids[-1] == EOS else ids

    @property
    def over(self) -> bool:
        return self.finish is not None or self.cancelled

    def take(self, drawn: int, logits_V: Array | None) -> None:
        """The next token, which is a given one as long as there are any."""
        own = self.number >= 0
        token = drawn if own else self.given[len(self.ids)]
        if logits_V is not None:
            self.likelihoods.append(_likelihood(logits_V, token, self.num_best or 0))
        self.ids.append(token)
        if not own:
            return
        if token == EOS or (self.until and self.until(token)):
            self.finish = "stop"
        elif len(self.ids) >= self.longest:
            self.finish = "length"


def _likelihood(logits_V: Array, token: int, num_best: int) -> Likelihood:
    logits_V = logits_V.astype(np.float64)
    logits_V -= logits_V.max()
    logprobs_V = logits_V - np.log(np.exp(logits_V).sum())
    best: list[int] = []
    if num_best:
        some = np.argpartition(-logprobs_V, min(num_best, len(logprobs_V)) - 1)[:num_best]
        best = some[np.lexsort((some, -logprobs_V[some]))].tolist()
    return Likelihood(token, float(logprobs_V[token]), [(i, float(logprobs_V[i])) for i in best])


class Stepper:
    """`decode.onnx` of a bundle, opened; safe to use from several threads at once."""

    def __init__(self, graph: Graph, described: dict[str, Any], vocab_size: int) -> None:
        """`described` is what the manifest says of the graph."""
        self.graph, self.vocab_size = graph, vocab_size
        inputs = [value for value in described["inputs"] if value["name"].startswith("state_")]
        self._shapes: list[list[str | int]] = [value["shape"] for value in inputs]
        self.grows = any(isinstance(size, str) for shape in self._shapes for size in [shape[0], *shape[2:]])
        """Whether the state grows by a token a step; texts that share a step must then have been read equally far."""
        self._before = [f"state_{i}" for i in range(len(inputs))]
        self._after = [f"after_{i}" for i in range(len(inputs))]

    def blank(self, num: int) -> list[Array]:
        """The state of texts that begin: BOS, which each reads first, puts in what belongs there."""
        return [
            np.zeros([num if i == 1 else 0 if isinstance(n, str) else n for i, n in enumerate(shape)], np.float32)
            for shape in self._shapes
        ]

    def __call__(self, states: list[Array], logits: bool, **inputs: Array | int) -> tuple[Array, Array | None, Any]:
        """The tokens drawn (B,); the logits (B, V), if wanted; the states after it."""
        wanted = ["next", *(["logits"] if logits else []), *self._after]
        next_B, *rest = self.graph(wanted, **inputs, **dict(zip(self._before, states, strict=True)))
        return (next_B, rest[0], rest[1:]) if logits else (next_B, None, rest)


class Group:
    """Texts that share their steps. Not safe to use from several threads: whoever steps it owns it."""

    def __init__(self, stepper: Stepper, writings: Sequence[Writing]) -> None:
        """Texts that begin, all of one top-k."""
        self._stepper = stepper
        self.top_k = writings[0].manner.top_k
        self.writings: list[Writing] = []
        self._states = stepper.blank(0)
        self._fixed: dict[str, Array | int] = {}
        self.join(writings)

    def join(self, writings: Sequence[Writing]) -> None:
        """Texts that begin; only where the state does not grow may others have begun before."""
        assert all(each.manner.top_k == self.top_k for each in writings)
        assert not (self._stepper.grows and self.writings)
        blank = self._stepper.blank(len(writings))
        self._states = [np.concatenate(pair, axis=1) for pair in zip(self._states, blank, strict=True)]
        self.writings += writings
        self._arrange()

    def step(self) -> None:
        """Read one token of each text and take the next; texts that end, or are no longer wanted, leave."""
        token_B = np.array([each.ids[-1] for each in self.writings])
        number_B = np.array([each.number for each in self.writings])
        next_B, logits_BV, self._states = self._stepper(
            self._states, self._told, token=token_B, number=number_B, **self._fixed
        )
        for i, (writing, drawn) in enumerate(zip(self.writings, next_B.tolist(), strict=True)):
            told = logits_BV is not None and writing.num_best is not None
            writing.take(drawn, logits_BV[i] if told else None)  # pyright: ignore[reportOptionalSubscript]
        self.leave()

    def leave(self) -> None:
        """Let go of texts that ended or are no longer wanted."""
        stay = [i for i, each in enumerate(self.writings) if not each.over]
        if len(stay) < len(self.writings):
            self.writings = [self.writings[i] for i in stay]
            self._states = [state.take(stay, axis=1) for state in self._states]
            self._arrange()

    def _arrange(self) -> None:
        """What stays the same from step to step as long as nobody joins or leaves."""
        manners = [each.manner for each in self.writings]
        self._told = any(each.num_best is not None for each in self.writings)
        self._fixed = {
            "seeds": np.array([each.seed for each in self.writings], np.int64),
            "temperature": np.array([each.temperature for each in manners], np.float32),
            "top_p": np.array([each.top_p for each in manners], np.float32),
            "min_p": np.array([each.min_p for each in manners], np.float32),
            "top_k": min(self.top_k, self._stepper.vocab_size),
        }
