"""What texts are compared by."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdcore.resemblance.gists import SHINGLE, distinct, gist, hashed, resemblances, sides


def gist_of(text, prompt=None):
    return pl.DataFrame(
        {"text": [text], "prompt": [prompt]}, schema=dict.fromkeys(("text", "prompt"), pl.String)
    ).select(gist())[0, 0]


@pytest.mark.parametrize(
    ("text", "prompt", "gist", "parts"),
    [
        ("A dog -- barks!", None, "a dog barks", ("", "a dog barks")),
        ("Yes.", "Is  it?", "is it\nyes", ("is it", "yes\0\0")),
        ("?!", None, "\n?!", ("", "?!\0\0\0")),
        ("?!", "Well?", "Well?\n?!", ("Well?", "?!\0\0\0")),
        ("今天天气很好。", None, "今天天气很好", ("", "今天天气很好")),
    ],
)
def test_the_gist_of_a_text(text, prompt, gist, parts):
    assert gist_of(text, prompt) == gist
    assert sides(gist) == parts


def slices(text):
    return {text[i : i + SHINGLE] for i in range(len(text) - SHINGLE + 1)}


SHINGLED = st.one_of(st.just(""), st.text("ab 猫👍", min_size=SHINGLE, max_size=20))


@settings(max_examples=40, deadline=None)
@given(st.lists(SHINGLED, min_size=1, max_size=6))
def test_shingles_are_slices_of_the_text_each_once(texts):
    hashes, starts = distinct(*hashed(texts))
    assert np.diff(starts).tolist() == [len(slices(text)) for text in texts]
    sets = [hashes[a:b] for a, b in pairwise(starts)]
    for own, text in zip(sets, texts):
        assert (np.diff(own.astype(object)) > 0).all()
        expected = [
            len(slices(text) & slices(other)) / len(slices(text) | slices(other)) if text or other else 1
            for other in texts
        ]
        assert resemblances(own, sets).tolist() == expected


def test_a_short_text_is_one_shingle():
    hashes, starts = hashed([text for _, text in map(sides, ("ab", "ab", "abc", "abcde", "abcdef", ""))])
    assert np.diff(starts).tolist() == [1, 1, 1, 1, 2, 0]
    assert hashes[0] == hashes[1]
    assert len(set(hashes.tolist())) == 4
