"""The validation stage: what is kept, what is not and why, and when a corpus is refused."""

import hashlib
import json
import random
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from small_corpus import write_corpus

from gdcore.errors import UserError
from gdcore.facts import ValidationConfig
from gdcore.tokens import SPLITS, TokenizerConfig, build_tokens
from tasks.expectations import corpus as of_corpus
from tasks.expectations import similar as of_similar
from tasks.expectations import splits as of_splits
from tasks.expectations import tokens as of_tokens
from tasks.expectations.judge import validate
from tasks.expectations.quarantine import with_texts

SENTENCE = "the a small old red dog cat bird man tree house sees finds likes near under with and quickly today"
WORDS = SENTENCE.split()
RNG = random.Random(0)
CLEAN = list(dict.fromkeys(" ".join(RNG.choices(WORDS, k=RNG.randint(4, 10))) + "." for _ in range(900)))
TRAIN, VALID, TEST = CLEAN[:600], CLEAN[600:720], CLEAN[720:840]


def run(
    tmp_path, train=TRAIN, valid=VALID, test=TEST, *, context=16, batch_size=32, kind="auto", config=None, **options
):
    """Tokens and validation; the verdict as {rule: result}."""
    corpus, tokens, out = (tmp_path / name for name in ("corpus", "tokens", "validation"))
    write_corpus(corpus, train, valid, test, **options)
    list(build_tokens(TokenizerConfig(kind=kind), corpus, tokens))
    progress = list(validate(config or ValidationConfig(), corpus, tokens, context, batch_size, out))
    assert progress[-1].done == progress[-1].total == len(train) + len(valid) + len(test)
    return out, read_rules(out)


def read_rules(out):
    verdict = json.loads((out / "verdict.json").read_text())
    return {result["rule"]: result for suite in verdict["suites"] for result in suite["results"]}


def test_a_clean_corpus_passes_whole(tmp_path):
    out, rules = run(tmp_path)
    assert all(result["success"] for result in rules.values())
    assert json.loads((out / "verdict.json").read_text())["success"] is True
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["read"], summary["used"], summary["quarantined"]) == (840, 840, 0)
    assert [len(np.load(out / f"kept_{split}.npy")) for split in ("train", "valid", "test")] == [600, 120, 120]
    assert pl.read_parquet(out / "quarantine.parquet").height == 0


BAD = {
    "not_text": "---- ==== ++++ 5 ////",
    "mostly_digits": "abcd 1234567890",
    "foreign_script": "собака видит дом",
    "near_duplicate": TRAIN[0].upper(),
    "leaked": TEST[0].rstrip("."),
    "too_many_tokens": " ".join(WORDS),
    "mostly_unknown": "zyx wvu tsr the",
    "one_word_over_and_over": "dog dog dog dog dog dog dog dog cat",
    "repeats_itself": "the red dog the red dog the red dog the red dog",
    "too_long": "sees " * 200 + "dog",
}


@pytest.fixture(scope="module")
def dirty(tmp_path_factory):
    """A clean corpus with one bad text of each kind, and its validation."""
    tmp_path = tmp_path_factory.mktemp("dirty")
    config = ValidationConfig(max_characters=500)
    return tmp_path / "corpus", *run(tmp_path, [*TRAIN, *BAD.values()], config=config)


@pytest.mark.parametrize("rule", BAD)
def test_each_rule_finds_its_text(dirty, rule):
    _, out, rules = dirty
    quarantine = {row["record"]: row for row in pl.read_parquet(out / "quarantine.parquet").iter_rows(named=True)}
    row = quarantine[BAD[rule][:500]]
    assert rule in row["rules"]
    assert row["reason"] == row["rules"][0]
    assert (row["source"], row["line"]) == ("train.txt", row["row"] + 1)
    assert rules[rule]["success"], "one text in six hundred is no reason to stop"
    assert rules[rule]["unexpected_count"] >= 1
    assert BAD[rule][:190] in rules[rule]["examples"][0]["text"] or rules[rule]["unexpected_count"] > 1


def test_read_is_used_and_quarantined(dirty):
    corpus, out, _ = dirty
    summary = json.loads((out / "summary.json").read_text())
    assert summary["read"] == summary["used"] + summary["quarantined"] == 840 + len(BAD)
    assert summary["quarantined"] == sum(summary["reasons"].values()) == len(BAD)
    kept = np.load(out / "kept_train.npy")
    assert kept.dtype == np.int64
    assert kept.tolist() == list(range(600))
    assert pl.read_parquet(corpus / "train.parquet").height == 600 + len(BAD)


def test_every_rule_of_single_texts_has_a_text_that_breaks_it():
    c = ValidationConfig()
    rules = [*of_corpus.rules(c), *of_tokens.rules(c, 16)]
    of_texts = {rule.meta["rule"] for rule in rules if "quantile" not in rule.configuration.type}
    assert of_texts - {"missing", "too_short"} == set(BAD)
    names = [rule.meta["rule"] for rule in (*rules, *of_similar.rules(c), *of_splits.rules(c, 1))]
    assert len(names) == len(set(names))


def test_the_same_corpus_gives_the_same_bytes(dirty, tmp_path):
    corpus, out, _ = dirty
    config = ValidationConfig(max_characters=500)
    list(validate(config, corpus, corpus.parent / "tokens", 16, 32, tmp_path / "again"))
    assert digests(out) == digests(tmp_path / "again")


def digests(directory):
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_data_docs_load_nothing(dirty):
    page = (dirty[1] / "data_docs" / "index.html").read_text()
    assert not re.findall(r"(?:src|href|url|@import|action)\s*[=(:]", page)
    assert "http" not in page
    assert "<script" not in page
    assert "mostly_digits" in page
    assert "train.txt:602" in page
    assert "values must be" in page  # Great Expectations' own words


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 601}, r"smaller_than_a_batch: expected train_texts ≥ 601, observed train 600; give more text"),
        (
            {"context": 6},
            r"too_many_tokens: expected num_tokens ≤ 6 in at least 0\.9 of texts, observed 0; "
            r"first: train\.txt:1 '.*' \(num_tokens \d+\).*larger context",
        ),
        ({"train": [*TRAIN[:100], *["12 + 34 = 46"] * 100]}, r"not_text: .*; first: train\.txt:101 '12 \+ 34 = 46'"),
        ({"test": [f"zyx{i} wvu{i} tsr" for i in range(120)], "kind": "word"}, r"vocabulary_coverage: .*test 0.*bpe"),
        ({"test": [text.upper() for text in TRAIN[:300]]}, r"leakage: expected leak_share ≤ 0\.2, observed train 0\.5"),
        ({"train": [*TRAIN[:100], *["ABC def"] * 200, *["abc def!"] * 300]}, r"kept_share: .*observed train 0\.5"),
    ],
)
def test_a_critical_rule_ends_the_run_in_words(changes, message, tmp_path):
    if "ABC def" in changes.get("train", []):
        changes = {**changes, "config": ValidationConfig(min_kept_share=0.6)}
    with pytest.raises(UserError, match=message):
        run(tmp_path, **changes)
    assert json.loads((tmp_path / "validation" / "verdict.json").read_text())["success"] is False
    assert (tmp_path / "validation" / "data_docs" / "index.html").exists()


def test_a_warning_is_only_shown(tmp_path):
    out, rules = run(tmp_path, valid=VALID[:50], labels=["x"] * 590 + ["y"] * 10)
    failed = {name for name, result in rules.items() if not result["success"]}
    assert failed == {"small_held_out", "label_balance"}
    assert rules["small_held_out"]["severity"] == "warning"
    assert rules["small_held_out"]["observed"] == {"valid": 50, "test": 120}
    assert rules["label_balance"]["threshold"] == "top_label_share ≤ 0.9"
    assert json.loads((out / "verdict.json").read_text())["success"] is True


def test_near_duplicates_stay_where_wanted(tmp_path):
    _, rules = run(tmp_path, [*TRAIN, TRAIN[0].upper()], config=ValidationConfig(keep_near_duplicates=True))
    assert rules["near_duplicate"]["unexpected_count"] == 0


LONG = " ".join(TRAIN[:3])
ALIKE = [LONG, f"{LONG} however", LONG.upper() + " AND", f"{TEST[0]} {TEST[1]} {TEST[2]} now"]
"""The second resembles the first, the third both, the fourth a text of test."""


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """A corpus with texts that are nearly the same, and its validation."""
    tmp_path = tmp_path_factory.mktemp("alike")
    test = [*TEST, " ".join(TEST[:3])]
    return tmp_path, *run(tmp_path, [*TRAIN, *ALIKE], test=test, context=64, config=ValidationConfig(similarity=0.8))


def test_similar_texts_go_with_the_ones_they_resemble(alike):
    _, out, rules = alike
    quarantine = pl.read_parquet(out / "quarantine.parquet")
    assert quarantine.select("row", "reason").rows() == [(601, "similar"), (602, "similar"), (603, "leaked_similar")]
    similar = pl.read_parquet(out / "similar.parquet")
    like = similar.select("split", "row", "source", "line", "like_split", "like_row", "like_source", "like_line").rows()
    assert like == [
        *[("train", row, "train.txt", row + 1, "train", 600, "train.txt", 601) for row in (601, 602)],
        ("train", 603, "train.txt", 604, "test", 120, "test.txt", 121),
    ]
    assert similar["text"].to_list() == [text[:200] for text in ALIKE[1:]]
    assert similar["like_text"].to_list() == [text[:200] for text in (LONG, LONG, " ".join(TEST[:3]))]
    assert similar["similarity"].is_between(0.8, 1, "left").all()
    assert [rules[name]["unexpected_count"] for name in ("near_duplicate", "similar", "leaked_similar")] == [0, 2, 1]
    assert rules["leakage"]["observed"]["train"] == round(1 / 604, 6)


def test_pairs_and_counts_stand_in_the_pages(alike):
    _, out, rules = alike
    example = rules["similar"]["examples"][0]
    assert (example["source"], example["line"]) == ("train.txt", 602)
    assert re.fullmatch(r"'.* however' \(0\.9\d\d like train\.txt:601 '.*'\)", example["text"])
    assert "like train.txt:601" in (out / "data_docs" / "index.html").read_text()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["reasons"] == {"similar": 2, "leaked_similar": 1}
    assert summary["read"] == summary["used"] + summary["quarantined"] == 840 + 1 + len(ALIKE)
    assert summary["compared_in_part"] == 0


def test_similar_texts_again_give_the_same_bytes(alike, tmp_path, monkeypatch):
    folder, out, _ = alike
    monkeypatch.setattr("gdcore.facts.BATCH_ROWS", 100)
    list(validate(ValidationConfig(similarity=0.8), folder / "corpus", folder / "tokens", 64, 32, tmp_path / "again"))
    assert digests(out) == digests(tmp_path / "again")


def test_train_keeps_similar_texts_where_wanted(alike, tmp_path):
    folder, _, _ = alike
    config = ValidationConfig(similarity=0.8, keep_near_duplicates=True)
    list(validate(config, folder / "corpus", folder / "tokens", 64, 32, tmp_path))
    assert json.loads((tmp_path / "summary.json").read_text())["reasons"] == {"leaked_similar": 1}


def test_similarity_is_not_looked_for_unless_asked(dirty):
    _, out, rules = dirty
    assert not {"similar", "leaked_similar"} & rules.keys()
    assert not (out / "similar.parquet").exists()


def test_a_missing_package_is_told_before_anything_is_measured(alike, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rensa", None)
    folder, _, _ = alike
    with pytest.raises(UserError, match=r"pip install 'gdflow\[minhash\]'"):
        next(validate(ValidationConfig(similarity=0.9), folder / "corpus", folder / "tokens", 64, 32, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def combined(*columns, joint=""):
    """Texts of one choice from each column; choices stand between slashes."""
    choices = [column.split("/") for column in columns]
    texts = (joint.join(map(RNG.choice, choices)) for _ in range(2000))
    return list(dict.fromkeys(" ".join(text.split()) for text in texts))


WRITING = {
    "Chinese": combined(
        "今天/昨天/明天/去年",
        "我们/他们/老师/妈妈",
        "去公园/吃火锅/看电影/学Python/买了3本书",
        "，天气很好。/，很高兴！",
    ),
    "Japanese": combined(
        "今日は/昨日は/明日は",
        "友達と/家族と/ひとりで",
        "公園に/海に/スーパーに",
        "行きました。/行きたいです。/行きますか？",
    ),
    "Thai": combined("วันนี้/เมื่อวาน/พรุ่งนี้", "เรา/เขา/แม่ของฉัน/ครู", "ไปตลาด/กินข้าวผัด/ดูหนัง/เรียนภาษาไทย", "กับเพื่อน/ที่บ้าน/คนเดียว"),
    "chat": combined(
        "hey/lol/omg/idk/😂😂/👍🏽",
        "later/today/rn",
        "see u at 8/that's wild/no way/can't wait 👀",
        "/🎉🎉🎉/❤️/xx",
        joint=" ",
    ),
}


@pytest.mark.parametrize("name", WRITING)
def test_the_defaults_suit_all_kinds_of_writing(name, tmp_path):
    texts, segmentation = WRITING[name], "spaced" if name == "chat" else "unspaced"
    valid, test, train = texts[:20], texts[20:40], texts[40:]
    _, rules = run(tmp_path, train, valid, test, context=40, batch_size=8, segmentation=segmentation)
    assert {rule for rule, result in rules.items() if not result["success"]} == {"small_held_out"}
    assert sum(result["unexpected_count"] for rule, result in rules.items() if rule != "small_held_out") <= 2


def test_texts_are_found_in_whatever_block_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gdcore.corpora.rows.BLOCK_ROWS", 3)
    for split in SPLITS:
        pl.DataFrame({"text": [f"{split} {i}" for i in range(8)]}).write_parquet(tmp_path / f"{split}.parquet")
    asked = [("test", 7), ("train", 0), ("train", 5), ("test", 2), ("train", 0), ("valid", 3)]
    rows = pl.DataFrame(asked, ["split", "row"], orient="row")
    assert with_texts(rows, tmp_path)["text"].to_list() == [f"{split} {row}" for split, row in asked]
    assert with_texts(rows, tmp_path, 5)["text"].to_list() == ["test ", "train", "train", "test ", "train", "valid"]
    assert with_texts(rows.clear(), tmp_path).is_empty()
