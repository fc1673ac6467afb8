"""generate.onnx writes what the torch sampler writes: ragged prompts, seeds, ends and limits."""

from functools import cache

import numpy as np
import pytest
from small_bundle import CONTEXT, GENERATORS, traced

from gdcore import sampling
from gdcore.contracts import Generator
from gdcore.decoding import Decoding
from gdcore.export.generation import generation_model
from gdcore.sampling import FORBIDDEN
from gdcore.serving.runtime import Graph
from gdcore.tokenizer import BOS, EOS, PAD, SEP
from gdcore.uniforms import row_seeds

VOCAB = 60
DEEPER = {"num_layers": 2, "tied": False}
MODES = [
    Decoding(),
    Decoding(temperature=0),
    Decoding(temperature=0.8, top_k=12, top_p=0.8, min_p=0.05),
    Decoding(top_p=0.6),
    Decoding(min_p=0.2),
]


@cache
def models(name: str, **config: object) -> tuple[Generator, Graph]:
    generator, step = traced(name, **config)
    return generator, Graph(generation_model(step, 20).SerializeToString())


def write(
    graph: Graph, given: list[list[int]], seeds: np.ndarray, decoding: Decoding, max_tokens: int = CONTEXT
) -> np.ndarray:
    prompt_ids = np.full((len(given), max(map(len, given))), PAD)
    for row, ids in zip(prompt_ids, given, strict=True):
        row[: len(ids)] = ids
    return graph(
        prompt_ids=prompt_ids,
        prompt_lengths=np.array([len(ids) for ids in given]),
        max_new_tokens=max_tokens,
        temperature=np.float32(decoding.temperature),
        top_k=decoding.top_k,
        top_p=np.float32(decoding.top_p),
        min_p=np.float32(decoding.min_p),
        seeds=seeds,
    )[0]


def texts(new_BN: np.ndarray) -> list[list[int]]:
    return [[token for token in row if token not in (PAD, EOS)] for row in new_BN.tolist()]


def prompts(num: int) -> list[list[int]]:
    random = np.random.default_rng(1)
    return [random.integers(5, VOCAB, random.integers(0, CONTEXT - 4)).tolist() for _ in range(num)]


@pytest.mark.parametrize("name", [*GENERATORS, pytest.param("deeper", marks=pytest.mark.slow)])
@pytest.mark.parametrize("decoding", MODES, ids=str)
def test_same_texts_as_torch(name: str, decoding: Decoding):
    generator, graph = models("lstm", **DEEPER) if name == "deeper" else models(name)
    for asked in (None, prompts(40)):
        expected = sampling.sample(generator, 40, seed=9, decoding=decoding, prompts=asked)
        given = [[BOS, *ids, SEP] for ids in asked] if asked else [[BOS]] * 40
        new_BN = write(graph, given, row_seeds(9, 40), decoding)
        # A draw within rounding of an edge may go either way, and a plain recurrence then amplifies it.
        different = sum(ours != theirs for ours, theirs in zip(texts(new_BN), expected, strict=True))
        assert different <= (1 if name == "rnn" else 0)
        assert not np.isin(new_BN[new_BN != PAD], FORBIDDEN).any()


def test_a_text_does_not_depend_on_its_company():
    _, graph = models("lstm")
    given, seeds = [[BOS, *ids] for ids in prompts(30)], row_seeds(4, 30)
    together = texts(write(graph, given, seeds, Decoding()))
    assert [texts(write(graph, [ids], seeds[i : i + 1], Decoding()))[0] for i, ids in enumerate(given)] == together
    assert texts(write(graph, given[::-1], seeds[::-1], Decoding())) == together[::-1]


def test_ends():
    """Nothing but PAD after EOS; no text beyond the tokens asked for or the context; no turn after the last EOS."""
    _, graph = models("lstm")
    new_BN = write(graph, [[BOS]] * 200, row_seeds(0, 200), Decoding())
    ended_BN = np.cumsum(new_BN == EOS, axis=1) - (new_BN == EOS) > 0
    assert (new_BN[ended_BN] == PAD).all()
    assert (new_BN[~ended_BN] != PAD).all()
    assert ended_BN.any()
    assert new_BN.shape[1] <= CONTEXT - 1
    assert write(graph, [[BOS]] * 20, row_seeds(0, 20), Decoding(), max_tokens=3).shape[1] == 3
    assert write(graph, [[BOS]], row_seeds(0, 1), Decoding(), max_tokens=1).shape == (1, 1)
    ragged_BN = write(graph, [[BOS], [BOS] * (CONTEXT - 1)], row_seeds(0, 2), Decoding())
    assert (ragged_BN[1, 1:] == PAD).all()
    at_B = np.where((new_BN == EOS).any(axis=1), (new_BN == EOS).argmax(axis=1), CONTEXT)
    first = int(at_B.argmin())
    alone_N = write(graph, [[BOS]], row_seeds(0, 200)[first : first + 1], Decoding())[0]
    assert len(alone_N) == at_B[first] + 1 < new_BN.shape[1]
