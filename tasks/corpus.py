"""Text in: read, repaired, divided; what cannot be used is in quarantine with its reason."""

import json

from gdcore.artifacts import Ref
from gdcore.corpora.build import CorpusConfig, build_corpus, identity
from gdcore.runs import Run, Stage
from tasks import show
from tasks.stage import build, stage, transient


@stage("corpus", retries=2, retry_delay_seconds=[5, 30], retry_jitter_factor=0.5, retry_condition_fn=transient)
def read_corpus(run: Run, config: CorpusConfig) -> Stage:
    """Read the texts, repair or quarantine each by a stated rule, and divide them into train, valid and test."""
    texts = identity(config)
    done = build(
        run,
        "corpus",
        lambda out, work: build_corpus(config, out, texts),
        config={},
        inputs={"texts": texts},
        sources=["gdcore.corpora.build"],
    )
    show_corpus(run, done.ref)
    return done


def show_corpus(run: Run, corpus: Ref) -> None:
    """How many texts were read, used and quarantined, and why."""
    summary = json.loads((run.store.path(corpus) / "summary.json").read_text())
    counts = {name: summary[name] for name in ("read", "used", "quarantined")}
    why = {f"quarantined: {reason}": count for reason, count in summary["reasons"].items()}
    repaired = {f"repaired: {rule}": count for rule, count in summary["repaired"].items()}
    personal = {f"personal data: {kind}": count for kind, count in summary["pii"].items()}
    show.markdown(
        "corpus",
        show.pairs(counts | summary["splits"] | why | repaired | personal, "texts", "number"),
        "Texts read, used and quarantined",
    )
