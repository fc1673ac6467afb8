"""The graph draws the tokens that the definition says, in every decoding mode; never a forbidden one."""

from functools import cache

import numpy as np
import pytest
import torch

from gdcore import sampling, uniforms
from gdcore.decoding import Decoding
from gdcore.export import sampler
from gdcore.export.builder import FLOAT, INT64, Graph
from gdcore.sampling import FORBIDDEN
from gdcore.serving import runtime
from gdcore.uniforms import row_seeds

MODES = [
    Decoding(),
    Decoding(temperature=0),
    Decoding(temperature=0.5),
    Decoding(temperature=3),
    Decoding(top_k=1),
    Decoding(top_k=7),
    Decoding(top_k=1000),
    Decoding(top_p=0.9),
    Decoding(top_p=0.5),
    Decoding(top_p=0.01),
    Decoding(min_p=0.2),
    Decoding(min_p=1),
    Decoding(temperature=2, min_p=0.01),
    Decoding(temperature=0.8, top_k=20, top_p=0.9),
    Decoding(temperature=1.5, top_k=30, top_p=0.7, min_p=0.3),
]


@cache
def graph(vocab_size: int) -> runtime.Graph:
    g = Graph()
    logits_BV, uniform_B = g.input("logits", FLOAT, ["batch", vocab_size]), g.input("uniform", FLOAT, ["batch"])
    scalars = {name: g.input(name, INT64 if name == "top_k" else FLOAT, []) for name in sampler.Decoding._fields}
    drawn_B = sampler.draw(g, logits_BV, uniform_B, sampler.Decoding(**scalars), vocab_size, FORBIDDEN)
    g.output("token", drawn_B, INT64, ["batch"])
    return runtime.Graph(g.model("draw", 20).SerializeToString())


def draw(logits_BV: np.ndarray, uniform_B: np.ndarray, decoding: Decoding) -> np.ndarray:
    return graph(logits_BV.shape[1])(
        logits=logits_BV,
        uniform=uniform_B,
        temperature=np.float32(decoding.temperature),
        top_k=decoding.top_k,
        top_p=np.float32(decoding.top_p),
        min_p=np.float32(decoding.min_p),
    )[0]


def distribution(logits_V: np.ndarray, decoding: Decoding) -> np.ndarray:
    """What the draws should be distributed as, in double precision, by sorting."""
    logits_V = logits_V.astype(np.float64)
    logits_V[list(FORBIDDEN)] = -np.inf
    order = np.argsort(-logits_V, kind="stable")
    if decoding.temperature == 0:
        return np.eye(len(logits_V))[order[0]]
    mass_V = np.exp((logits_V - logits_V.max()) / decoding.temperature)
    mass_V[order[decoding.top_k or len(order) :]] = 0
    mass_V /= mass_V.sum()
    likelier_V = np.array([mass_V[mass_V > mass].sum() for mass in mass_V])
    mass_V[(likelier_V >= decoding.top_p) & (decoding.top_p < 1)] = 0
    mass_V[mass_V < decoding.min_p * mass_V.max()] = 0
    return mass_V / mass_V.sum()


def logits(rows: int, vocab_size: int, seed: int = 0) -> np.ndarray:
    """With equals among them, and a forbidden token that would be the likeliest."""
    values = np.random.default_rng(seed).normal(0, 2, (rows, vocab_size)).astype(np.float32)
    values[:, 10:14] = values[:, 9:10]
    values[:, 3] = 20
    return values


@pytest.mark.parametrize("decoding", MODES, ids=str)
def test_distribution(decoding: Decoding):
    """Chi-square over 50,000 draws, cells of fewer than ten expected draws taken together."""
    logits_1V, num = logits(1, 60), 50_000
    uniform_N = uniforms.uniforms(row_seeds(5, num), 3, 1)[:, 0]
    drawn_N = np.concatenate([draw(np.repeat(logits_1V, len(u), 0), u, decoding) for u in np.split(uniform_N, 10)])
    expected_V, counts_V = distribution(logits_1V[0], decoding) * num, np.bincount(drawn_N, minlength=60)
    assert set(np.flatnonzero(counts_V)) <= set(np.flatnonzero(expected_V))
    rare_V = expected_V < 10
    expected = np.append(expected_V[~rare_V], expected_V[rare_V].sum())
    counts = np.append(counts_V[~rare_V], counts_V[rare_V].sum())
    chi_square = ((counts - expected) ** 2 / np.maximum(expected, 1)).sum()
    freedom = max(len(expected) - 1, 1)
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("decoding", MODES, ids=str)
@pytest.mark.parametrize("vocab_size", [6, 128, 1000, 20_000])
def test_same_draw_as_torch(vocab_size: int, decoding: Decoding):
    rows = 16 if vocab_size > 1000 else 64
    logits_BV, uniform_B = (
        logits(rows, max(vocab_size, 20))[:, :vocab_size],
        uniforms.uniforms(row_seeds(2, rows), 0, 1)[:, 0],
    )
    torch_B = sampling.pick(torch.from_numpy(logits_BV.copy()), torch.from_numpy(uniform_B), decoding)
    assert np.array_equal(draw(logits_BV, uniform_B, decoding), torch_B.numpy())


@pytest.mark.parametrize("decoding", MODES, ids=str)
def test_edges_of_the_unit_interval(decoding: Decoding):
    """The smallest and largest numbers there are, and tokens without mass at either end, never leave the support."""
    logits_1V = logits(1, 300)
    logits_1V[0, 200:] = -np.inf
    logits_1V[0, 130] = 40.0
    extremes = np.array([2.0**-24, 1 - 2.0**-24], np.float32)
    for token, torch_token in zip(
        draw(np.repeat(logits_1V, 2, 0), extremes, decoding),
        sampling.pick(torch.from_numpy(np.repeat(logits_1V, 2, 0)), torch.from_numpy(extremes), decoding),
        strict=True,
    ):
        assert distribution(logits_1V[0], decoding)[token] > 0
        assert distribution(logits_1V[0], decoding)[torch_token] > 0


def test_of_equals_top_k_keeps_the_lower_ids():
    logits_BV = np.zeros((64, 40), np.float32)
    uniform_B = uniforms.uniforms(row_seeds(0, 64), 0, 1)[:, 0]
    allowed = [token for token in range(40) if token not in FORBIDDEN][:5]
    assert set(draw(logits_BV, uniform_B, Decoding(top_k=5))) == set(allowed)
    picked_B = sampling.pick(torch.from_numpy(logits_BV), torch.from_numpy(uniform_B), Decoding(top_k=5))
    assert set(picked_B.tolist()) == set(allowed)


def test_nucleus_of_equals_is_all_of_them():
    logits_BV = np.zeros((256, 20), np.float32)
    drawn_B = draw(logits_BV, uniforms.uniforms(row_seeds(0, 256), 0, 1)[:, 0], Decoding(top_p=0.1))
    assert set(drawn_B) == set(range(20)) - set(FORBIDDEN)


def test_uniforms_bit_for_bit():
    g = Graph()
    seeds_N, count = g.input("seeds", INT64, ["batch"]), g.input("count", INT64, [])
    g.output("uniforms", sampler.uniforms(g, seeds_N, count), FLOAT, ["batch", "steps"])
    run = runtime.Graph(g.model("uniforms", 20).SerializeToString())
    limits = np.iinfo(np.int64)
    seeds = np.append(row_seeds(1, 1000), [0, 1, -1, 2**32, -(2**32), limits.min, limits.max])
    assert np.array_equal(run(seeds=seeds, count=64)[0], uniforms.uniforms(seeds, 0, 64))


def test_normals_to_within_rounding():
    seeds = row_seeds(1, 1000)
    for count in (1, 6, 7):
        g = Graph()
        g.output("normals", sampler.normals(g, g.input("seeds", INT64, ["batch"]), count), FLOAT, ["batch", count])
        run = runtime.Graph(g.model("normals", 20).SerializeToString())
        np.testing.assert_allclose(run(seeds=seeds)[0], uniforms.normals(seeds, count), atol=2e-6)
