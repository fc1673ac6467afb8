"""The pipeline: text in; validated, pretrained, adversarially fine-tuned, judged, exported, and promoted if better."""

from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.hooks import TELLING
from flows.parameters import Preset, overrides
from flows.presets import resolve
from flows.recording import challenger, finish, recording, run_name
from gdcore.corpora.config import CorpusConfig
from gdcore.training.rehearsal import rehearse
from tasks.ancestry import ancestor_of
from tasks.corpus import read_corpus
from tasks.evaluation import evaluate
from tasks.export import export
from tasks.finetuning import finetune
from tasks.pretraining import pretrain
from tasks.promotion import promote
from tasks.tokens import tokenize
from tasks.validation import validate


@flow(name="train", flow_run_name=run_name, persist_result=False, **TELLING)
def train(
    preset: Preset = "quickstart",
    corpus: CorpusConfig = CorpusConfig(),  # noqa: B008  (frozen)
    seed: Annotated[int, Field(ge=0)] = 0,
    settings: dict[str, Any] = {},  # noqa: B006  (Prefect copies it)
    home: Path = Path(),
    latest: bool = True,
) -> dict[str, Any]:
    """From text to a bundle that generates more of it.

    What has been built from the same text, settings and code is reused.

    Args:
        preset: How much of everything: tiny takes seconds, quickstart minutes, default an hour or more.
        corpus: Your own text; left as it is, the preset's corpus.
        seed: Of every random choice.
        settings: Anything else that should differ from the preset, by key: {"finetune.steps": 200}.
        home: The folder that holds artifacts/ and runs/, seen from where the worker works.
        latest: Whether this run, once finished, is the one that commands take when none is named.
    """
    config = resolve(preset, overrides(corpus.model_dump(exclude_defaults=True), seed, settings))
    with recording(home, preset, config) as run:
        rehearse(config.generator, config.discriminator, config.objective)
        texts = read_corpus(run, config.corpus)
        ancestor = ancestor_of(run, config, texts)
        tokens = tokenize(run, config, texts, ancestor)
        validation = validate(run, config, texts, tokens, config.batch_size)
        pretraining = pretrain(run, config, tokens, validation, ancestor)
        finetuning = finetune(run, config, tokens, validation, pretraining)
        evaluation = evaluate(run, config, texts, tokens, validation, pretraining, finetuning)
        export(run, config, tokens, evaluation, pretraining, finetuning)
        promotion = promote(run, config, challenger(run), texts)
        return finish(run, promotion, latest)
