"""Texts of a generator for evaluation: the same seeds for every model; candidates that several decodings use, once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gdcore.contracts import Discriminator, Generator
from gdcore.decoding import Decoding
from gdcore.sampling import sample_each
from gdcore.shards import Shards
from gdcore.tokenizer import Tokenizer


class Prompted(Protocol):
    """The texts of a split, as far as prompts go."""

    @property
    def shards(self) -> Shards: ...

    @property
    def prompted(self) -> list[int]:
        """Rows that answer a prompt."""
        ...


@dataclass(frozen=True)
class Drawing:
    """A generator, and what its texts depend on besides the decoding."""

    generator: Generator
    discriminator: Discriminator
    tokenizer: Tokenizer
    seed: int
    batch_size: int

    def each(self, decodings: Sequence[Decoding], split: Prompted, num: int) -> Iterator[tuple[Decoding, list[str]]]:
        """Fresh texts at every decoding, in order; where the split has prompts, one to each of the first `num`."""
        ready: dict[int, list[str]] = {}
        for i, decoding in enumerate(decodings):
            if i not in ready:
                alike = [k for k in range(i, len(decodings)) if decodings[k].token_by_token == decoding.token_by_token]
                drawn = self._alike([decodings[k] for k in alike], split, num)
                ready |= zip(alike, drawn, strict=True)
            yield decoding, ready.pop(i)

    def texts(self, decoding: Decoding, split: Prompted, num: int) -> list[str]:
        """The same at one decoding."""
        return self._alike([decoding], split, num)[0]

    def _alike(self, decodings: Sequence[Decoding], split: Prompted, num: int) -> list[list[str]]:
        prompts: Sequence[Sequence[int]] | None = None
        if split.prompted:
            prompts = [split.shards.row(row)[0].tolist() for row in split.prompted[:num]]
            num = len(prompts)
        drawn = sample_each(
            self.generator,
            num,
            seed=self.seed,
            decodings=decodings,
            prompts=prompts,
            batch_size=self.batch_size,
            discriminator=self.discriminator,
        )
        return [[" ".join(self.tokenizer.decode(row).split("\n")) for row in ids] for ids in drawn]


def slug(decoding: Decoding) -> str:
    """A decoding as part of a file's name: `t0.9`, `t1_k40_p0.95_m0.1`, `t1_discriminator4`."""
    parts = [f"t{decoding.temperature:g}"]
    parts += [f"k{decoding.top_k}"] if decoding.top_k else []
    parts += [f"p{decoding.top_p:g}"] if decoding.top_p < 1 else []
    parts += [f"m{decoding.min_p:g}"] if decoding.min_p else []
    parts += [f"{decoding.choose}{decoding.candidates}"] if decoding.candidates > 1 else []
    return "_".join(parts)
