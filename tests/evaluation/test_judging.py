"""Texts against texts: what is read, how it is cut, what is said when it falls short; and published figures."""

import json
import os
import random
import time
from pathlib import Path

import pytest
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from gdcore.errors import UserError
from gdcore.evaluation import protocol
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Mean
from gdcore.evaluation.judging import Judge, evaluate_texts
from gdcore.evaluation.text_files import read_texts
from gdcore.evaluation.words import split, splitter_for
from gdcore.metrics import bleu

TEXTS = [
    f"The {a} cat {b} the {c} mat." for a in ("big", "red") for b in ("saw", "ate") for c in ("old", "new", "flat")
]
SAMPLES = [f"The {a} cat saw the {c} mat ." for a in ("big", "blue") for c in ("old", "odd")]


def test_every_figure_has_an_interval_and_the_counts_say_what_was_judged() -> None:
    result = evaluate_texts(SAMPLES, TEXTS, TEXTS[:6])
    assert result["protocol"].startswith("gdflow@")
    assert result["counts"] == {
        "samples": 4,
        "references": 12,
        "train": 6,
        "empty": 0,
        "tokens": 32,
        "words": "words and punctuation",
    }
    expected = {f"{kind}bleu_{n}" for kind in ("", "self_") for n in (2, 3, 4, 5)} | {
        f"distinct_{n}" for n in (1, 2, 3, 4)
    }
    expected |= {"unique", "copy_rate", "copy_rate_floor", "vocabulary_coverage", "length"}
    assert result["metrics"].keys() >= expected  # and whatever else the protocol holds
    for figure in result["metrics"].values():
        assert set(figure) == {"value", "low", "high"}
        assert figure["low"] <= figure["value"] <= figure["high"]
    # Case is ignored, and a full stop glued to its word is the same as one that is not.
    assert result["metrics"]["copy_rate"]["value"] == 1 / 4
    assert result == evaluate_texts(SAMPLES, TEXTS, TEXTS[:6])


def test_too_few_texts_are_judged_and_said_to_be_too_few() -> None:
    warnings = evaluate_texts([*SAMPLES, " "], TEXTS)["warnings"]
    assert "5 samples of the 10,000 that the protocol gdflow asks for" in warnings
    (of_samples,) = (each for each in warnings if each.endswith(": defined on 2,000 samples, taken on 5"))
    assert {"self_bleu", "unique", "vocabulary_coverage"} <= set(of_samples.split(":")[0].split(", "))
    (of_tokens,) = (each for each in warnings if each.endswith(": defined on 20,000 tokens, taken on 32"))
    assert "distinct" in of_tokens.split(":")[0].split(", ")
    assert "1 samples are empty; they score 0" in warnings


def test_an_empty_sample_counts_and_an_empty_reference_does_not() -> None:
    whole, with_empty = evaluate_texts(SAMPLES, TEXTS), evaluate_texts([*SAMPLES, ""], [*TEXTS, "", "  "])
    assert with_empty["counts"]["references"] == 12
    assert with_empty["metrics"]["bleu_2"]["value"] == pytest.approx(whole["metrics"]["bleu_2"]["value"] * 4 / 5)


def test_of_too_many_texts_so_many_are_drawn_and_always_the_same() -> None:
    few = protocol.load("gdflow").model_copy(update={"samples": 3, "references": 5})
    first, second = Judge(TEXTS, None, few), Judge(TEXTS, None, few)
    assert len(first.references) == 5
    assert first(SAMPLES)["counts"]["samples"] == 3
    assert first(SAMPLES) == second(SAMPLES)


@pytest.mark.parametrize(("samples", "references", "side"), [([""], ["a"], "samples"), (["a"], [" "], "references")])
def test_no_text_at_all(samples: list[str], references: list[str], side: str) -> None:
    with pytest.raises(UserError, match=f"the {side} hold no text"):
        evaluate_texts(samples, references)


def test_unknown_protocol_names_those_there_are() -> None:
    with pytest.raises(UserError, match=r"no protocol named 'texgen'; there are gdflow, gfs, .*texygen-paper"):
        evaluate_texts(SAMPLES, TEXTS, protocol="texgen")
    assert {"gdflow", "gfs", "relgan", "textgan", "texygen-fast", "texygen-paper"} <= set(protocol.names())


@pytest.mark.parametrize("name", protocol.names())
def test_every_protocol_has_an_id_of_its_own_and_judges(name: str) -> None:
    judged = evaluate_texts(SAMPLES, TEXTS, TEXTS[:6], name)
    assert judged["protocol"] == protocol.load(name).id
    assert judged["protocol"].startswith(f"{name}@")
    measured = judged["metrics"].keys()
    assert {"bleu_4", "self_bleu_4"} <= measured if "bleu" in protocol.load(name).metrics else "length" in measured


def test_a_protocol_of_ones_own_says_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("like: texygen-fast\nreferences: 7\nmetrics: {self_bleu: null, length: {}}\n")
    own, like = protocol.load(str(path)), protocol.load("texygen-fast")
    assert (own.name, own.references, own.words) == ("mine", 7, like.words)
    assert own.metrics.keys() == (like.metrics.keys() - {"self_bleu"}) | {"length"}
    assert evaluate_texts(SAMPLES, TEXTS, protocol=str(path))["counts"]["references"] == 7


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("like: texgen", "like: no protocol named 'texgen'; there are gdflow"),
        ("like: gdflow\nreferences: 0", "references: Input should be greater than or equal to 1, not 0"),
        ("like: gdflow\nreference: 5", "reference: no such key; did you mean references"),
        ("like: gdflow\nmetrics: {blue: {}}", "no metric named 'blue'"),
        ("about: [", "is not YAML"),
        ("words", "expected settings"),
        (None, "No such file"),
    ],
)
def test_a_protocol_of_ones_own_that_is_wrong(content: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=told):
        protocol.load(str(path))


def test_a_protocols_id_changes_with_whatever_moves_a_figure_and_with_nothing_else() -> None:
    fast = protocol.load("texygen-fast")
    assert fast.model_copy(update={"about": "another sentence"}).id == fast.id
    for change in ({"draw": "random"}, {"lowercase": True}, {"references": 501}, {"metrics": {}}):
        assert fast.model_copy(update=change).id != fast.id


def test_published_code_takes_the_first_texts_of_a_file() -> None:
    few = protocol.load("relgan").model_copy(update={"samples": 2, "references": 3})
    judge = Judge(TEXTS, None, few)
    assert judge.references == split(TEXTS[:3], "nltk")
    assert judge(SAMPLES)["metrics"] == judge(SAMPLES[:2])["metrics"]


@pytest.mark.parametrize(
    ("name", "hypotheses", "references", "lowercase"),
    [("relgan", 100, None, False), ("texygen-fast", None, 500, False), ("textgan", 200, None, True)],
)
def test_published_codes_bleu_is_what_nltk_says(
    name: str, hypotheses: int | None, references: int | None, lowercase: bool
) -> None:
    """As the published code goes about it, cell by cell: its tokens, its case, its first so many lines."""
    rng = random.Random(0)
    words = ["A", "a", "man", "Dog", "dog", "rides", "it's", "near,", "the", "sea."]
    samples, real = ([" ".join(rng.choices(words, k=rng.randint(3, 9))) for _ in range(n)] for n in (210, 510))
    tokenizer = NLTKWordTokenizer()
    cut = [[tokenizer.tokenize(text.lower() if lowercase else text) for text in texts] for texts in (samples, real)]
    scored = range(0, len(cut[0][:hypotheses]), 50)
    expected = [
        sentence_bleu(cut[1][:references], cut[0][row], (1 / 3,) * 3, SmoothingFunction().method1) for row in scored
    ]
    judge = Judge(real, None, name)
    config = judge.protocol.metrics["bleu"]
    units = split([text.lower() if lowercase else text for text in samples[: judge.protocol.samples]], judge.how)
    measured = bleu.score(bleu.Config.model_validate(config.model_dump()), Evidence(units, judge.references))["bleu_3"]
    assert isinstance(measured, Mean)
    assert len(measured.values_N) == min(hypotheses or 210, 210)
    assert measured.values_N[::50].tolist() == expected


def test_bleu_of_the_first_samples_alone() -> None:
    few = protocol.load("textgan")
    few = few.model_copy(update={"metrics": {"bleu": few.metrics["bleu"].model_copy(update={"size": 1})}})
    first = evaluate_texts(SAMPLES, TEXTS, protocol=few)["metrics"]["bleu_2"]["value"]
    assert first == evaluate_texts(SAMPLES[:1], TEXTS, protocol=few)["metrics"]["bleu_2"]["value"]


def cautions(samples: list[str], references: list[str], name: str) -> str:
    return "\n".join(evaluate_texts(samples, references, protocol=name)["warnings"])


def test_text_without_spaces_under_a_protocol_for_words() -> None:
    chinese = ["我喜歡喝茶", "他不喝咖啡"], ["我喜歡喝咖啡", "他喝茶"]
    assert "puts no spaces between words" in cautions(*chinese, "texygen-paper")
    assert "spaces" not in cautions(*chinese, "gdflow")
    assert "spaces" not in cautions(SAMPLES, TEXTS, "texygen-paper")


def test_the_self_bleu_of_a_single_text_is_no_diversity() -> None:
    assert "single sample" in cautions(SAMPLES[:1], TEXTS, "texygen-paper")
    assert "all samples but one are empty" in cautions([SAMPLES[0], "", ""], TEXTS, "texygen-paper")
    assert "diversity" not in cautions(SAMPLES, TEXTS, "texygen-paper")


def test_sides_that_do_not_meet() -> None:
    assert "no word in common" in cautions(["un petit chat", "sur le tapis"], TEXTS, "gdflow")
    assert "no word in common" not in cautions(SAMPLES, TEXTS, "gdflow")
    shouted, quiet = [text.upper() for text in TEXTS], [text.lower() for text in SAMPLES]
    assert "the samples hold no capital letter" in cautions(quiet, shouted, "gfs")
    assert "the references hold no capital letter" in cautions(shouted, quiet, "relgan")
    assert "capital" not in cautions(quiet, shouted, "texygen-paper")


def test_samples_that_are_the_references() -> None:
    assert "12 samples are references word for word" in cautions(TEXTS, TEXTS, "gdflow")
    assert "references word for word" not in cautions(SAMPLES, TEXTS, "gdflow")


def test_text_without_spaces_is_judged_by_characters() -> None:
    result = evaluate_texts(["我喜歡喝茶", "他不喝咖啡"], ["我喜歡喝咖啡", "他喝茶"])
    assert result["counts"]["words"] == "characters (the text puts no spaces between words)"
    assert result["counts"]["tokens"] == 10
    assert result["metrics"]["bleu_2"]["value"] > 0.5


def test_words() -> None:
    assert splitter_for(["ein Haus", "二"]) == "words"
    assert split(["It's «fine», isn’t it?  (yes)"], "words") == [
        ["It's", "«", "fine", "»", ",", "isn’t", "it", "?", "(", "yes", ")"]
    ]
    assert split(["मैं हिन्दी पढ़ता हूँ।"], "words") == [["मैं", "हिन्दी", "पढ़ता", "हूँ", "।"]]  # vowel signs stay inside


def test_the_short_way_through_nltks_tokeniser_gives_the_same_words() -> None:
    rng = random.Random(0)
    texts = ["".join(rng.choice("ab ,.'-\"(A") for _ in range(rng.randint(0, 14))) for _ in range(1000)]
    texts += ["".join(rng.choice("ab ,. A") for _ in range(rng.randint(0, 14))) for _ in range(1000)]
    texts += ["I cannot, gonna go .", "lemme see..", ",", "a,", ",a", "", " ."]
    tokenizer = NLTKWordTokenizer()
    assert split(texts, "nltk") == [tokenizer.tokenize(text) for text in texts]


@pytest.mark.bench_data
@pytest.mark.skipif("GDFLOW_BENCH_DATA" not in os.environ, reason="GDFLOW_BENCH_DATA is unset")
def test_texygen_paper_reproduces_the_published_samples_figures() -> None:
    """48 cells within .002 in ten seconds: sentence BLEU and leave-one-out self-BLEU, orders 2 to 5, six models."""
    data = Path(os.environ["GDFLOW_BENCH_DATA"])
    golden = json.loads((Path(__file__).parents[1] / "golden" / "texygen_paper.json").read_text())
    begun = time.process_time()
    judge = Judge(read_texts(data / "coco" / "test.txt"), protocol="texygen-paper")
    for model, expected in golden.items():
        metrics = judge(read_texts(data / "published_samples" / f"texygen_{model}.txt"))["metrics"]
        found = [metrics[f"{kind}bleu_{n}"]["value"] for kind in ("", "self_") for n in (2, 3, 4, 5)]
        assert found == pytest.approx(expected, abs=0.002), model
    assert time.process_time() - begun < 10


def test_answers_are_drawn_as_the_samples_are() -> None:
    texts = [f"answer {i}" for i in range(20)]
    house = protocol.load("gdflow")
    few = house.model_copy(update={"samples": 5, "metrics": {"exact_match": house.metrics["exact_match"]}})
    judge = Judge(TEXTS, None, few)
    own = judge(texts, answers=[[text.upper(), "another"] for text in texts])
    assert (own["counts"]["samples"], own["metrics"]["exact_match"]["value"]) == (5, 1)
    assert judge(texts, answers=[[text] for text in [*texts[1:], ""]])["metrics"]["exact_match"]["value"] == 0
    assert judge(texts)["metrics"] == {}
