"""Fréchet distance, MMD and energy distance, precision and recall, MAUVE: by hand, by double loops, by simulation."""

import math

import numpy as np
import pytest

from gdcore.evaluation.embedding import cloud, in_random_order, squared_distances
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Figure, Sampling, SetFigure, figures
from gdcore.metrics import frechet, mauve, mmd, prdc

SAMPLING = Sampling(seed=0, resamples=200, subsamples=10)


class Places:
    """An encoder whose texts say where they lie."""

    def encode(self, texts) -> np.ndarray:
        return np.array([[float(coordinate) for coordinate in text] for text in texts])


def placed(samples, references) -> Evidence:
    """Evidence whose points under the encoder `places` are these."""
    samples, references = (np.array(side, float).reshape(len(side), -1) for side in (samples, references))
    texts = [[repr(float(coordinate)) for coordinate in point] for point in samples]
    return Evidence(texts, [["x"]], of_references={"places: references": (Places(), references, references)})


def value(metric, evidence: Evidence, key: str, **settings) -> Figure:
    return figures(metric.score(metric.Config(encoder="places", **settings), evidence), SAMPLING)[key]


def test_frechet_of_two_gaussians_by_hand() -> None:
    # In one dimension (m₁ − m₂)² + (s₁ − s₂)²: means 0 and 5, standard deviations √2 and √8.
    found = value(frechet, placed([-1, 1], [3, 7]), "frechet")
    assert found["value"] == pytest.approx(25 + 2)
    # Moved but not changed: the squared way.
    points = np.random.default_rng(0).normal(size=(40, 3))
    assert value(frechet, placed(points + np.array([1, 2, 2]), points), "frechet")["value"] == pytest.approx(9)
    assert value(frechet, placed(points, points), "frechet")["value"] == pytest.approx(0, abs=1e-9)


def test_frechet_where_the_covariances_do_not_commute() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=(30, 3)) @ rng.normal(size=(3, 3)) for _ in range(2))
    product = np.cov(a.T) @ np.cov(b.T)
    values, vectors = np.linalg.eig(product)  # its own root, not by way of a symmetric matrix
    root = (vectors * np.sqrt(values)) @ np.linalg.inv(vectors)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert value(frechet, placed(a, b), "frechet")["value"] == pytest.approx(expected)


def test_mmd_and_energy_by_double_loops() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(7, 2)), rng.normal(1, 2, size=(9, 2))
    median = np.median([((x - y) ** 2).sum() for i, x in enumerate(b) for y in b[:i]])
    for key, kernel in (
        ("mmd", lambda x, y: math.exp(-((x - y) ** 2).sum() / (2 * median))),
        ("energy", lambda x, y: -math.sqrt(((x - y) ** 2).sum())),
    ):
        within_a = np.mean([kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
        within_b = np.mean([kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
        between = np.mean([kernel(x, y) for x in a for y in b])
        found = value(mmd, placed(a, b), key)
        assert found["value"] == pytest.approx(within_a + within_b - 2 * between, abs=1e-9)
        assert found["low"] < found["value"] < found["high"]


def test_regrouping_is_the_same_sum_over_other_groups() -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(12, 2))
    kernel = np.exp(-squared_distances(points, points))
    ours, other = np.arange(12) < 5, rng.permutation(12) < 5
    permuted = mmd.discrepancy(kernel, ours, other[:, None]).permuted_P
    assert permuted == pytest.approx(mmd.discrepancy(kernel, other, other[:, None]).value)


def test_precision_recall_density_coverage_by_hand() -> None:
    # Real 0, 1, 3: balls of one neighbour reach 1, 1 and 2. Sample 0.5 lies in the first two, 10 in none.
    found = {
        key: value(prdc, placed([0.5, 10], [0, 1, 3]), key, neighbours=1)["value"]
        for key in ("precision", "density", "coverage", "recall")
    }
    assert found["precision"] == 1 / 2
    assert found["density"] == (2 + 0) / 2
    assert found["coverage"] == pytest.approx(2 / 3)
    assert found["recall"] == 1  # the samples' own balls reach 9.5
    # Samples 0.5, 0.75 and 9: balls reach ¼, ¼ and 8¼; only the last reaches real texts, 1 and 3.
    assert value(prdc, placed([0.5, 0.75, 9], [0, 1, 3]), "recall", neighbours=1)["value"] == pytest.approx(2 / 3)
    # k = 2: balls of 3, 2 and 3 hold 0.5 all three, hence 3 / 2.
    assert value(prdc, placed([0.5], [0, 1, 3]), "density", neighbours=2)["value"] == 3 / 2


def test_copies_lie_in_balls_without_extent() -> None:
    found = value(prdc, placed([0.3] * 4, [0.3] * 4), "precision", neighbours=2)
    assert found["value"] == 1


def test_distances_are_exact_between_copies_and_right_elsewhere() -> None:
    rng = np.random.default_rng(4)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-4)):
        points = (rng.normal(size=(50, 8)) * 3).astype(dtype)
        found = squared_distances(points, points)
        assert (np.diag(found) == 0).all()
        np.testing.assert_allclose(
            found, ((points[:, None] - points) ** 2).sum(-1), atol=tolerance * 100, rtol=tolerance
        )


def test_mauves_area_in_closed_form() -> None:
    equal = np.array([0.2, 0.3, 0.5])
    assert mauve.area(equal, equal, 5.0) == pytest.approx(1)
    # Nothing in common: KL = −ln(1−λ) and −ln λ, so that the area is ∫ λᶜ c (1−λ)ᶜ⁻¹ dλ = c Γ(c+1) Γ(c) / Γ(2c+1).
    expected = 5 * math.factorial(5) * math.factorial(4) / math.factorial(10)
    assert mauve.area(np.array([1.0, 0]), np.array([0, 1.0]), 5.0) == pytest.approx(expected, rel=2e-3)
    a, b = np.array([0.7, 0.3, 0.0]), np.array([0.2, 0.3, 0.5])
    assert mauve.area(a, b, 5.0) == pytest.approx(mauve.area(b, a, 5.0))


def test_k_means_finds_heaps_that_lie_apart() -> None:
    rng = np.random.default_rng(5)
    centres = np.array([[0, 0], [50, 0], [0, 50]])
    points = (np.repeat(centres, 30, axis=0) + rng.normal(size=(90, 2))).astype(np.float32)
    cells = [mauve.nearest(points, mauve.k_means(points, 3, np.random.default_rng(seed))) for seed in range(8)]
    whole = [cell for cell in cells if len({tuple(sorted(set(cell[i : i + 30].tolist()))) for i in (0, 30, 60)}) == 3]
    assert whole  # one start in each heap is likely among eight runs
    assert any(len(set(cell[i : i + 30].tolist())) == 1 for cell in whole for i in (0, 30, 60))


def test_mauve_of_points_in_the_same_places_is_one_and_far_apart_nearly_nothing() -> None:
    points = np.random.default_rng(6).normal(size=(60, 2))
    assert value(mauve, placed(points, points), "mauve", cells=6)["value"] == pytest.approx(1)
    assert value(mauve, placed(points + 100, points), "mauve", cells=6)["value"] < 0.01


@pytest.mark.parametrize(("metric", "key"), [(frechet, "frechet"), (prdc, "coverage"), (mauve, "mauve")])
def test_the_size_is_the_settings_however_many_samples_there_are(metric, key) -> None:
    settings = {"size": 60} | ({"cells": 6} if metric is mauve else {})
    points = np.random.default_rng(7).normal(1, 1, size=(1200, 2))
    references = np.random.default_rng(8).normal(size=(200, 2))
    few, many = (value(metric, placed(points[:number], references), key, **settings)["value"] for number in (300, 1200))
    assert few == pytest.approx(many, rel=0.2)
    measured = metric.score(metric.Config(encoder="places", **settings), placed(points, references))[key]
    assert isinstance(measured, SetFigure)
    assert measured.size == 60


def test_half_of_the_references_is_fitted_on_and_the_other_compared_with() -> None:
    words = [[f"w{i}", f"w{i + 1}", "x"] for i in range(21)]
    evidence = Evidence(words[:3], words)
    points = cloud(evidence, "tfidf_svd")
    assert (len(points.fitted_FD), len(points.references_RD), len(points.samples_ND)) == (11, 10, 3)
    assert cloud(Evidence(words[:3], words[:1]), "tfidf_svd") is None, "no other half"
    assert in_random_order(words, 3) == in_random_order(words[::-1], 3)
    assert sorted(in_random_order(words, 3)) == sorted(words)
    assert in_random_order(words, 3) != in_random_order(words, 4)


@pytest.mark.slow
def test_p_values_of_real_against_real_are_uniform() -> None:
    """Encoder included: fitted on the texts that are compared, it would find nearly every set of samples alien."""
    rng = np.random.default_rng(9)
    config = mmd.Config(permutations=99)
    found = []
    for seed in range(300):
        texts = [[f"w{int(80 * rng.random() ** 2)}" for _ in range(rng.integers(2, 9))] for _ in range(150)]
        found.append(figures(mmd.score(config, Evidence(texts[:50], texts[50:], seed=seed)), SAMPLING))
    for key in ("mmd_p", "energy_p"):
        p = np.array([each[key]["value"] for each in found])
        assert abs((p <= 0.05).mean() - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 300)
        assert abs((p <= 0.5).mean() - 0.5) < 3 * math.sqrt(0.25 / 300)
