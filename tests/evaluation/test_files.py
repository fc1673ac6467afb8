"""`gdflow evaluate` of files: rows of samples and real text, labels, and whatever a file may hold."""

import json
import random
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gdcore.errors import UserError
from gdcore.evaluation import protocol
from gdcore.evaluation.breakdown import FEWEST, by_label, nll_by_label
from gdcore.evaluation.document import schema
from gdcore.evaluation.files import FEW, judge_files, make, summary, write
from gdcore.evaluation.intervals import Ratio, Sampling
from gdcore.evaluation.side_by_side import read_side, side_by_side
from gdcore.report import file_table

NOUNS = ["cat", "dog", "bird", "fish", "horse", "house", "tree", "river"]
VERBS = ["sees", "eats", "likes", "finds"]
LIGHT = "relgan"
"""A protocol without the heavier metrics."""


def sentence(rng: random.Random, nouns: list[str] = NOUNS) -> str:
    return f"the {rng.choice(nouns)} {rng.choice(VERBS)} the {rng.choice(nouns)} and the {rng.choice(nouns)} ."


def lines(path: Path, number: int, seed: int) -> Path:
    rng = random.Random(seed)
    path.write_text("".join(f"{sentence(rng)}\n" for _ in range(number)))
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    names = ("samples", "references", "train")
    return {name: lines(tmp_path / f"{name}.txt", 120, seed) for seed, name in enumerate(names)}


def counts(evaluation: dict, model: str) -> dict:
    return next(row["counts"] for row in evaluation["rows"] if row["model"] == model)


def test_real_text_comes_from_the_training_file_and_is_then_not_looked_for_in_it(files: dict[str, Path]) -> None:
    judged = judge_files(**files, protocol=LIGHT)
    real, samples = counts(judged, "real"), counts(judged, "samples")
    assert (samples["samples"], samples["references"], samples["train"]) == (100, 120, 120)
    assert real["samples"] == real["from_train"] == 100  # as many as samples: figures of a set move with its size
    assert (real["references"], real["train"]) == (120, None)  # the other 20 are too few to look for copies in
    assert judged["splits"] == {"samples": 120, "references": 120, "train": 120}
    assert {row["protocol"] for row in judged["rows"]} == {judged["protocol"]} == {protocol.load(LIGHT).id}


@pytest.mark.parametrize("train", [None, FEW - 1])
def test_without_training_text_to_spare_references_are_halved(files: dict[str, Path], train: int | None) -> None:
    files["train"] = None if train is None else lines(files["train"], train, 9)
    judged = judge_files(**files, protocol=LIGHT)
    real = counts(judged, "real")
    assert (real["samples"], real["references"], real["train"]) == (60, 60, train)
    assert "60 references held against the other 60" in judged["rows"][0]["warnings"][0]


def test_a_single_reference_has_no_row_of_real_text(files: dict[str, Path]) -> None:
    files["references"].write_text("the cat eats .\n\n")
    judged = judge_files(files["samples"], files["references"], protocol=LIGHT)
    assert [row["model"] for row in judged["rows"]] == ["samples"]
    assert file_table.render(judged).row_count > 5


def test_what_is_written_and_passed_on(files: dict[str, Path], tmp_path: Path) -> None:
    judged = judge_files(**files, protocol=LIGHT)
    write(judged, tmp_path / "new" / "folder")
    assert json.loads((tmp_path / "new" / "folder" / "evaluation.json").read_text()) == judged
    jsonschema.validate(judged, schema())
    page = (tmp_path / "new" / "folder" / "report.html").read_text()
    assert "BLEU-4" in page
    assert "Selected" not in page
    told = summary(judged)
    assert told["counts"] == counts(judged, "samples")
    assert told["metrics"] == judged["rows"][1]["metrics"]


def labelled(path: Path, counts: dict[str, int], seed: int) -> Path:
    rng = random.Random(seed)
    nouns = {label: NOUNS[2 * i : 2 * i + 2] for i, label in enumerate(counts)}
    texts = [{"text": sentence(rng, nouns[label]), "kind": label} for label in counts for _ in range(counts[label])]
    rng.shuffle(texts)
    path.write_text("".join(f"{json.dumps(each)}\n" for each in texts))
    return path


def test_labels_each_against_their_own_references(tmp_path: Path) -> None:
    samples = labelled(tmp_path / "s.jsonl", {"a": 200, "b": 60, "rare": FEWEST - 1}, 0)
    references = labelled(tmp_path / "r.jsonl", {"a": 100, "b": 80, "rare": 90}, 1)
    labels = judge_files(samples, references, protocol=LIGHT, label_column="kind")["labels"]
    assert [(each["label"], each["samples"], each["references"]) for each in labels] == [
        ("a", 200, 100),
        ("b", 60, 80),
        ("rare", 49, 90),
    ]
    assert labels[2]["metrics"] == {}
    assert labels[2]["note"] == "fewer than 50 texts"
    assert labels[0]["metrics"].keys() == {"bleu_4", "self_bleu_4", "distinct_2", "unique", "length"}
    jsonschema.validate(judge_files(samples, references, protocol=LIGHT, label_column="kind"), schema())
    assert labels[0]["metrics"]["bleu_4"]["value"] > 0.8
    # Held to the other label's references the same texts fare worse.
    texts = [json.loads(line) for line in samples.read_text().splitlines() if '"a"' in line]
    swapped = [json.loads(line)["text"] for line in references.read_text().splitlines() if '"b"' in line]
    alone = by_label([each["text"] for each in texts], ["a"] * len(texts), swapped, None, protocol.load(LIGHT))
    assert alone[0]["metrics"]["bleu_4"]["value"] < 0.4


def test_labels_against_references_that_have_none(tmp_path: Path, files: dict[str, Path]) -> None:
    samples = labelled(tmp_path / "s.jsonl", {"a": 60, "b": 60}, 0)
    judged = judge_files(samples, files["references"], protocol=LIGHT, label_column="kind")
    assert {each["references"] for each in judged["labels"]} == {120}
    table = file_table.render_labels(judged)
    assert table is not None
    assert table.row_count == 2


def test_all_labels_are_measured_at_one_size(tmp_path: Path) -> None:
    """Among more texts self-BLEU is higher: the same texts thrice over must not look less diverse for being many."""
    rng = random.Random(0)
    texts = [sentence(rng) for _ in range(400)]
    labels = ["few"] * 80 + ["many"] * 320
    of = {each["label"]: each["metrics"] for each in by_label(texts, labels, texts, None, protocol.load(LIGHT))}
    assert of["few"]["self_bleu_4"]["value"] == pytest.approx(of["many"]["self_bleu_4"]["value"], abs=0.06)
    assert of["few"]["unique"]["value"] == pytest.approx(of["many"]["unique"]["value"], abs=0.06)


def test_a_likelihood_by_label() -> None:
    import numpy as np

    labels = ["a", "b"] * FEWEST + ["rare"]
    ratio = Ratio(np.array([1.0, 6.0] * FEWEST + [99.0]), np.array([1.0, 2.0] * FEWEST + [1.0]))
    found = nll_by_label(ratio, labels, Sampling(resamples=100))
    assert {label: figure["value"] for label, figure in found.items()} == {"a": 1.0, "b": 3.0}


@pytest.mark.parametrize("how", ["我喜歡喝茶和咖啡", "แมวชอบดื่มนมทุกวัน", "ねこはまいにちみずをのむ"])
def test_every_metric_works_on_characters(tmp_path: Path, how: str) -> None:
    rng = random.Random(0)

    def text() -> str:
        return "".join(rng.choice(how) for _ in range(rng.randint(2, 12)))

    paths = [tmp_path / name for name in ("s", "r", "t")]
    for path in paths:
        path.write_text("".join(f"{text()}\n" for _ in range(40)))
    judged = judge_files(*paths, protocol="gdflow")
    assert counts(judged, "samples")["words"].startswith("characters")
    metrics = judged["rows"][-1]["metrics"]
    assert metrics["bleu_2"]["value"] > 0.3
    assert metrics["nearest"]["value"] < 1
    assert metrics["longest_copy"]["value"] > 1
    shown = next(each for each in judged["rows"][-1]["exhibits"] if "nearest" in each["title"])
    assert all(" " not in row[1] for row in shown["rows"])


ODD = ["", " ", "?!", "…", "a", "A b.", "\u200b", "é" * 300, "<unk> <unk>", "a\u2028b", "\x1b[31m", "𝔘𝔫𝔦", "我", "0"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    samples=st.lists(st.sampled_from(ODD), min_size=1, max_size=6),
    references=st.lists(st.sampled_from(ODD), min_size=1, max_size=6),
    train=st.none() | st.lists(st.sampled_from(ODD), min_size=1, max_size=6),
    name=st.sampled_from(protocol.names()),
)
def test_odd_texts_are_judged_or_refused_in_words(
    tmp_path: Path, samples: list[str], references: list[str], train: list[str] | None, name: str
) -> None:
    paths = {"samples": samples, "references": references} | ({} if train is None else {"train": train})
    for side, texts in paths.items():
        (tmp_path / side).write_text("\n".join(texts) + "\n", encoding="utf-8")
    given = {side: tmp_path / side for side in paths}
    if not all(any(map(str.strip, texts)) for texts in paths.values()):
        with pytest.raises(UserError, match="no text"):
            judge_files(**given, protocol=name)
        return
    judged = judge_files(**given, protocol=name)
    for row in judged["rows"]:
        for key, figure in row["metrics"].items():
            assert figure["low"] <= figure["value"] <= figure["high"], key
    json.dumps(judged, allow_nan=False)
    file_table.render(judged)
    assert len(list(file_table.render_exhibits(judged))) <= len(judged["rows"][-1]["exhibits"])


def test_a_folder_that_cannot_be_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made a folder"):
        make(tmp_path / "file")


def test_figures_against_other_references_do_not_compare(files: dict[str, Path], tmp_path: Path) -> None:
    for name, references in {"a": files["references"], "b": files["train"]}.items():
        write(judge_files(files["samples"], references, protocol=LIGHT), tmp_path / name)
    with pytest.raises(UserError, match="judged against different real texts"):
        side_by_side(*([read_side(str(tmp_path / name), tmp_path)] for name in "ab"))


def test_one_reference_is_no_cloud(files: dict[str, Path]) -> None:
    files["references"].write_text("the cat eats .\n")
    judged = judge_files(files["samples"], files["references"])["rows"][-1]
    assert not {"frechet", "mauve", "mmd", "precision"} & judged["metrics"].keys()
    assert any("no cloud" in warning for warning in judged["warnings"])
