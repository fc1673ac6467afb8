"""What a sweep runs, and how its mistakes are told."""

from pathlib import Path

import pytest

from flows.plans import Plan, load_plan, plan_names
from gdcore.errors import UserError


@pytest.mark.parametrize("name", plan_names())
def test_every_plan_resolves_and_compares_with_maximum_likelihood(name: str) -> None:
    plan = load_plan(name)
    assert any(plan.overrides(system).get("finetune.steps") == 0 for system in plan.systems)


PLAN = "about: a\npreset: tiny\nseeds: [0]\nsystems: {mle: {finetune.steps: 0}}\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (PLAN.replace("systems", "system"), "system: no such key; did you mean systems?"),
        (PLAN.replace("[0]", "3"), "seeds: Input should be a valid tuple, not 3"),
        (PLAN.replace("about: a\n", ""), "about: this key is missing"),
        (PLAN.replace("tiny", "tini"), "no preset named 'tini'"),
        (PLAN.replace("finetune.steps", "finetune.stepps"), "system 'mle'.*finetune.stepps.*did you mean steps"),
        ("systems: [", "is not YAML"),
        ("just words", "valid dictionary"),
    ],
)
def test_a_mistake_is_told_with_its_place(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=told):
        load_plan(str(path))


def test_a_plan_that_is_not_there() -> None:
    with pytest.raises(UserError, match=f"no sweep 'objectivs'; there are {plan_names()[0]}"):
        load_plan("objectivs")


def test_players_that_do_not_fit_are_told_before_anything_is_trained():
    from flows.sweep import _rehearse

    plan = Plan(about="", preset="tiny", seeds=(0,), systems={"mle": {}, "bad": {"objective.name": "seqgan"}})
    with pytest.raises(UserError, match="system 'bad': .*judges whole texts"):
        _rehearse(plan)
