"""Texts become ids, by a tokenizer fitted on the train split alone, or by a pretrained model's own."""

from pathlib import Path
from typing import Any

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.release.champion import Ancestor
from gdcore.runs import Run, Stage
from gdcore.tokens import build_tokens
from tasks.stage import build, stage


@stage("tokens")
def tokenize(run: Run, config: RunConfig, corpus: Ref, ancestor: Ancestor | None = None) -> Stage:
    """Fit the tokenizer on the train split, or take the pretrained model's; write every split as memory-mapped ids."""
    path = run.store.path
    start: Path | None = getattr(config.generator, "start", None)
    return build(
        run,
        "tokens",
        lambda out, work: build_tokens(
            config.tokens, path(corpus), out, start, path(ancestor.tokens) if ancestor else None
        ),
        config={"tokens": config.tokens},
        inputs={"corpus": corpus} | _start(start) | ({"ancestor": ancestor.tokens} if ancestor else {}),
        sources=["gdcore.tokens"],
    )


def _start(start: Path | None) -> dict[str, Any]:
    """What a pretrained model's tokenizer is made from, if it brings one: by content, not by where it lies."""
    from gdcore.networks.vocabulary import identity

    found = identity(start) if start else {}
    return {"start": found} if found else {}
