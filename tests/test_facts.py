"""What is measured of texts, of tokens, of splits."""

import json
import math

import numpy as np
import polars as pl
import pytest
from small_corpus import write_corpus

from gdcore import facts
from gdcore.facts import ValidationConfig, label_distance, main_scripts, text_facts, twins
from gdcore.tokens import SPLITS, TokenizerConfig, build_tokens


def measure(tmp_path, *splits, partition_rows=facts.PARTITION_ROWS, **options):
    """The facts of some texts, and the same of each split, given which of them are kept (a mask a split, else all)."""
    corpus, tokens = write_corpus(tmp_path / "corpus", *splits, **options), tmp_path / "tokens"
    list(build_tokens(TokenizerConfig(kind="word", min_count=1), corpus, tokens))
    scripts, folder = main_scripts(pl.scan_parquet(corpus / "train.parquet")), tmp_path / "facts"
    folder.mkdir()
    for split in SPLITS:
        list(facts.measure(ValidationConfig(), corpus, tokens, split, scripts, folder))
    leaked = twins(folder, partition_rows)

    def of_splits(kept=None):
        return facts.split_facts(folder, tokens, kept or {s: np.ones(len(v), bool) for s, v in leaked.items()}, leaked)

    of_splits.leaked = leaked
    return pl.scan_parquet(facts.parts(folder)).collect(), of_splits


def of_text(text, scripts=("Latin",)):
    frame = pl.LazyFrame({"text": [text], "prompt": [None]}, schema={"text": pl.String, "prompt": pl.String})
    return text_facts(frame, list(scripts)).collect().row(0, named=True)


@pytest.mark.parametrize(
    ("text", "alphabet", "digits", "script"),
    [
        ("Hello, world.", 10 / 12, 0, 1),
        ("2 + 2 = 4", 0, 3 / 5, None),
        ("👩‍👩‍👧 👍🏽 🇩🇪 ❤", 1, 0, None),
        ("Привет you", 1, 0, 3 / 9),
        ("今日は", 1, 0, 0),
        ("e\u0301te\u0301", 1, 0, 1),
        ("", None, None, None),
    ],
)
def test_what_a_text_is_made_of(text, alphabet, digits, script):
    found = of_text(text)
    assert found["num_chars"] == len(text)
    assert found["alphabet_share"] == (alphabet if alphabet is None else pytest.approx(alphabet))
    assert found["digit_share"] == (digits if digits is None else pytest.approx(digits))
    assert found["script_share"] == (script if script is None else pytest.approx(script))


@pytest.mark.parametrize(
    ("texts", "scripts"),
    [
        (["a plain text"] * 30 + ["одна"], ["Latin"]),
        (["русский text"], ["Cyrillic", "Latin"]),
        (["今日はとてもいい", "ラーメンを食べ"], ["East Asian"]),
        (["วันนี้"], ["Thai"]),
        (["123"], []),
    ],
)
def test_the_scripts_of_a_corpus(texts, scripts):
    assert main_scripts(pl.LazyFrame({"text": texts})) == scripts


def test_near_duplicates_are_found_by_their_gist(tmp_path):
    train = ["A dog barks.", "a  dog, barks", "a dog barks.", "A cat.", "👍", "👎", "?!", "!?", "A dog barks!"]
    frame, _ = measure(tmp_path, train, ["a bird", "A bird."], ["a fish"])
    assert frame.filter("near_duplicate")["row"].to_list() == [1, 2, 8]
    assert frame.filter(pl.col("split") != "train")["near_duplicate"].to_list() == [None] * 3


@pytest.mark.parametrize("partition_rows", [1, 7, 1000])
def test_gists_are_compared_a_partition_at_a_time(tmp_path, monkeypatch, partition_rows):
    monkeypatch.setattr(facts, "BATCH_ROWS", 5)
    train = [f"{'A' if i % 3 else 'a'} dog no {i % 11}{'!' if i % 2 else ''}" for i in range(40)]
    frame, _ = measure(tmp_path, train, ["a dog no 3.", "new"], ["NEW", "x"], partition_rows=partition_rows)
    seen: dict[str, str] = {}
    expected = [i for i, text in enumerate(train) if seen.setdefault(text.lower().strip("!"), text) != text]
    assert frame.filter("near_duplicate")["row"].to_list() == expected
    leaks = [("train", i) for i in range(40) if i % 11 == 3]
    assert frame.filter("leaked").select("split", "row").rows() == [*leaks, ("valid", 1)]
    assert frame["row"].to_list() == [*range(40), 0, 1, 0, 1]


def test_exact_repetitions_are_not_near_duplicates(tmp_path):
    frame, _ = measure(tmp_path, ["a dog", "a dog", "a cat"], ["x y"], ["z"])
    assert not frame["near_duplicate"].any()


def test_the_prompt_belongs_to_the_text(tmp_path):
    frame, _ = measure(tmp_path, ["yes", "Yes!", "Yes."], ["x"], ["z"], prompts=["a?", "b?", "A"])
    assert frame.filter("near_duplicate")["row"].to_list() == [2]


def test_a_leak_is_taken_from_the_earlier_split(tmp_path):
    frame, of_each = measure(
        tmp_path, ["one", "Two!", "three", "four"], ["two", "five", "FIVE", "six"], ["five.", "seven"]
    )
    assert frame.filter("leaked").select("split", "row").rows() == [("train", 1), ("valid", 1), ("valid", 2)]
    of_splits = of_each({split: ~leaked for split, leaked in of_each.leaked.items()})
    assert of_splits["leak_share"].to_list() == [0.25, 0.5, 0]
    assert of_splits["num_texts"].to_list() == [3, 2, 2]
    assert of_splits["kept_share"].to_list() == [0.75, 0.5, 1]


def test_tokens_of_a_text(tmp_path):
    train = ["a b c d", "no no no no no no no no", "x y z x y z x y z x y z", "a b c d e f g h"]
    frame, _ = measure(tmp_path, train, ["a new word"], ["b"], prompts=["b c", None, None, None])
    assert frame["num_tokens"].to_list()[:4] == [2 + 1 + 2 + 4, 2 + 8, 2 + 12, 2 + 8]
    assert frame["top_share"].to_list()[:4] == [None, 1, pytest.approx(1 / 3), 1 / 8]
    # Six trigrams, all alike; ten, three of them different; six, all different.
    assert frame["repeated_share"].to_list()[:4] == [None, pytest.approx(5 / 6), pytest.approx(0.7), 0]


def test_unknown_words_are_not_the_same_word(tmp_path):
    frame, _ = measure(tmp_path, ["a b c"] * 2, ["q w e r t y u i o p a"], ["b"])
    assert frame.filter(pl.col("split") == "valid")["top_share"].to_list() == [1]  # of the one known token
    assert frame.filter(pl.col("split") == "valid")["num_unknown"].to_list() == [10]


def test_what_a_held_out_text_lacks_is_not_held_against_it(tmp_path):
    frame, of_each = measure(tmp_path, ["a b c"] * 2, ["q a"], ["b"])
    assert frame["unk_share"].to_list() == [0, 0, None, None]
    of_splits = of_each()
    assert of_splits["unk_rate"].to_list() == [0, 0.5, 0]
    assert of_splits["coverage"].to_list() == [1, 0.5, 1]


def test_labels_of_the_splits(tmp_path):
    _, of_each = measure(tmp_path, ["a b", "b c", "c a", "a c"], ["b"], ["c"], labels=["x", "x", "x", "y"])
    of_splits = of_each()
    assert of_splits["top_label_share"].to_list() == [0.75, None, None]
    assert of_splits["label_distance"].to_list() == [0, None, None]
    assert label_distance({"x": 0.75, "y": 0.25}, {"x": 0.25, "z": 0.75}) == pytest.approx(0.75)
    assert label_distance({"x": 1.0}, {}) is None


def test_facts_are_numbers_that_survive_json(tmp_path):
    frame, of_each = measure(tmp_path, ["a b", "!"], ["b"], ["c"])
    rows = of_each().to_dicts()
    assert json.loads(json.dumps(rows)) == rows
    assert not any(isinstance(value, float) and math.isnan(value) for row in frame.rows() for value in row)
