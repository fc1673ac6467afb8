"""The exported model against the champion: measured as a stage, decided by rule or by a person, told as an event."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

from prefect.events import emit_event

from gdcore.artifacts import Ref, Store
from gdcore.config import RunConfig
from gdcore.errors import UserError
from gdcore.progress import Progress
from gdcore.release import champion as champions
from gdcore.release.champion import RULE, Ancestor, Champion, Decision, Outcome, Overtaken
from gdcore.release.promotion import CRITERIA, judging
from gdcore.report import wording
from gdcore.runs import Run, Stage
from tasks import show
from tasks.stage import build, stage

log = logging.getLogger(__name__)
ATTEMPTS = 5
EVENTS: dict[Outcome, str] = {
    "promoted": "gdflow.model.promoted",
    "approved": "gdflow.model.promoted",
    "rejected": "gdflow.model.rejected",
    "rolled back": "gdflow.model.rolled-back",
}


class Challenger(TypedDict):
    """A run's bundle as it enters the contest."""

    run: str
    about: str
    """The run's preset, corpus and seed."""
    source: str
    """The text it learnt from, as its settings name it."""
    bundle: Ref
    beside: dict[str, Ref]
    """Its corpus and evaluation."""
    own: Ancestor | None
    """What a later run may go on from."""
    ancestor: Ancestor | None
    """What it went on from itself."""


class Promotion(TypedDict):
    """What came of it, for a command to pass on."""

    name: str
    outcome: str
    """A decision's outcome; or `unchanged` (nothing to decide), `waiting` (for a person), `unjudged`, `off`."""
    reason: str
    champion: str | None
    """The run whose model is champion now."""
    judgement: str | None
    """The folder of the evidence."""


@stage("promotion")
def contest(run: Run, config: RunConfig, challenger: Challenger, champion: Decision | None, today: Ref) -> Stage:
    """Hold the challenger's bundle and the champion's to today's held-out text, and to the hard limits."""
    path = run.store.path
    sides = {"challenger": (challenger["bundle"], challenger["beside"]["corpus"])}
    if champion:
        sides["champion"] = (champion.bundle, champion.beside["corpus"])
    learnt = {name: path(corpus) for name, (_, corpus) in sides.items() if path(corpus).is_dir()}

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.release.contest import hold

        bundles = {name: path(exported) / "bundle" for name, (exported, _) in sides.items()}
        return hold(config.promotion, bundles, learnt, path(today), out, config.seed)

    protocol = judging(config.promotion)
    done = build(
        run,
        "promotion",
        make,
        config={
            "promotion": config.promotion.model_dump(mode="json", exclude={"mode", "name"}),
            "protocol": protocol.id,
            "seed": config.seed,
        },
        inputs={
            "today": today,
            "learnt": sorted(learnt),
            **{f"{name}'s bundle": bundle for name, (bundle, _) in sides.items()},
            **{f"{name}'s corpus": corpus for name, (_, corpus) in sides.items()},
        },
        sources=["gdcore.release.contest", *protocol.modules],
    )
    show_contest(run, done.ref)
    return done


def promote(run: Run, config: RunConfig, challenger: Challenger, today: Ref) -> Promotion:
    """Let the rule decide at the end of a run; whatever stands in the way is told and changes nothing."""
    name = config.promotion.name
    if config.promotion.mode == "off":
        return _told(run, name, "off", "Promotion is switched off.")
    try:
        return decide(run, config, challenger, today)
    except UserError as error:
        log.warning("the champion %r was not challenged: %s", name, error)
        return _told(run, name, "unjudged", str(error))


def decide(run: Run, config: RunConfig, challenger: Challenger, today: Ref) -> Promotion:
    """Judge and, unless a person is to decide, act on the rule. Raises UserError where the two cannot be judged."""
    name = config.promotion.name
    champion = Champion(run.store, name)
    for _ in range(ATTEMPTS):
        history = champion.history()
        if settled := _settled(run, champion, challenger):
            return settled
        present = champion.current()
        if present and present.source not in ("", challenger["source"]) and config.promotion.mode == "automatic":
            raise UserError(
                f"the champion {name!r} learnt from other text ({present.source}) than this model "
                f"({challenger['source']}), so no rule compares them. Give this text a champion of its own "
                f"(promotion.name), or decide yourself: `gdflow release {challenger['run']} --approve`."
            )
        judged = contest(run, config, challenger, present, today)
        verdict = judgement(run, judged)["verdict"]
        if config.promotion.mode == "manual":
            how = f"`gdflow release {challenger['run']} --approve` or `--reject`"
            return _told(run, name, "waiting", f"{verdict['reason']} A person decides: {how}.", judged)
        if past := next((each for each in history if each.judgement == judged), None):
            return _told(run, name, "unchanged", f"This was decided before: {past.why}", judged)
        try:
            return settle(run, name, challenger, present, judged, by=RULE, accept=verdict["promote"])
        except Overtaken as error:
            log.info("%s: judged again", error)
    raise UserError(f"the champion {name!r} changed {ATTEMPTS} times while it was challenged: try again")


def settle(
    run: Run,
    name: str,
    challenger: Challenger,
    champion: Decision | None,
    judged: Ref,
    *,
    by: str,
    accept: bool,
    comment: str = "",
) -> Promotion:
    """Record a decision with its evidence, and tell the world. Raises Overtaken where it came too late."""
    evidence = judgement(run, judged)
    reason = evidence["verdict"]["reason"]
    outcome: Outcome = "rejected" if not accept else "promoted" if by == RULE else "approved"
    if by != RULE:
        agrees = accept == evidence["verdict"]["promote"]
        advice = f"The rule {'agrees' if agrees else 'disagrees'}: {reason}"
        said = f": {comment.rstrip('.')}" if comment else ""
        reason = f"{by} {outcome} it{said}. {advice}"
    decision = Decision(
        when=champions.now(),
        outcome=outcome,
        by=by,
        why=reason,
        **challenger,
        against=champion and champion.bundle,
        judgement=judged,
        evidence={
            **{key: each for key, each in evidence.items() if key not in ("samples", "metrics")},
            "digests": run.store.manifest(judged).about["inputs"],
        },
    )
    Champion(run.store, name).decide(decision)
    tell(run.store, name, decision)
    return _told(run, name, outcome, reason, judged)


def tell(store: Store, name: str, decision: Decision) -> None:
    """Emit the decision as a Prefect event, for automations to act on."""
    contest = decision.evidence.get("contest", {})
    log.info("champion %r: %s %s by %s", name, decision.run, decision.outcome, decision.by)
    emit_event(
        event=EVENTS[decision.outcome],
        resource={
            "prefect.resource.id": f"gdflow.champion.{name}",
            "prefect.resource.name": name,
            "gdflow.run": decision.run,
            "gdflow.bundle": decision.bundle.name,
        },
        payload={
            "outcome": decision.outcome,
            "by": decision.by,
            "why": decision.why,
            "run": decision.run,
            "about": decision.about,
            "bundle": str(store.path(decision.bundle) / "bundle"),
            "criterion": contest.get("criterion"),
            "challenger": contest.get("challenger"),
            "champion": contest.get("champion"),
            "difference": contest.get("difference"),
        },
    )


def judgement(run: Run, judged: Ref) -> dict[str, Any]:
    """What was measured, and what the rule makes of it."""
    return json.loads((run.store.path(judged) / "judgement.json").read_text("utf-8"))


def show_contest(run: Run, judged: Ref) -> None:
    """Verdict, criterion, limits and texts, where Prefect's UI shows them."""
    told = judgement(run, judged)
    heading = "The rule would promote it." if told["verdict"]["promote"] else "The rule would not promote it."
    parts = [f"**{heading}** {show.plain(told['verdict']['reason'])}", criterion_table(told), limits_table(told)]
    parts += [f"### {name}\n\n{show.quoted(texts)}" for name, texts in told["samples"].items()]
    show.markdown("promotion", "\n\n".join(parts), "Challenger against champion")


def criterion_table(told: dict[str, Any]) -> str:
    contest = told["contest"]
    digits = CRITERIA[contest["criterion"]].digits
    sides = ("challenger", "champion", "difference")
    cells = [wording.told(contest[side], digits) for side in sides]
    return show.table(["", *sides], [[f"{contest['label']} ({contest['better']} is better)", *cells]])


def limits_table(told: dict[str, Any]) -> str:
    rows = [
        ("✓" if each["passed"] else "✗", each["label"], f"{each['value']:.4g}", f"{each['bound']} {each['limit']:.4g}")
        for each in told["limits"]
    ]
    return show.table(["", "hard limit", "challenger", "allowed"], rows)


def _settled(run: Run, champion: Champion, challenger: Challenger) -> Promotion | None:
    """What there is to say where nothing is to be judged."""
    history = champion.history()
    present = champion.current()
    if present and present.bundle.content == challenger["bundle"].content:
        return _told(run, champion.name, "unchanged", "This model is the champion already.")
    if present:
        champion.bundle()  # in words, if the store no longer has it
    if no := champions.objection(history, challenger["bundle"]):
        how = f"`gdflow release {challenger['run']} --approve` brings it back"
        return _told(run, champion.name, "unchanged", f"{no.by} {no.outcome} this model on {no.when[:10]}; {how}.")
    return None


def _told(run: Run, name: str, outcome: str, reason: str, judged: Ref | None = None) -> Promotion:
    present = Champion(run.store, name).current()
    return {
        "name": name,
        "outcome": outcome,
        "reason": reason,
        "champion": present.run if present else None,
        "judgement": str(run.store.path(judged)) if judged else None,
    }
