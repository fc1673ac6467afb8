"""A night that goes on from the champion: its vocabulary and weights, on text that has grown."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_run import run, write_texts

from gdcore import runs
from gdcore.artifacts import Store
from gdcore.config import resolve
from gdcore.errors import UserError
from gdcore.release.champion import Champion, references
from gdcore.tokenizer import Tokenizer
from tasks.ancestry import ancestor_of

WARM: dict[str, Any] = {
    "pretrain.warm_start": True,
    "pretrain.steps": 40,
    "pretrain.eval_every": 10,
    "pretrain.learning_rate": 0.02,
    "pretrain.warmup_steps": 5,
}


def states(told: dict[str, Any]) -> set[str]:
    return {each["state"] for stage, each in told["stages"].items() if stage != "promotion"}


def _first_nll(home: Path, told: dict[str, Any]) -> float:
    """Of the first batch, before anything was learnt from it."""
    log = runs.find(home, Path(told["run"]).name).path("pretraining") / "metrics.jsonl"
    return json.loads(log.read_text().splitlines()[0])["generator_nll"]


def grow(home: Path) -> None:
    """A tenth more text, with a word that was never seen."""
    new = [
        text.replace("the moon", "a zebra") for text in write_texts(home / "new", 80, seed=7).read_text().split("\n")
    ]
    with (home / "texts.txt").open("a") as file:
        file.write("".join(f"{text}\n" for text in dict.fromkeys(new) if "zebra" in text))


@pytest.mark.slow
def test_the_champion_is_where_the_next_night_goes_on(tmp_path: Path) -> None:
    first = run(tmp_path, **WARM)
    assert first["promotion"]["outcome"] == "promoted"
    assert states(run(tmp_path, **WARM)) == {"reused"}, "no new text: the champion's own beginning, which was chance"
    assert states(run(tmp_path, **WARM | {"pretrain.warm_start": False})) == {"reused"}, "which is not a setting's name"

    grow(tmp_path)
    told = run(tmp_path, **WARM)
    second = runs.find(tmp_path)
    old, new = (Tokenizer.load(each.path("tokens")) for each in (runs.find(tmp_path, Path(first["run"]).name), second))
    ids = new.backend.get_vocab()
    assert {token: ids[token] for token in old.backend.get_vocab()} == old.backend.get_vocab()
    assert ids["▁zebra"] >= old.vocab_size
    assert json.loads((second.path("pretraining") / "ancestor.json").read_text())["run"] == Path(first["run"]).name
    assert "training goes on from the champion" in (second.folder / "run.log").read_text()

    cold = run(tmp_path, **WARM | {"pretrain.warm_start": False, "promotion.mode": "off"})
    assert _first_nll(tmp_path, told) < _first_nll(tmp_path, cold) - 0.5

    champion = Champion(Store(tmp_path / "artifacts"))
    if told["promotion"]["outcome"] != "promoted":
        pytest.fail(f"more text made no better model: {told['promotion']}")
    decision = champion.current()
    assert decision
    assert decision.ancestor
    assert decision.ancestor.run == Path(first["run"]).name
    assert {decision.ancestor.weights.name, decision.ancestor.tokens.name} <= {
        ref.name for ref in references(champion.store)
    }
    assert states(run(tmp_path, **WARM)) == {"reused"}, "the new champion has learnt this text already"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"generator.hidden_dim": 9}, "other settings"),
        ({"context": 20}, "its context is 16"),
        ({"tokens.kind": "char"}, "of another kind"),
    ],
)
def test_weights_that_do_not_fit_are_told_of(
    small_home: tuple[Path, dict[str, Any]], caplog: pytest.LogCaptureFixture, changed: dict[str, Any], why: str
) -> None:
    home, _ = small_home
    last = runs.find(home)
    config = resolve({}, last.config | {"pretrain": last.config["pretrain"] | {"warm_start": True}} | changed)
    other = last.ref("corpus").model_copy(update={"content": "0" * 64})
    with caplog.at_level("WARNING"):
        assert ancestor_of(last, config, other) is None
    assert why in caplog.text


def test_two_beginnings_are_one_too_many() -> None:
    with pytest.raises(UserError, match="give one"):
        resolve({}, {"generator.name": "transformer", "generator.from": "model", "pretrain.warm_start": True})
