"""What surrounds the sentences of a flow: its run folder, its log, its name, its result."""

import json
import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from flows.parameters import chosen_source
from flows.presets import load_preset
from gdcore import runs
from gdcore.config import RunConfig
from gdcore.corpora.config import CorpusConfig
from gdcore.corpora.naming import corpus_name, corpus_source
from gdcore.durable import room
from gdcore.errors import UserError
from gdcore.mirror import Mirror
from gdcore.runs import Run
from tasks import ancestry
from tasks.evaluation import judgement
from tasks.promotion import Challenger, Promotion

OURS = ("gdcore", "tasks", "flows")
log = logging.getLogger(__name__)


def run_name() -> str:
    """Preset, corpus and seed of the flow run that is starting."""
    told = flow_run.parameters
    given = CorpusConfig.model_validate(told["corpus"]).model_dump(exclude_defaults=True)
    corpus = load_preset(told["preset"]).get("corpus", {}) | chosen_source(given)
    return f"{told['preset']} · {corpus_name(corpus)} · seed {told.get('seed', 0)}"


class RunLog(logging.FileHandler):
    """A run's log. On a full disk it loses lines; the stage that needs the room is the one to say so."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Prints a traceback, but for what the disk does not take."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def recording(home: Path, preset: str, config: RunConfig) -> Iterator[Run]:
    """Open a run folder and keep the log in it. Input that was refused before any stage was done leaves no folder."""
    run = runs.start(home, preset, config.model_dump(mode="json"))
    run.store.sweep()
    handler = RunLog(run.folder / "run.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
    loggers = [logging.getLogger(name) for name in (*OURS, "prefect")]
    for logger in loggers:
        logger.addHandler(handler)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    refused = False
    try:
        log.info("run %s", run.folder)
        if run.mirror:
            Mirror(run.mirror)  # one that cannot be used is told before the hours, not after them
        with room("the run", home):
            yield run
    except UserError as error:
        refused = not run.refs
        # Into the file alone: whoever called says it to the user.
        handler.handle(log.makeRecord(log.name, logging.ERROR, __file__, 0, str(error), (), None))
        raise
    except BaseException as error:
        log.error("stopped by %s", ": ".join(filter(None, (type(error).__name__, str(error)))))
        raise
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
        if refused:
            shutil.rmtree(run.folder)


def challenger(run: Run) -> Challenger:
    """A run's bundle, as it enters the contest with the champion."""
    preset = run.name.split("_", 1)[1].rpartition("_")[0]
    return {
        "run": run.name,
        "about": f"{preset} · {corpus_name(run.config['corpus'])} · seed {run.config['seed']}",
        "source": corpus_source(run.config["corpus"]),
        "bundle": run.ref("export"),
        "beside": {stage: run.ref(stage) for stage in ("corpus", "evaluation")},
        "own": ancestry.own(run),
        "ancestor": ancestry.recorded(run),
    }


def finish(run: Run, promotion: Promotion, latest: bool) -> dict[str, Any]:
    """Link what a person looks for into the run folder, make the run the latest one if asked, say what came of it."""
    run.link("bundle", run.path("export") / "bundle")
    if (others := run.path("export") / "huggingface").is_dir():
        run.link("huggingface", others)
    result = {
        "run": str(run.folder),
        "bundle": str(run.path("export") / "bundle"),
        "report": str(run.folder / "report.html"),
        "data_docs": str(run.folder / "data_docs" / "index.html"),
        "stages": stages(run),
        **judgement(run.path("evaluation")),
        "counts": counts(run),
        "tokens": tokens(run),
        "prompted": bool(run.config["corpus"]["prompt_column"]),
        "own_text": bool(run.config["corpus"]["paths"] or run.config["corpus"]["train"]),
        "promotion": promotion,
    }
    run.finish(result, latest)
    return result


def stages(run: Run) -> dict[str, dict[str, Any]]:
    """Of each stage, whether it was built or reused, and in how many seconds."""
    return {name: {"state": line.state, "seconds": line.seconds} for name, line in run.refs.items()}


def tokens(run: Run) -> str:
    """What a token is in this run, and why."""
    config = json.loads((run.path("tokens") / "tokenizer_config.json").read_text("utf-8"))
    kind = {"word": "words", "char": "characters", "bpe": "byte pairs", "pretrained": "the model's own"}[config["kind"]]
    return f"{kind}, a vocabulary of {config['vocab_size']:,} ({config['why']})"


def counts(run: Run) -> dict[str, int]:
    """Texts read, used and quarantined by the corpus and validation together."""
    corpus, validation = (
        json.loads((run.path(name) / "summary.json").read_text()) for name in ("corpus", "validation")
    )
    total = {
        "read": corpus["read"],
        "used": validation["used"],
        "quarantined": corpus["quarantined"] + validation["quarantined"],
    }
    assert total["read"] == total["used"] + total["quarantined"], total
    return total
