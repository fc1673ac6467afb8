"""Near-duplicates of one corpus: who goes, for whose sake, and who stays."""

import random
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpus import write_corpus

from gdcore.resemblance import comparison, similar
from gdcore.resemblance.similar import add_similar
from gdcore.tokens import SPLITS

RNG = random.Random(0)
WORDS = ["".join(RNG.choices("abcdefghijklmnop", k=RNG.randint(2, 9))) for _ in range(400)]
PARAGRAPHS = [" ".join(RNG.choices(WORDS, k=60)) for _ in range(5)]
PAGE = " ".join(PARAGRAPHS)


@cache
def shingles(text):
    text = text.ljust(5)
    return {text[i : i + 5] for i in range(len(text) - 4)}


def jaccard(a, b):
    return len(shingles(a) & shingles(b)) / len(shingles(a) | shingles(b))


def find(
    tmp_path, train, valid=(), test=(), without=(), similarity=0.9, within_train=True, rows=1000, parts=1000, **options
):
    """The pairs as tuples, after a look at the flags; `rows` of facts a file."""
    corpus, folder = write_corpus(tmp_path / "corpus", train, valid, test, **options), tmp_path / "facts"
    folder.mkdir(exist_ok=True)
    kept = {split: np.ones(len(texts), bool) for split, texts in zip(SPLITS, (train, valid, test))}
    kept["train"][list(without)] = False
    for split in SPLITS:
        for first in range(0, max(1, len(kept[split])), rows):
            some = range(first, min(first + rows, len(kept[split])))
            frame = pl.DataFrame({"row": some}, {"row": pl.Int64})
            frame.write_parquet(folder / f"{split}.{first:012d}.parquet")
    steps = add_similar(similarity, within_train, corpus, folder, kept, parts)
    try:
        while True:
            assert next(steps).total is not None
    except StopIteration as stop:
        found = stop.value
    pairs = found.pairs.rows()
    flagged = {"similar": [], "leaked_similar": []}
    for split in SPLITS:
        facts = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob(f"{split}.*"))])
        assert split == "train" or facts["similar"].null_count() == len(facts)
        for rule, rows_of in flagged.items():
            rows_of += [(split, row) for row in facts.filter(rule)["row"]]
    assert flagged["similar"] == [(split, row) for split, row, like, *_ in pairs if like == split]
    assert flagged["leaked_similar"] == [(split, row) for split, row, like, *_ in pairs if like != split]
    assert not [path for path in folder.iterdir() if path.suffix != ".parquet"]
    find.compared_in_part = found.compared_in_part
    return pairs


def test_a_page_with_one_word_changed(tmp_path):
    changed = PAGE.replace(PAGE.split()[70], "otherwise", 1)
    assert changed != PAGE
    pairs = find(tmp_path, ["a red dog", PAGE, "a small bird", changed])
    assert pairs == [("train", 3, "train", 1, jaccard(PAGE, changed))]
    assert 0.98 < pairs[0][-1] < 1


def test_the_same_paragraphs_in_another_order(tmp_path):
    moved = ". ".join(PARAGRAPHS[::-1]).upper()
    ((*where, found),) = find(tmp_path, [PAGE, moved])
    assert where == ["train", 1, "train", 0]
    assert found == jaccard(PAGE, " ".join(PARAGRAPHS[::-1])) > 0.97


def test_half_a_page_is_another_text(tmp_path):
    assert find(tmp_path, [PAGE, " ".join(PARAGRAPHS[:3]), " ".join(PARAGRAPHS[2:])]) == []


@pytest.mark.parametrize(("similarity", "count"), [(0.9, 1), (0.9001, 0)])
def test_as_much_as_the_threshold_is_enough(tmp_path, similarity, count):
    a, b = "abcdefghijklmnopqrstuvw", "abcdefghijklmnopqrstuvx"  # 18 shingles in both, 20 in either
    assert len(find(tmp_path, [a, b], similarity=similarity)) == count


def test_a_text_similar_to_one_that_went_stays(tmp_path):
    words = PAGE.split()
    a, b, c = (" ".join([*["x" * 9 + str(i) for i in range(n)], *words[n:]]) for n in (0, 12, 24))
    assert min(jaccard(a, b), jaccard(b, c)) > 0.9 > jaccard(a, c)
    assert [pair[:4] for pair in find(tmp_path, [a, b, c])] == [("train", 1, "train", 0)]
    assert [pair[:4] for pair in find(tmp_path, [b, c, a])] == [("train", i, "train", 0) for i in (1, 2)]


def test_the_earlier_split_gives_it_up(tmp_path):
    copies = [f"{PAGE} {WORDS[i]}" for i in range(6)]
    pairs = find(tmp_path, [copies[0], "one", copies[1]], [copies[2], "two"], [copies[3], copies[4], "three"])
    assert [pair[:3] for pair in pairs] == [("train", 0, "test"), ("train", 2, "test"), ("valid", 0, "test")]
    pairs = find(tmp_path, [copies[0], "one", copies[1]], [copies[2], copies[3], "two"], ["three"])
    assert [pair[:3] for pair in pairs] == [("train", 0, "valid"), ("train", 2, "valid")]


def test_another_answer_is_another_text(tmp_path):
    answers = ["yes", "no", "no, " + PARAGRAPHS[1], "no, " + PARAGRAPHS[1] + " " + WORDS[3]]
    pairs = find(tmp_path, [*answers, answers[-1]], prompts=[*[PARAGRAPHS[0] + "?"] * 4, "what is it?"])
    assert [pair[:4] for pair in pairs] == [("train", 3, "train", 2)]


def test_short_texts_and_those_without_spaces(tmp_path):
    chinese = "".join(
        RNG.choices("的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年", k=150)
    )
    texts = ["ab", "abc", "a b", chinese, chinese[:70] + "猫" + chinese[71:], chinese[:80]]
    assert [pair[:4] for pair in find(tmp_path, texts)] == [("train", 4, "train", 3)]


def test_the_same_text_again_is_not_similar(tmp_path):
    again = f"{PAGE} {WORDS[0]}"
    assert find(tmp_path, [PAGE] * 3) == []
    pairs = find(tmp_path, [PAGE, again, PAGE, again, PAGE, again])
    assert [pair[:4] for pair in pairs] == [("train", i, "train", 0) for i in (1, 3, 5)]


def test_train_may_keep_its_own(tmp_path):
    copies = [f"{PAGE} {WORDS[i]}" for i in range(4)]
    assert find(tmp_path, copies, ["one"], ["two"], within_train=False) == []
    pairs = find(tmp_path, [*PARAGRAPHS, *copies], ["one"], [PAGE], within_train=False)
    assert [pair[:4] for pair in pairs] == [("train", i, "test", 0) for i in range(5, 9)]


def mixed(num, seed):
    """Texts of a few words, many of them like another one."""
    rng, texts = random.Random(seed), []
    for _ in range(num):
        words = rng.choice(texts).split() if texts and rng.random() < 0.6 else rng.choices(WORDS, k=rng.randint(1, 40))
        words[rng.randrange(len(words))] = rng.choice(WORDS)
        texts.append(" ".join(words))
    return texts


def test_how_texts_are_cut_makes_no_difference(tmp_path, monkeypatch):
    texts = mixed(90, 1)
    splits = texts[:60], texts[60:75], texts[75:]
    expected = find(tmp_path, *splits, similarity=0.7)
    assert {pair[2] for pair in expected} == {*SPLITS}
    monkeypatch.setattr(similar, "COMPARED_CHARACTERS", 50)
    monkeypatch.setattr("gdcore.resemblance.sketches.BLOCK_CHARACTERS", 100)
    assert find(tmp_path, *splits, similarity=0.7, rows=7, parts=11) == expected


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.7, 0.9]), st.sampled_from([(24, 0, 0), (14, 5, 5)]))
def test_those_that_stay_are_not_alike(tmp_path_factory, seed, similarity, sizes):
    texts = iter(mixed(24, seed))
    splits = {split: [next(texts) for _ in range(size)] for split, size in zip(SPLITS, sizes)}
    pairs = find(tmp_path_factory.mktemp("corpus"), *splits.values(), similarity=similarity)
    gone = {pair[:2] for pair in pairs}
    for split, row, like_split, like_row, found in pairs:
        assert found == jaccard(splits[split][row], splits[like_split][like_row]) >= similarity
        assert (like_split, like_row) not in gone
        assert SPLITS.index(like_split) > SPLITS.index(split) or (split == "train" == like_split and like_row < row)
    stay = [(split, i) for split in SPLITS for i in range(len(splits[split])) if (split, i) not in gone]
    for split, i in stay:
        for other, j in stay:
            if (split, i) != (other, j) and (split != other or split == "train"):
                a, b = splits[split][i], splits[other][j]
                assert a == b or jaccard(a, b) < similarity + 0.08


def test_of_too_many_the_most_alike_are_compared(tmp_path, monkeypatch):
    rng = random.Random(0)
    frame = " ".join(rng.choices(WORDS, k=40))
    letters = [f"{frame} {' '.join(rng.choices(WORDS, k=5))}" for _ in range(60)]
    assert find(tmp_path, letters) == []
    assert find.compared_in_part == 0
    monkeypatch.setattr(comparison, "MOST_CANDIDATES", 3)
    pairs = find(tmp_path, [*letters, letters[5] + " x"])
    assert [pair[:4] for pair in pairs] == [("train", 60, "train", 5)]
    assert find.compared_in_part > 30
    monkeypatch.setattr(comparison, "MOST_OF_A_KEY", 2)
    assert find(tmp_path, [*letters, letters[59] + " x"]) != []


def test_nothing_goes_for_the_sake_of_what_is_not_kept(tmp_path):
    copies = [f"{PAGE} {WORDS[i]}" for i in range(4)]
    pairs = find(tmp_path, copies, without=[0, 2])
    assert [pair[:4] for pair in pairs] == [("train", 3, "train", 1)]
