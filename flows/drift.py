"""Drift: has the text moved so far from what the champion learnt that it should be trained anew?"""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.hooks import TELLING
from flows.parameters import chosen_source
from flows.recording import recording
from gdcore import runs
from gdcore.artifacts import Store
from gdcore.config import RunConfig
from gdcore.corpora.config import CorpusConfig
from gdcore.release.champion import DEFAULT, Champion
from gdcore.release.drift import DriftConfig
from tasks import drift as task
from tasks.corpus import read_corpus


def run_name() -> str:
    """Whose text is watched."""
    return f"drift · {flow_run.parameters['name']}"


@flow(name="drift", flow_run_name=run_name, persist_result=False, **TELLING)
def drift(
    name: str = DEFAULT,
    corpus: CorpusConfig = CorpusConfig(),  # noqa: B008  (frozen)
    limits: DriftConfig = DriftConfig(),  # noqa: B008  (frozen)
    home: Path = Path(),
) -> dict[str, Any]:
    """Compare today's text with the text that the champion learnt from, and say whether retraining is due.

    Args:
        name: Which champion's text is watched.
        corpus: What differs from the champion's own corpus; left as it is, its sources, read again.
        limits: How far the text may move.
        home: The folder that holds artifacts/ and runs/, seen from where the worker works.
    """
    champion = Champion(Store(home.absolute() / "artifacts"), name).current()
    if champion is None:
        reason = f"There is no champion named {name!r} yet, so there is nothing that text could have drifted from."
        task.log.info("%s", reason)
        return {"name": name, "due": False, "reason": reason}
    config = RunConfig.model_validate(runs.find(home, champion.run).config)
    given = chosen_source(corpus.model_dump(mode="json", exclude_defaults=True))
    own = config.corpus.model_dump(mode="json")
    config = config.model_copy(update={"corpus": CorpusConfig.model_validate(own | given)})
    with recording(home, "drift", config) as run:
        texts = read_corpus(run, config.corpus)
        found: dict[str, Any] = {"name": name, "champion": champion.run, "run": str(run.folder)}
        if texts.content == champion.beside["corpus"].content:
            return found | {"due": False, "reason": "The text is the one that the champion learnt from."}
        return found | task.tell(run, name, champion, task.compare(run, limits, champion, texts))
