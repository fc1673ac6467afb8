"""Champion and challenger: a run's model judged on today's held-out text, then decided by the rule or by a person."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from prefect import flow
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment, flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import Field

from flows.hooks import TELLING
from flows.recording import challenger, recording
from flows.up import alive, running
from gdcore import runs
from gdcore.artifacts import Ref, Store
from gdcore.config import RunConfig
from gdcore.errors import UserError
from gdcore.release.champion import Champion, Decision, Overtaken
from gdcore.runs import Run
from tasks import promotion as task
from tasks.corpus import read_corpus

WAITING = "waiting.json"
"""In the folder of a release that waits for a person: which flow run waits, with which challenger."""

Decider = Literal["rule", "person", "approve", "reject", "nobody"]


class Approval(RunInput):
    """The form that a release waits for."""

    promote: bool = Field(default=False, description="Make this model the champion. Unticked, it is rejected.")
    by: str = Field(min_length=1, description="Your name: it is recorded with the decision.")
    comment: str = Field(default="", description="Why.")


class Judged(NamedTuple):
    """A challenger with the evidence about it."""

    record: Run
    """The release's own run folder."""
    model: task.Challenger
    name: str
    champion: Decision | None
    judgement: Ref


def run_name() -> str:
    """Which run, and who decides."""
    told = flow_run.parameters
    return f"{told['run']} · {told['decide']}"


@flow(name="release", flow_run_name=run_name, persist_result=False, **TELLING)
def release(
    run: str = "latest",
    decide: Decider = "rule",
    by: str = "",
    comment: str = "",
    name: str = "",
    home: Path = Path(),
) -> dict[str, Any]:
    """Judge a run's model against the champion on today's held-out text, and decide which of them it is from now on.

    Args:
        run: Name of the run, or the beginning of it; latest is the newest that finished.
        decide: Who does: the rule; a person, whom the run waits for with a form, here in the UI; or, decided already,
            approve or reject. With nobody, the verdict is told and that is all.
        by: The name of the person who approves or rejects, where that is decided already.
        comment: Why, in that person's words.
        name: Which champion is challenged; left empty, the one that the run's settings name.
        home: The folder that holds artifacts/ and runs/, seen from where the worker works.
    """
    if decide in ("approve", "reject") and not by:
        raise UserError("an approval or a rejection is recorded with a name: give by")
    if decide == "person" and not deployment.id:
        raise UserError("only a run of the deployment can wait for a person: start it there, or use approve or reject")
    if decide in ("rule", "nobody"):
        return _by_rule(run, decide, name, home)
    for _ in range(task.ATTEMPTS):
        judged = _waiting_for(home) or _judge(run, name, home)
        answer = _ask(judged) if decide == "person" else Approval(promote=decide == "approve", by=by, comment=comment)
        try:
            told = task.settle(
                judged.record,
                judged.name,
                judged.model,
                judged.champion,
                judged.judgement,
                by=answer.by,
                accept=answer.promote,
                comment=answer.comment,
            )
        except Overtaken:  # by another champion meanwhile: what was asked is not what would happen
            continue
        finally:
            (judged.record.folder / WAITING).unlink(missing_ok=True)
        return {"run": judged.model["run"], "promotion": told}
    raise UserError("the champion changed again and again while it was challenged: try once more")


def _by_rule(run: str, decide: Decider, name: str, home: Path) -> dict[str, Any]:
    judged = runs.find(home, run)
    config = _config(judged, name, "manual" if decide == "nobody" else "automatic")
    with recording(home, "release", config) as record:
        told = task.decide(record, config, challenger(judged), _today(record, judged, config))
    return {"run": judged.name, "promotion": told}


def _judge(run: str, name: str, home: Path) -> Judged:
    """The evidence for a person, whatever was decided about this model before."""
    judged = runs.find(home, run)
    config = _config(judged, name, "manual")
    with recording(home, "release", config) as record:
        present = Champion(record.store, config.promotion.name).current()
        model = challenger(judged)
        if present and present.bundle.content == model["bundle"].content:
            raise UserError(
                f"run {judged.name} made the champion {config.promotion.name!r}: it is that already. "
                "`gdflow release --rollback` goes back to the one before."
            )
        rival = present
        if present and not (record.store.path(present.bundle) / "bundle").is_dir():
            task.log.warning(
                "%s, the champion's bundle, is not in the store: nothing to compare with", present.bundle.name
            )
            rival = None
        judgement = task.contest(record, config, model, rival, _today(record, judged, config))
    return Judged(record, model, config.promotion.name, present, judgement)


def _today(record: Run, judged: Run, config: RunConfig) -> Ref:
    """The run's corpus as it is now; as the run read it, where its files are gone."""
    try:
        return read_corpus(record, config.corpus)
    except UserError as error:
        ref = judged.ref("corpus")
        task.log.warning("judged on the text as %s read it, for it cannot be read now: %s", judged.name, error)
        return ref


def _config(run: Run, name: str, mode: str) -> RunConfig:
    """The run's own settings, but for whose champion is challenged and how."""
    told = run.config
    given = {"mode": mode, **({"name": name} if name else {})}
    return RunConfig.model_validate(told | {"promotion": told.get("promotion", {}) | given})


def _ask(judged: Judged) -> Approval:
    """The person's answer. The first time this ends the process; answering starts it anew, and it comes here again."""
    waiting = {
        "flow_run": str(flow_run.id),
        "challenger": judged.model["run"],
        "name": judged.name,
        "against": judged.champion and judged.champion.run,
    }
    (judged.record.folder / WAITING).write_text(json.dumps(waiting))
    told = task.judgement(judged.record, judged.judgement)
    verdict = told["verdict"]
    advice = "The rule would promote it." if verdict["promote"] else "The rule would not promote it."
    limits = "\n".join(
        f"- {'✓' if each['passed'] else '✗'} {each['label']}: {each['value']:.4g} ({each['bound']} {each['limit']:.4g})"
        for each in told["limits"]
    )
    where = "Texts of both, and all figures, are in the artifact `promotion` of this run."
    words = f"**{judged.model['run']}** ({judged.model['about']}): {advice} {verdict['reason']}\n\n{limits}\n\n{where}"
    form = Approval.with_initial_data(description=words)
    return suspend_flow_run(wait_for_input=form, key=judged.judgement.content[:16])


def roll_back(home: Path, name: str, by: str, comment: str) -> dict[str, Any]:
    """Go back to the champion before this one, at once; where a server is running, it is told."""
    champion = Champion(Store(home.absolute() / "artifacts"), name)
    decision = champion.roll_back(by, f"{by} rolled it back" + (f": {comment.rstrip('.')}." if comment else "."))
    present = champion.current()
    assert present
    api = PREFECT_API_URL.value() or running(home)
    if api and alive(api):
        with temporary_settings({PREFECT_API_URL: api}):
            task.tell(champion.store, name, decision)
    return {"name": name, "rolled_back": decision.run, "champion": present.run, "bundle": str(champion.bundle())}


def _waiting_for(home: Path) -> Judged | None:
    """What an earlier process of this flow run judged and asked about; None where there is none, or it is overtaken."""
    for record in runs.every(home):
        path = record.folder / WAITING
        told = json.loads(path.read_text()) if path.exists() else {}
        if told and told["flow_run"] == str(flow_run.id):
            present = Champion(record.store, told["name"]).current()
            if (present and present.run) != told["against"]:
                path.unlink()
                return None
            model = challenger(runs.find(home, told["challenger"]))
            return Judged(record, model, told["name"], present, record.ref("promotion"))
    return None
