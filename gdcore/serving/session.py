"""A bundle in use: generate, score and judge texts with numpy, onnxruntime and tokenizers alone.

>>> session = Session("runs/latest/bundle")
>>> session.generate(num=3, seed=1, temperature=0.8)

Shapes: B texts of a batch, C candidates a text, T tokens, N new tokens.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np

from gdcore.candidates import MOST, Choice, chosen
from gdcore.errors import UserError
from gdcore.serving import spans, suggesting
from gdcore.serving.arguments import Manner, manner, whole
from gdcore.serving.manifest import read_manifest
from gdcore.serving.rows import BATCH_SIZE, by_length, padded
from gdcore.serving.runtime import Array, Device, Graph
from gdcore.serving.stepping import Group, Stepper, Writing
from gdcore.serving.telling import Teller
from gdcore.tokenizer import BOS, EOS, PAD, SEP, Tokenizer
from gdcore.uniforms import candidate_seeds, row_seeds

Precision = Literal["float32", "int8"]
TWINS = ("generate", "decode", "model")
"""Graphs that a bundle may hold in eight bits too."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


class Session:
    """An open bundle; safe to use from several threads at once."""

    def __init__(
        self, bundle: Path | str, threads: int = 1, precision: Precision = "float32", device: Device = "auto"
    ) -> None:
        """Open a bundle; `int8` takes the graphs whose weights have eight bits, where it holds some.

        Raises UserError if a file is missing or altered, or onnxruntime is not installed; once a graph is used, also
        where `device` is `cuda` and there is none.
        """
        if precision not in get_args(Precision):
            raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, not {precision!r}")
        if device not in get_args(Device):
            raise ValueError(f"device must be one of {', '.join(get_args(Device))}, not {device!r}")
        self.bundle = Path(bundle)
        self.manifest: dict[str, Any] = read_manifest(self.bundle)
        if unlisted := [name for name in TOKENIZER if not self.holds(name)]:
            raise UserError(f"{self.bundle} has no {unlisted[0]}, by its manifest: export it again")
        self.tokenizer = Tokenizer.load(self.bundle)
        self.context: int = self.manifest["context"]
        self.prompted: bool = self.manifest["prompted"]
        """Whether the model answers prompts; one that does not continues them."""
        self._suffix = ".int8.onnx" if precision == "int8" else ".onnx"
        if precision == "int8" and not self.holds("generate.int8.onnx"):
            raise UserError(f"{self.bundle} has no int8 twins: export it again with --set export.int8=true")
        self._threads = whole("threads", threads, 1)
        self._device: Device = device
        self._graphs: dict[str, Graph] = {}
        self._lock = Lock()

    def holds(self, name: str) -> bool:
        """Whether a file is part of the bundle: one that its manifest does not list is never opened."""
        return name in self.manifest["files"]

    def generate(
        self,
        num: int | None = None,
        prompts: Sequence[str] | None = None,
        seed: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        max_tokens: int | None = None,
        *,
        min_p: float = 0.0,
        candidates: int = 1,
        choose: Choice = "likelihood",
        first: int = 0,
    ) -> list[str]:
        """`num` texts (default: one, or one for each prompt); text i answers prompt `i % len(prompts)`.

        Of each text, `candidates` are drawn and one is kept: the likeliest, or one that the discriminator
        favours (see `gdcore.candidates`). Text i depends on the bundle, its prompt, `seed`, `first` + i and the
        decoding alone: texts that begin with number `first` are what they are among all of them. A model that
        was trained without prompts takes them for the beginnings of texts, and the texts returned begin so,
        word for word; a word that it does not know (`tokenizer.unknown`) is read as unknown. Raises ValueError
        for arguments out of bounds, for prompts that fill the context, and for none where the model knows only
        how to answer; UserError for what this bundle cannot do.
        """
        if isinstance(prompts, str) or (prompts is not None and not prompts):
            raise ValueError("prompts must be a list of at least one text, or None")
        if prompts is None and self.prompted:
            raise ValueError("this model answers prompts: give it at least one")
        num = whole("num", num if num is not None else len(prompts or [""]), 1)
        how = manner(temperature, top_k, top_p, min_p)
        if not 1 <= (candidates := whole("candidates", candidates)) <= MOST:
            raise ValueError(f"candidates must be at least 1 and at most {MOST}, not {candidates!r}")
        if choose not in get_args(Choice):
            raise ValueError(f"choose must be one of {', '.join(get_args(Choice))}, not {choose!r}")
        first = whole("first", first, 0)
        max_tokens = whole("max_tokens", self.context if max_tokens is None else max_tokens, 1)
        given, seed = self._given(prompts), whole("seed", seed)
        settings: dict[str, np.generic | int] = {
            "max_new_tokens": min(max_tokens, self.context),
            "temperature": np.float32(how.temperature),
            "top_k": min(how.top_k, self.manifest["vocab_size"]),
            "top_p": np.float32(how.top_p),
            **self._min_p(how.min_p),
        }
        texts: list[str] = []
        num_rows = max(1, BATCH_SIZE // candidates)
        for start in range(0, num, num_rows):
            rows = [given[i % len(given)] for i in range(start, min(start + num_rows, num))]
            seeds_B = row_seeds(seed, len(rows), first + start)
            drawn = self._written([row for row in rows for _ in range(candidates)], seeds_B, candidates, settings)
            if candidates > 1:
                scores_BC = self._scores(drawn, [len(row) for row in rows], candidates, choose)
                kept_B = chosen(scores_BC, seeds_B, choose)
                drawn = [drawn[i * candidates + int(which)] for i, which in enumerate(kept_B)]
            for i, (ids, row) in enumerate(zip(drawn, rows, strict=True), start):
                texts.append(self._told(prompts[i % len(prompts)] if prompts else "", ids, len(row)))
        return texts

    def stream(
        self,
        prompt: str | None = None,
        seed: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        max_tokens: int | None = None,
        *,
        min_p: float = 0.0,
    ) -> Iterator[str]:
        """One text in pieces, as it is written: what `generate` gives for the same arguments, without the prompt.

        Raises what `generate` raises, before the first piece.
        """
        how = manner(temperature, top_k, top_p, min_p)
        (own,) = row_seeds(whole("seed", seed), 1).tolist()
        writing = self.writing(prompt, own, how, max_tokens)
        return self._told_piecewise(Group(self.stepper(), [writing]), self.teller(prompt))

    def next_words(self, prefix: str, k: int = 5) -> list[tuple[str, float]]:
        """The `k` likeliest words to follow a text, with their probabilities, the likeliest first.

        A word is a whole one, whatever tokens it is made of; the prefix's last word counts as finished. The end of the
        text is no word: probabilities need not add up to 1. Raises ValueError for a prefix that fills the context.
        """
        (given,) = self._given([prefix])
        return suggesting.next_words(self.tokenizer, self._next_logprobs, given, self.context, whole("k", k, 1))

    def highlight(
        self, texts: Sequence[str], prompts: Sequence[str] | None = None, least: float = 0.5
    ) -> list[list[spans.Span]]:
        """Where each text looks generated: runs of tokens of which each is fake with probability `least` or more.

        Needs a bundle whose discriminator is a CRF, which judges every token; raises UserError for another. Raises
        ValueError for a text that does not fit the context.
        """
        if not 0 < least <= 1:
            raise ValueError(f"least must be above 0 and at most 1, not {least!r}")
        rows, given = self._sequences(texts, prompts)
        if "token_probabilities" not in (judge := self._discriminator()).outputs:
            raise UserError(f"{self.bundle} has no discriminator that judges tokens: train with discriminator.name=crf")
        real = spans.token_probabilities(judge, rows)
        return [
            spans.found(self.tokenizer, text, real_T[start:], least)
            for text, real_T, start in zip(texts, real, given, strict=True)
        ]

    def writing(
        self,
        prompt: str | None,
        seed: int,
        how: Manner,
        max_tokens: int | None = None,
        num_best: int | None = None,
        until: Callable[[int], bool] | None = None,
    ) -> Writing:
        """A text about to be written, for a `Group`; `seed` is its own (`gdcore.uniforms.row_seeds`)."""
        if prompt is None and self.prompted:
            raise ValueError("this model answers prompts: give it at least one")
        (given,) = self._given(None if prompt is None else [prompt])
        room = self.context if max_tokens is None else whole("max_tokens", max_tokens, 1)
        return Writing(given, seed, how, min(len(given) + room, self.context), num_best, until)

    def teller(self, prompt: str | None, stop: Sequence[str] = ()) -> Teller:
        """What makes pieces of text of a text's tokens."""
        if self.prompted or prompt is None or not prompt.strip():
            return Teller(self.tokenizer, stop=stop)
        return Teller(self.tokenizer, self._begun([prompt])[0], stop)

    def stepper(self) -> Stepper:
        """`decode.onnx`, opened. Raises UserError for a bundle that has none."""
        graphs = self.manifest["graphs"]
        if "generate.onnx" in graphs and "decode.onnx" not in graphs:
            raise UserError(f"{self.bundle} has no decode.onnx, which writes a token at a time: export it again")
        return Stepper(self._graph("decode"), graphs[f"decode{self._suffix}"], self.manifest["vocab_size"])

    @staticmethod
    def _told_piecewise(group: Group, teller: Teller) -> Iterator[str]:
        (writing,) = group.writings
        told = 0
        while not writing.over:
            group.step()
            if piece := teller.add(writing.drawn[told:]):
                yield piece
            told = len(writing.drawn)
        if piece := teller.end():
            yield piece

    def _next_logprobs(self, rows: list[list[int]]) -> Array:
        """Log-probabilities (B, V) of what follows each row."""
        tokens_BT, lengths_B = padded(rows)
        logits_BV = self._graph("model")(["next_logits"], tokens=tokens_BT, lengths=lengths_B)[0].astype(np.float64)
        logits_BV -= logits_BV.max(axis=1, keepdims=True)
        return logits_BV - np.log(np.exp(logits_BV).sum(axis=1, keepdims=True))

    def objection(self, prompt: str) -> str | None:
        """Why a prompt cannot be answered or continued, in words that follow «the prompt»; None where it can."""
        return self._too_long(self._begun([prompt])[0])

    def lengths(self, texts: Sequence[str], prompts: Sequence[str] | None = None) -> list[tuple[int, int]]:
        """Of each text how many tokens are given (BOS, a prompt) and how many there are in all, its end included.

        `score` is a mean over the difference. What fills the context has no end; what is longer cannot be scored.
        """
        given = self._begun(prompts) if prompts else [[BOS]] * len(texts)
        whole = [len(start) + len(ids) for start, ids in zip(given, self.tokenizer.encode(texts), strict=True)]
        return [(len(start), num + (num != self.context)) for start, num in zip(given, whole, strict=True)]

    def score(self, texts: Sequence[str], prompts: Sequence[str] | None = None) -> list[float]:
        """The NLL per token, in nats, of each text and its end, or of each as the answer to its prompt.

        Raises ValueError for a text that does not fit the context.
        """
        return by_length(*self._sequences(texts, prompts), self._nll).tolist()

    def judge(self, texts: Sequence[str], prompts: Sequence[str] | None = None) -> list[float]:
        """The discriminator's verdict on each text, 0 to 1: more is more like real text.

        For comparing texts. Trained on pairs (objective gad), it is no calibrated probability.

        Raises ValueError for a text that does not fit the context, UserError if the bundle has no discriminator.
        """
        logits = by_length(*self._sequences(texts, prompts), self._logits)
        return (0.5 * (1 + np.tanh(0.5 * logits))).tolist()

    def classify(
        self, texts: Sequence[str], prompts: Sequence[str] | None = None, top: int = 1
    ) -> list[list[tuple[str, float]]]:
        """The `top` likeliest classes of each text with their probabilities, the likeliest first.

        Raises ValueError for a text that does not fit the context, UserError if the bundle holds no classifier.
        """
        top = whole("top", top, 1)
        logits_BK = by_length(*self._sequences(texts, prompts), self._class_logits)
        if not len(logits_BK):
            return []
        mass_BK = np.exp(logits_BK - logits_BK.max(axis=1, keepdims=True))
        mass_BK /= mass_BK.sum(axis=1, keepdims=True)
        names: list[str] = self.manifest["classes"]
        best_BK: Array = np.argsort(-mass_BK, axis=1, kind="stable")[:, :top]
        return [[(names[k], float(mass_K[k])) for k in best_K] for best_K, mass_K in zip(best_BK, mass_BK, strict=True)]

    def _class_logits(self, tokens_BT: Array, lengths_B: Array, _: Array) -> Array:
        """The classifier's logits (B, K), on the temperature at which their softmax means what it says."""
        (logits_BK,) = self._graph("classifier")(["logits"], tokens=tokens_BT, lengths=lengths_B)
        return logits_BK.astype(np.float64) / self.manifest["temperature"]

    def _told(self, prompt: str, ids: list[int], given: int) -> str:
        """What was written, as text: an answer, or the prompt, as it was put, and what follows it."""
        if self.prompted or not prompt.strip():
            return self.tokenizer.decode(ids[given:])
        begun, whole = self.tokenizer.decode(ids[1:given]), self.tokenizer.decode(ids[1:])
        spaced = "" if begun or self.tokenizer.kind == "char" else " "  # nothing was known: the text begins anew
        return " ".join(prompt.split()) + spaced + whole[len(begun) :]

    def _written(
        self, given: list[list[int]], seeds_B: Array, candidates: int, settings: Mapping[str, np.generic | int]
    ) -> list[list[int]]:
        """Whole sequences, from BOS to EOS where they have one, written on from what is given."""
        prompt_ids, prompt_lengths = padded(given)
        seeds_BC = candidate_seeds(seeds_B, candidates)
        (new_BN,) = self._graph("generate")(
            prompt_ids=prompt_ids, prompt_lengths=prompt_lengths, seeds=seeds_BC.ravel(), **settings
        )
        lengths_B = (new_BN != PAD).sum(axis=1)
        return [
            [*row, *new[:length]] for row, new, length in zip(given, new_BN.tolist(), lengths_B.tolist(), strict=True)
        ]

    def _scores(self, drawn: list[list[int]], given: list[int], candidates: int, choose: Choice) -> Array:
        """What candidates are chosen by, (B, C)."""
        starts = [length for length in given for _ in range(candidates)]
        if choose == "likelihood":
            return -by_length(drawn, starts, self._nll).reshape(-1, candidates)
        return by_length(drawn, starts, self._logits).reshape(-1, candidates)

    def _nll(self, tokens_BT: Array, lengths_B: Array, given_B: Array) -> Array:
        """NLL per token (B,) of what stands behind the given tokens."""
        nll_BT: Array = self._graph("model")(["nll"], tokens=tokens_BT, lengths=lengths_B)[0].astype(np.float64)
        counts_BT: Array = np.arange(nll_BT.shape[1], dtype=np.int64) >= given_B[:, None]
        return np.sum(nll_BT * counts_BT, axis=1) / (lengths_B - given_B)

    def _logits(self, tokens_BT: Array, lengths_B: Array, _: Array) -> Array:
        """The discriminator's logits (B,)."""
        return self._discriminator()(["logits"], tokens=tokens_BT, lengths=lengths_B)[0].astype(np.float64)

    def _discriminator(self) -> Graph:
        if not self.holds("discriminator.onnx"):
            raise UserError(f"{self.bundle} has no discriminator: its model was trained by maximum likelihood alone")
        return self._graph("discriminator")

    def _min_p(self, min_p: float) -> dict[str, np.generic | int]:
        """The graph's input of that name; bundles of the first schema have none."""
        if self.manifest["schema_version"] > 1:
            return {"min_p": np.float32(min_p)}
        if min_p > 0:
            raise UserError(f"{self.bundle} was exported before there was min-p: export it again, or use top-p")
        return {}

    def _given(self, prompts: Sequence[str] | None) -> list[list[int]]:
        """What each text starts from, as ids."""
        if prompts is None:
            return [[BOS]]
        given = self._begun(prompts)
        for i, ids in enumerate(given):
            if complaint := self._too_long(ids):
                raise ValueError(f"prompt {i} {complaint}")
        return given

    def _begun(self, prompts: Sequence[str]) -> list[list[int]]:
        tail = [SEP] if self.prompted else []
        return [[BOS, *ids, *tail] for ids in self.tokenizer.encode(prompts)]

    def _too_long(self, given: list[int]) -> str | None:
        if len(given) < self.context:
            return None
        return f"takes {len(given)} tokens, which leaves no room in the model's context of {self.context}: shorten it"

    def _sequences(self, texts: Sequence[str], prompts: Sequence[str] | None) -> tuple[list[list[int]], list[int]]:
        """Whole sequences, BOS to EOS, and how many leading tokens of each are given."""
        if isinstance(texts, str):
            raise ValueError("texts must be a list of texts, not one text")
        if prompts is not None and len(prompts) != len(texts):
            raise ValueError(f"{len(prompts)} prompts for {len(texts)} texts: give one prompt for each text, or none")
        given = self._given(prompts) if prompts else [[BOS]] * len(texts)
        rows = [[*start, *ids] for start, ids in zip(given, self.tokenizer.encode(texts), strict=True)]
        for i, row in enumerate(rows):
            if len(row) > self.context:
                raise ValueError(f"text {i} takes {len(row)} tokens; the model's context is {self.context}: shorten it")
            if len(row) < self.context:  # else it was cut off by the context, as a generated text may be
                row.append(EOS)
        return rows, [len(start) for start in given]

    def _graph(self, name: str) -> Graph:
        """A graph of the bundle, opened when first used."""
        with self._lock:
            if name not in self._graphs:
                path = self.bundle / f"{name}{self._suffix if name in TWINS else '.onnx'}"
                if not self.holds(path.name):
                    made = "`gdflow classify`" if self.holds("classifier.onnx") else "`gdflow run`"
                    raise UserError(f"{self.bundle} has no {path.name}: it was made by {made}, for something else")
                shared = self.manifest["graphs"][path.name].get("weights")
                if shared and not self.holds(shared):
                    raise UserError(f"{self.bundle} has no {shared}, by its manifest: export it again")
                self._graphs[name] = Graph(path, self._threads, self._device)
            return self._graphs[name]
