"""What the server does by itself: notice a run that was lost, a night that was missed, text that has moved.

`gdflow up` and `gdflow deploy` make them, or bring them up to date. What a person switched on or off in the UI stays as
it is. With a webhook (`--notices URL`) every notice is posted there; without, it stands in the UI's event feed alone.
"""

from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from prefect.automations import Automation
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, CallWebhook, ChangeFlowRunState, DoNothing, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

BLOCK = "gdflow-notices"
LOST_SECONDS = 120
"""Without a sign of life. Deployed runs give one every 30 seconds (prefect.yaml)."""
NIGHT = timedelta(hours=26)
DECISIONS = ("gdflow.model.promoted", "gdflow.model.rejected", "gdflow.model.rolled-back", "gdflow.corpus.drifted")
ENDINGS = ("prefect.flow-run.Failed", "prefect.flow-run.Crashed")
OURS = {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.gdflow"}
ENDED = '{"text": "{{ event.resource.name }}: {{ event.event }}"}'
DECIDED = '{"text": "{{ event.resource.name }}: {{ event.event }} · {{ event.payload.why }}{{ event.payload.reason }}"}'
MISSED = '{"text": "gdflow: no nightly run has completed for 26 hours"}'


def wanted(nightly: UUID, training: UUID, notices: UUID | None) -> list[AutomationCore]:
    """All of them; the ids are those of two deployments, and of the webhook's block where there is one."""

    def notice(text: str) -> list[ActionTypes]:
        return [CallWebhook(block_document_id=notices, payload=text) if notices else DoNothing()]

    lost = f"No sign of life for {LOST_SECONDS} s: its process is gone."
    crashed: list[ActionTypes] = [
        ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=lost, force=False)
    ]
    train: list[ActionTypes] = [
        RunDeployment(source="selected", deployment_id=training, parameters=None, job_variables=None)
    ]
    return [
        AutomationCore(
            name="gdflow: a run that was lost",
            description="A run whose process gives no sign of life is marked as crashed, so that it can be run again.",
            trigger=EventTrigger(
                after={"prefect.flow-run.heartbeat"},
                expect={"prefect.flow-run.*"},
                match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                within=timedelta(seconds=LOST_SECONDS),
            ),
            actions=crashed,
        ),
        AutomationCore(
            name="gdflow: a run that failed",
            description="Tells of runs that failed or crashed.",
            trigger=EventTrigger(
                expect=set(ENDINGS),
                match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
                match_related=[ResourceSpecification(cast("Any", OURS))],
                posture=Posture.Reactive,
            ),
            actions=notice(ENDED),
        ),
        AutomationCore(
            name="gdflow: champions and drift",
            description="Tells of models promoted, rejected or taken back, and of text that has moved.",
            trigger=EventTrigger(
                expect=set(DECISIONS),
                match=ResourceSpecification({"prefect.resource.id": "gdflow.champion.*"}),
                posture=Posture.Reactive,
            ),
            actions=notice(DECIDED),
        ),
        AutomationCore(
            name="gdflow: a night that was missed",
            description="Tells when no nightly run has completed for 26 hours.",
            trigger=EventTrigger(
                expect={"prefect.flow-run.Completed"},
                match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
                match_related=[ResourceSpecification({"prefect.resource.id": f"prefect.deployment.{nightly}"})],
                posture=Posture.Proactive,
                within=NIGHT,
            ),
            actions=notice(MISSED),
        ),
        AutomationCore(
            name="gdflow: drift starts training",
            description="Off until you switch it on: where retraining is due, `train/on-demand` runs as its form says.",
            enabled=False,
            trigger=EventTrigger(
                expect={"gdflow.corpus.drifted"},
                match=ResourceSpecification({"prefect.resource.id": "gdflow.champion.*"}),
                posture=Posture.Reactive,
            ),
            actions=train,
        ),
    ]


def apply(url: str | None = None) -> list[str]:
    """Make them or bring them up to date, by name; the names. A webhook given once stays for later calls."""
    with get_client(sync_client=True) as client:
        ids = [client.read_deployment_by_name(name).id for name in ("train/nightly", "train/on-demand")]
        automations = wanted(*ids, notices=_webhook(url))
        for automation in automations:
            _put(client, automation)
    return [automation.name for automation in automations]


def _put(client: SyncPrefectClient, automation: AutomationCore) -> None:
    found: list[Automation] = cast("Any", client.read_automations_by_name(automation.name))
    if not found:
        client.create_automation(automation)
        return
    first, *others = found
    kept = automation.model_copy(update={"enabled": first.enabled})
    client.update_automation(cast("UUID", first.id), kept)
    for other in others:
        client.delete_automation(cast("UUID", other.id))


def _webhook(url: str | None) -> UUID | None:
    """The block that notices are posted by; None while there is none."""
    if url:
        block = Webhook(method="POST", url=cast("Any", url), allow_private_urls=True)
        return cast("UUID", block.save(BLOCK, overwrite=True))
    try:
        return cast("Any", Webhook.load(BLOCK))._block_document_id
    except ValueError:
        return None
