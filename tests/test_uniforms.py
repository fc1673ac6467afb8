"""The numbers are pinned (published seeds must keep their texts), uniform, and a function of (seed, step) alone."""

import subprocess
import sys

import numpy as np
import pytest

from gdcore.uniforms import normals, redraw, row_seeds, uniforms

INT64 = np.iinfo(np.int64)


def fmix32(x: int) -> int:
    """MurmurHash3's finaliser in Python's unbounded integers, an independent reference."""
    x = ((x ^ x >> 16) * 0x85EBCA6B) % 2**32
    x = ((x ^ x >> 13) * 0xC2B2AE35) % 2**32
    return x ^ x >> 16


def reference(seed: int, step: int) -> float:
    low, high = seed % 2**32, (seed >> 32) % 2**32
    key = fmix32(fmix32(low) ^ high ^ 0x9E3779B9)
    bits = fmix32(fmix32((step * 0x9E3779B9 + key) % 2**32) ^ key)
    return ((bits >> 9) * 2 + 1) / 2**24


def test_known_answers():
    assert fmix32(1) == 0x514E28B7  # published value of MurmurHash3's fmix32
    seeds = np.array([0, 1, 42, -1, 2**40 + 7, INT64.max, INT64.min], np.int64)
    expected = [[reference(int(seed), step) for step in range(3, 9)] for seed in seeds]
    assert np.array_equal(uniforms(seeds, 3, 6), np.array(expected, np.float32))
    pinned = [[4281085, 14776111], [12219743, 10353479], [12916235, 16448251]]
    assert (uniforms(seeds[:3], 0, 2) * 2**24).astype(np.int64).tolist() == pinned


def splitmix64(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) % 2**64
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) % 2**64
    return x ^ x >> 31


def test_row_seeds_known_answers():
    assert int(row_seeds(0, 1).view(np.uint64)[0]) == splitmix64(0xE220A8397B1DCDAF)  # seed 0's published first output
    assert np.array_equal(row_seeds(7, 10)[4:], row_seeds(7, 6, start=4))
    assert len({*row_seeds(1, 5000).tolist(), *row_seeds(2, 5000).tolist(), *row_seeds(-3, 5000).tolist()}) == 15000


def test_open_interval():
    u = uniforms(row_seeds(0, 2000), 0, 2000)
    assert u.dtype == np.float32
    assert u.min() > 0
    assert u.max() < 1
    assert np.float32((2**24 - 1) * 2.0**-24) < 1  # the largest possible


def chi_square(cells: np.ndarray, num_cells: int) -> float:
    """How many standard deviations the chi-square statistic of these cell numbers lies from its mean."""
    counts = np.bincount(cells.ravel(), minlength=num_cells)
    expected = counts.sum() / num_cells
    return float((((counts - expected) ** 2 / expected).sum() - (num_cells - 1)) / np.sqrt(2 * (num_cells - 1)))


@pytest.mark.parametrize("seeds", [np.arange(1000), row_seeds(3, 1000), np.arange(1000) << 32])
def test_uniform_and_independent(seeds: np.ndarray):
    cells = (uniforms(seeds, 0, 256) * 32).astype(int)
    assert abs(chi_square(cells, 32)) < 5
    assert abs(chi_square(cells[:, :-1] * 32 + cells[:, 1:], 1024)) < 5  # neighbours in step
    assert abs(chi_square(cells[:-1] * 32 + cells[1:], 1024)) < 5  # neighbours in seed


def test_redraw():
    """A refused draw's further numbers: a function of its first, uniform whatever region of the first was refused."""
    first = np.array([0.25 + 2**-24, 1 - 2**-24], np.float32)
    for attempt in (1, 2, 70_000):
        bits = [fmix32((fmix32(int(u * 2**24)) + attempt * 0x9E3779B9) % 2**32) >> 9 for u in first]
        assert (redraw(first, attempt) * 2**24).tolist() == [2 * b + 1 for b in bits]
    refused = ((np.arange(100_000) * 2 + 1) / 2**24).astype(np.float32)  # all of [0, 0.012)
    cells = [(redraw(refused, attempt) * 32).astype(int) for attempt in (1, 2)]
    assert all(abs(chi_square(each, 32)) < 5 for each in cells)
    assert abs(chi_square(cells[0] * 32 + cells[1], 1024)) < 5


def test_normals():
    """Standard normal: quantiles of each, no correlation, and each a function of its seed alone."""
    seeds = row_seeds(5, 40_000)
    z = normals(seeds, 5)
    assert z.dtype == np.float32
    quantiles = np.quantile(z, [0.025, 0.25, 0.5, 0.75, 0.975], axis=0).T
    np.testing.assert_allclose(quantiles, [[-1.96, -0.6745, 0, 0.6745, 1.96]] * 5, atol=0.05)
    assert np.abs(np.corrcoef(z.T) - np.eye(5)).max() < 0.02
    assert np.abs(np.corrcoef(z[:, 0], uniforms(seeds, 0, 1)[:, 0])[0, 1]) < 0.02
    assert np.array_equal(normals(seeds[7:9], 5), z[7:9])
    assert np.array_equal(normals(seeds[:3], 4), z[:3, :4])
    assert normals(seeds[:0], 3).shape == (0, 3)
    assert normals(seeds[:2], 0).shape == (2, 0)


def test_does_not_depend_on_the_company():
    seeds = row_seeds(11, 64)
    whole = uniforms(seeds, 0, 40)
    assert np.array_equal(uniforms(seeds[17:18], 0, 40), whole[17:18])
    assert np.array_equal(uniforms(seeds[::-1], 5, 7), whole[::-1, 5:12])
    assert uniforms(seeds[:0], 0, 3).shape == (0, 3)


def test_imports_numpy_alone():
    code = "import sys, gdcore.uniforms; print({'torch', 'polars', 'onnx', 'onnxruntime'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
