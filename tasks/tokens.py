"""Texts become ids, by a tokenizer fitted on the train split alone."""

from gdcore.artifacts import Ref
from gdcore.runs import Run, Stage
from gdcore.tokens import TokenizerConfig, build_tokens
from tasks.stage import build, stage


@stage("tokens")
def tokenize(run: Run, config: TokenizerConfig, corpus: Ref) -> Stage:
    """Fit the tokenizer on the train split and write every split as memory-mapped ids."""
    return build(
        run,
        "tokens",
        lambda out, work: build_tokens(config, run.store.path(corpus), out),
        config={"tokens": config},
        inputs={"corpus": corpus},
        sources=["gdcore.tokens"],
    )
