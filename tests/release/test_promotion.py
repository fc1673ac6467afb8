"""The rule, case by case; code lengths by hand; and two real bundles held to one another."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_bundle import exported, tokens
from small_corpus import write_corpus

from gdcore.errors import UserError
from gdcore.evaluation.intervals import Figure
from gdcore.release.code_length import END, Spelling, bits, fits
from gdcore.release.contest import hold, parity
from gdcore.release.held_out import held_out
from gdcore.release.promotion import CRITERIA, Contest, Limit, PromotionConfig, verdict
from gdcore.serving.session import Session


def figure(low: float, high: float) -> Figure:
    return {"value": (low + high) / 2, "low": low, "high": high}


def contest(low: float, high: float, better: Any = "lower") -> Contest:
    """A contest whose difference, challenger − champion, lies between `low` and `high`."""
    criterion = {"lower": "code_length", "higher": "mauve"}[better]
    sides = {"challenger": figure(1, 1), "champion": figure(1, 1), "difference": figure(low, high)}
    return {"criterion": criterion, "label": criterion, "better": better, **sides}


def limit(passed: bool) -> Limit:
    bound: Any = "at most"
    told = {"name": "copies", "label": "copies", "value": 0.2, "bound": bound, "limit": 0.1, "champion": None}
    return {**told, "passed": passed}  # pyright: ignore[reportReturnType]


FIRST: Contest = {**contest(0, 0), "champion": None, "difference": None}


@pytest.mark.parametrize(
    ("against", "limits", "promoted", "words"),
    [
        (FIRST, [limit(True)], True, "no champion to compare it with"),
        (FIRST, [limit(True), limit(False)], False, "copies is 0.2, allowed at most 0.1"),
        (contest(-0.2, -0.1), [], True, "beats the champion"),
        (contest(-0.2, -0.1), [limit(False)], False, "hard limit"),
        (contest(-0.2, 0.1), [], False, "cannot be told"),
        (contest(-0.2, 0.0), [], False, "cannot be told"),
        (contest(0.1, 0.2), [], False, "worse"),
        (contest(0.1, 0.2, "higher"), [], True, "beats the champion"),
        (contest(-0.2, -0.1, "higher"), [], False, "worse"),
        (contest(-0.1, 0.2, "higher"), [], False, "cannot be told"),
    ],
)
def test_the_rule(against: Contest, limits: list[Limit], promoted: bool, words: str) -> None:
    ruling = verdict(against, limits)
    assert ruling["promote"] is promoted
    assert words in ruling["reason"]


@pytest.mark.parametrize("wrong", [{"criterion": "loss"}, {"name": "Jokes!"}, {"protocol": "mine"}, {"mode": "maybe"}])
def test_a_setting_that_cannot_be_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PromotionConfig.model_validate(wrong)


def test_spelling_is_a_code_with_hand_made_frequencies() -> None:
    spelling = Spelling.learn(["aab B"])
    # Counts, one added: a 3, b 2, B 2, space 2, the other 252 bytes 1; a word ends as often as there is a space: 2.
    total = 3 + 2 + 2 + 2 + 252 + 2
    assert spelling.word("ab") == pytest.approx(-np.log2(3 / total) - 2 * np.log2(2 / total))
    assert 2.0**-spelling.byte_bits @ np.ones(END + 1) == pytest.approx(1), "no more words than there is room for"
    # Of four letters one is upper case: (1 + 1) / (4 + 2).
    assert spelling.case("aB, c") == pytest.approx(-np.log2(2 / 6) - 2 * np.log2(4 / 6))


@pytest.fixture(scope="module")
def bundle() -> Path:
    return exported() / "bundle"


def test_code_length_is_the_models_likelihood_and_what_its_tokeniser_loses(bundle: Path) -> None:
    session = Session(bundle)
    spelling = Spelling.learn(["some text or other"])
    known = ["bal bam ban", "dil dim"]
    (nll, _) = session.score(known)
    plain = bits(session, known, None, spelling)
    assert plain[0] == pytest.approx(nll * 4 / np.log(2)), "three words and the end"
    unknown = "bal qwerty ban"
    told = bits(session, [unknown], None, spelling)[0]
    assert told == pytest.approx(session.score([unknown])[0] * 4 / np.log(2) + spelling.word("qwerty"))
    # A tokeniser that folds case reads the same ids, and pays for the letters.
    session.tokenizer.config = session.tokenizer.config | {"lowercase": True}
    folded = bits(session, known, None, spelling)
    assert folded == pytest.approx(plain + [spelling.case(text) for text in known])


def test_a_smaller_vocabulary_does_not_make_text_cheap(bundle: Path) -> None:
    """A model that calls every word unknown has a splendid NLL per token, and a long code."""
    session = Session(bundle)
    spelling = Spelling.learn(["bal bam ban"])
    rich, poor = ["bal bam ban bar"], ["zzz yyy xxx www"]
    assert bits(session, poor, None, spelling)[0] > session.score(poor)[0] * 5 / np.log(2) + 4 * 8
    assert np.isfinite(bits(session, rich, None, spelling)).all()


def test_texts_that_do_not_fit_are_left_out(bundle: Path) -> None:
    session = Session(bundle)
    short, long = "bal " * 22, "bal " * 23
    assert fits(session, [short, long], None) == [True, False], "24 tokens with BOS and EOS"


def test_text_that_either_model_learnt_from_is_left_out(bundle: Path, tmp_path: Path) -> None:
    sessions = {"challenger": Session(bundle), "champion": Session(bundle)}
    test = ["bal bam", "dil dim", "fol fom", "gul gum", "kal kam", "bal " * 40]
    today = write_corpus(tmp_path / "today", ["kel kem", "Dil  DIM."], ["ker kes"], test)
    other = write_corpus(tmp_path / "other", ["gul gum"], ["fol fom"], ["x"])
    held = held_out(100, sessions, {"challenger": today, "champion": other}, today, 0)
    assert held.texts == ["bal bam", "kal kam"]
    assert held.left_out == {
        "stand in the challenger's training text": 1,
        "stand in the champion's training text": 2,
        "too long for one of the models": 1,
    }
    assert held.readable == {"challenger": 2 / 3, "champion": 2 / 3}
    assert held_out(2, sessions, {}, today, 0).left_out["not drawn"] == 3
    with pytest.raises(UserError, match=r"none of the 6 texts.*6 stand in the champion's"):
        held_out(100, sessions, {"champion": write_corpus(tmp_path / "all", test, ["a"], ["b"])}, today, 0)


def judged(out: Path, bundles: dict[str, Path], **settings: Any) -> dict[str, Any]:
    corpus = tokens() / "corpus"
    config = PromotionConfig.model_validate({"num_samples": 60, "num_texts": 40, "timed_calls": 5} | settings)
    for _ in hold(config, bundles, dict.fromkeys(bundles, corpus), write_today(out / "today"), out, seed=0):
        pass
    return json.loads((out / "judgement.json").read_text())


def write_today(path: Path) -> Path:
    random = np.random.default_rng(5)
    words = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]
    return write_corpus(path, ["x"], ["y"], [" ".join(random.choice(words, 9)) for _ in range(60)])


def test_two_bundles_are_held_to_one_another(bundle: Path, tmp_path: Path) -> None:
    first = judged(tmp_path / "first", {"challenger": bundle})
    assert first["verdict"]["promote"]
    assert first["contest"]["difference"] is None
    assert {each["name"] for each in first["limits"]} == {"copies", "unique", "readable", "parity"}
    both = judged(tmp_path / "both", {"challenger": bundle, "champion": bundle})
    assert both["contest"]["difference"] == {"value": 0, "low": 0, "high": 0}, "the same model is no better"
    assert not both["verdict"]["promote"]
    assert both["samples"]["challenger"] == both["samples"]["champion"], "the same seeds"
    assert both["held_out"]["texts"] == 40
    assert both["protocol"].startswith("gdflow@")
    assert {each["name"] for each in both["limits"]} == {"copies", "unique", "readable", "parity", "size", "pace"}
    assert all(each["passed"] for each in both["limits"])


@pytest.mark.parametrize("criterion", [name for name, each in CRITERIA.items() if each.metric])
def test_a_criterion_of_samples_comes_with_a_limit_on_the_likelihood(
    bundle: Path, tmp_path: Path, criterion: str
) -> None:
    told = judged(tmp_path, {"challenger": bundle, "champion": bundle}, criterion=criterion)
    assert told["contest"]["label"] == CRITERIA[criterion].label
    assert told["contest"]["difference"]["value"] == 0, "the same model, the same seeds"
    assert "code_length" in {each["name"] for each in told["limits"]}


LIMITS = {
    "unique": {"min_unique": 1.0},
    "bytes": {"max_bytes": 10},
    "latency": {"max_latency_ms": 1e-6},
    "size": {"max_size_ratio": 0.5},
    "pace": {"max_latency_ratio": 1e-6},
}


def test_every_limit_can_be_broken(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "generate", lambda self, num, *_, **__: ["bal bam"] * num)
    strict = {key: value for each in LIMITS.values() for key, value in each.items()}
    told = judged(tmp_path, {"challenger": bundle, "champion": bundle}, limits=strict)
    failed = {each["name"] for each in told["limits"] if not each["passed"]}
    assert failed == LIMITS.keys()
    assert all(each["label"] in told["verdict"]["reason"] for each in told["limits"] if not each["passed"])


def test_parity_is_read_from_what_export_measured(bundle: Path, tmp_path: Path) -> None:
    assert parity(bundle) == 1
    told = json.loads((bundle / "parity.json").read_text())
    for change in (
        lambda told: told["nll"].update(largest=1.0),
        lambda told: told["greedy"].update(identical=0),
        lambda told: told["sampled"][0].update(identical=0),
        lambda told: told.pop("logits"),
    ):
        broken = json.loads(json.dumps(told))
        change(broken)
        (tmp_path / "parity.json").write_text(json.dumps(broken))
        assert parity(tmp_path) == 0
    assert parity(tmp_path / "nowhere") == 0
    assert parity(bundle) == 1
