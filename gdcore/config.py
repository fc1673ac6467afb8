"""The configuration of a run: one frozen tree, each part owned by the module that reads it.

Precedence: typed defaults ← preset ← overrides (`finetune.steps=200`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, Self

from pydantic import AfterValidator, Field, model_validator

from gdcore import plugins
from gdcore.classification.training import ClassificationConfig
from gdcore.corpora.config import CorpusConfig
from gdcore.discriminators import cnn
from gdcore.evaluation.models import EvaluationConfig
from gdcore.explain import parsed
from gdcore.export.bundle import ExportConfig
from gdcore.facts import ValidationConfig
from gdcore.generators import lstm
from gdcore.mirror import without_secrets
from gdcore.objectives import gad
from gdcore.release.promotion import PromotionConfig
from gdcore.settings import Settings
from gdcore.tokens import TokenizerConfig
from gdcore.training.loops import FinetuneConfig, PretrainConfig

if TYPE_CHECKING:

    class AnyGenerator(Protocol):
        @property
        def name(self) -> str: ...

    class AnyDiscriminator(AnyGenerator, Protocol): ...

    class AnyObjective(AnyGenerator, Protocol): ...

else:
    AnyGenerator = plugins.union("generators")
    AnyDiscriminator = plugins.union("discriminators")
    AnyObjective = plugins.union("objectives")


class RunConfig(Settings):
    """Everything that a run depends on, machine apart."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of every random choice in training, sampling and evaluation."""
    corpus: CorpusConfig = CorpusConfig()
    """Which text, and how it is cleaned and split."""
    tokens: TokenizerConfig = TokenizerConfig()
    """How text becomes ids."""
    context: int = Field(default=64, ge=4)
    """Longest sequence in tokens, prompt, BOS and EOS included; longer texts are quarantined."""
    validation: ValidationConfig = ValidationConfig()
    """What the corpus must be like."""
    generator: AnyGenerator = lstm.Config()
    """The network that writes."""
    pretrain: PretrainConfig = PretrainConfig()
    """Its training by maximum likelihood."""
    discriminator: AnyDiscriminator = cnn.Config()
    """The network that judges; for `gdflow classify`, the one that tells classes apart."""
    objective: AnyObjective = gad.Config()
    """What the two minimise when they play against each other."""
    finetune: FinetuneConfig = FinetuneConfig()
    """Their alternation."""
    classification: ClassificationConfig = ClassificationConfig()
    """How a classifier learns its labels: `gdflow classify` alone."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How the models are measured, and selected."""
    export: ExportConfig = ExportConfig()
    """What the bundle holds."""
    promotion: PromotionConfig = PromotionConfig()
    """When the bundle becomes the champion."""
    processes: int = Field(default=1, ge=1)
    """Processes that share each training, one a GPU where there are any; batches are shared among them. Not part of any
    recipe."""
    sharded: bool = False
    """In pretraining each of several processes holds a part of weights, gradients and optimiser, not all: for a model
    that is too large otherwise. Not part of any recipe."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; `auto` takes a GPU if there is one. Not part of any recipe."""

    mirror: Annotated[str, AfterValidator(without_secrets)] = ""
    """Address of a store that several machines share (s3://bucket/folder): what is there is fetched rather than built,
    what is built is copied there. Not part of any recipe."""

    @property
    def batch_size(self) -> int:
        """The largest batch that the pipeline learns from."""
        return max(self.pretrain.batch_size, self.finetune.batch_size if self.finetune.steps else 0)

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.sharded and self.processes == 1:
            raise ValueError("sharded leaves a part of the model to each of several processes: set processes to more")
        if self.pretrain.warm_start and getattr(self.generator, "start", None):
            raise ValueError("generator.from and pretrain.warm_start both say whose weights come first: give one")
        asked = [f"export.{key}" for key in ("gguf", "genai") if getattr(self.export, key)]
        if asked and self.generator.name != "transformer":
            raise ValueError(f"{asked[0]} is for models in Llama's layout: set generator.name=transformer too")
        if self.export.gguf and self.tokens.kind != "bpe" and not getattr(self.generator, "start", None):
            raise ValueError("export.gguf is for llama.cpp, which knows byte pairs alone: set tokens.kind=bpe too")
        return self

    @model_validator(mode="before")
    @classmethod
    def _named_parts(cls, values: Any) -> Any:
        """Let a part be given without its name: then the name is the default's."""
        if not isinstance(values, Mapping):
            return values
        defaults = {name: cls.model_fields[name].default for name in ("generator", "discriminator", "objective")}
        named = {
            name: {"name": default.name, **values[name]}
            for name, default in defaults.items()
            if isinstance(values.get(name), Mapping)
        }
        return {**values, **named}


def resolve(preset: Mapping[str, Any], overrides: Mapping[str, Any]) -> RunConfig:
    """The run that a preset and overrides describe; override keys may be dotted (`{"finetune.steps": 200}`).

    Raises UserError that names the key, what was expected and, for an unknown key, the one probably meant.
    """
    values = _plain(preset)
    for key, value in overrides.items():
        values = _merged(values, _nested(key, value))
    return parsed(RunConfig, values)


def _nested(key: str, value: Any) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys of a preset, too, as nested ones."""
    plain: dict[str, Any] = {}
    for key, value in values.items():
        plain = _merged(plain, _nested(key, value))
    return plain


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, part by part. A part that changes its `name` starts anew: it is another plug-in."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(below, Mapping)
            and value.get("name", below.get("name")) == below.get("name")
        ):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged
