"""Where a run goes on from, when it does not begin by chance: the champion's vocabulary and weights."""

import json
import logging
from pathlib import Path

from gdcore.artifacts import Ref, Store
from gdcore.config import RunConfig
from gdcore.corpora.naming import corpus_source
from gdcore.errors import UserError
from gdcore.release.champion import Ancestor, Champion
from gdcore.runs import Run
from gdcore.tokenizer import Tokenizer

log = logging.getLogger(__name__)
FILE = "ancestor.json"
"""In a pretraining that went on from another model: from which."""


def ancestor_of(run: Run, config: RunConfig, corpus: Ref) -> Ancestor | None:
    """What this run goes on from; None for chance.

    A champion that has learnt this very text leaves nothing to go on with: then it is where the champion itself went
    on from, so that every recipe is the champion's and a night without new text costs seconds.
    """
    if not config.pretrain.warm_start:
        return None
    try:
        champion = Champion(run.store, config.promotion.name).current()
    except UserError as error:
        log.warning("training begins by chance, not with the champion's weights: %s", error)
        return None
    if champion is None:
        log.info("training begins by chance: there is no champion %r yet", config.promotion.name)
        return None
    if champion.beside["corpus"].content == corpus.content:
        return champion.ancestor
    if champion.source not in ("", text := corpus_source(run.config["corpus"])):
        why = f"it learnt from other text ({champion.source}) than this run's ({text})"
    elif champion.own is None:
        why = "what it was made of was not recorded"
    else:
        why = _mismatch(run.store, champion.own, config)
    if why:
        log.warning("training begins by chance, not with the weights of the champion, run %s: %s", champion.run, why)
        return None
    log.info("training goes on from the champion, run %s", champion.run)
    return champion.own


def own(run: Run) -> Ancestor | None:
    """What a later run may go on from: a finished run's vocabulary and selected generator, while the store has them."""
    judged = run.path("evaluation") / "evaluation.json"
    if not judged.exists():
        return None
    selected = json.loads(judged.read_text())["selection"]["selected"]
    stage = {"pretrained": "pretraining", "finetuned": "finetuning"}[selected]
    return Ancestor(run=run.name, tokens=run.ref("tokens"), weights=run.ref(stage))


def recorded(run: Run) -> Ancestor | None:
    """What a run went on from."""
    path = run.path("pretraining") / FILE
    return Ancestor.model_validate_json(path.read_bytes()) if path.exists() else None


def record(ancestor: Ancestor | None, out: Path) -> None:
    """Note in a pretraining what it goes on from."""
    if ancestor:
        (out / FILE).write_text(ancestor.model_dump_json())


def _mismatch(store: Store, own: Ancestor, config: RunConfig) -> str | None:
    """Why the champion's weights do not fit this run, in words; None where they do."""
    for ref in (own.tokens, own.weights):
        if complaint := store.verify(ref):
            return f"{ref.name} cannot be used ({complaint})"
    about = json.loads((store.path(own.weights) / "config.json").read_text())
    if about["generator"] != config.model_dump(mode="json")["generator"]:
        return "its generator has other settings"
    if about["context"] != config.context:
        return f"its context is {about['context']}, this run's {config.context}"
    tokenizer = Tokenizer.load(store.path(own.tokens))
    if config.tokens.kind not in ("auto", tokenizer.kind) or config.tokens.lowercase != tokenizer.config["lowercase"]:
        return "its tokens are of another kind"
    return None
