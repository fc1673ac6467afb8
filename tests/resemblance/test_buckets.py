"""Who shares a key with whom, however the keys are cut."""

import numpy as np
import pytest

from gdcore.resemblance import buckets
from gdcore.resemblance.buckets import KeyFiles


@pytest.mark.parametrize("part_texts", [1, 7, 1000])
@pytest.mark.parametrize("chunk", [3, 1000])
def test_texts_that_share_a_key_are_linked(tmp_path, monkeypatch, part_texts, chunk):
    monkeypatch.setattr(buckets, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    keys_NB = rng.integers(0, 40, (30, 2), dtype=np.uint64) + np.uint64(2**63)
    files = KeyFiles(tmp_path, 2)
    for some in np.split(keys_NB, [4, 4, 15]):
        files.write(some)
    suspects_N = np.zeros(30, bool)
    assert list(files.mark(suspects_N, part_texts)) == [0, 1]
    shared = [[(keys_NB[:, band] == keys_NB[i, band]).sum() > 1 for band in range(2)] for i in range(30)]
    assert suspects_N.tolist() == [any(bands) for bands in shared]
    assert 0 < suspects_N.sum() < 30
    texts = np.flatnonzero(suspects_N)
    for place, links in enumerate(files.links(suspects_N)):
        for band, link in enumerate(links):
            before = [j for j, text in enumerate(texts[:place]) if keys_NB[text, band] == keys_NB[texts[place], band]]
            assert link == (before[-1] if before else -1)
    files.remove()
    assert not list(tmp_path.iterdir())


def test_no_texts(tmp_path):
    files = KeyFiles(tmp_path, 2)
    assert list(files.mark(np.zeros(0, bool))) == [0, 1]
    assert files.links(np.zeros(0, bool)).shape == (0, 2)
    files.remove()
