"""The first three stages alone: is this text fit to train on?"""

from pathlib import Path
from typing import Any

from prefect import flow

from flows.parameters import Preset, overrides
from flows.presets import resolve
from flows.recording import counts, recording, run_name, stages
from gdcore.corpora.config import CorpusConfig
from tasks.corpus import read_corpus
from tasks.tokens import tokenize
from tasks.validation import Rejected, validate, verdict


@flow(name="validate", flow_run_name=run_name, persist_result=False)
def check(
    preset: Preset = "quickstart",
    corpus: CorpusConfig = CorpusConfig(),  # noqa: B008  (frozen)
    seed: int = 0,
    settings: dict[str, Any] = {},  # noqa: B006  (Prefect copies it)
    home: Path = Path(),
) -> dict[str, Any]:
    """Read, tokenise and judge a corpus. A broken critical rule is the result, not a failure.

    Args:
        preset: Whose tokenizer and validation settings to use.
        corpus: Your own text; left as it is, the preset's corpus.
        seed: Of no consequence here; the run is named by it.
        settings: Anything else that should differ from the preset, by key.
        home: The folder that holds artifacts/ and runs/.
    """
    config = resolve(preset, overrides(corpus.model_dump(exclude_defaults=True), seed, settings))
    with recording(home, preset, config) as run:
        texts = read_corpus(run, config.corpus)
        tokens = tokenize(run, config, texts)
        try:
            validate(run, config, texts, tokens, config.batch_size)
            complaint = None
        except Rejected as error:
            complaint = str(error)
        return {
            "run": str(run.folder),
            "success": complaint is None,
            "complaint": complaint,
            "counts": counts(run),
            "suites": verdict(run.path("validation"))["suites"],
            "quarantine": [str(run.path(name) / "quarantine.parquet") for name in ("corpus", "validation")],
            "data_docs": str(run.folder / "data_docs" / "index.html"),
            "stages": stages(run),
        }
