"""Configuration: precedence, plug-ins by name, and errors that say what was meant."""

from pathlib import Path

import pytest

from flows.parameters import checked
from flows.presets import load_preset, preset_names, resolve
from gdcore.config import RunConfig
from gdcore.errors import UserError


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_resolves_and_says_only_what_differs(name):
    needed = {"generator.from": "some.gguf"} if name == "pretrained" else {}
    assert resolve(name, needed) != RunConfig() or name == "default"
    assert "extends" not in load_preset(name)


def test_a_preset_for_a_pretrained_model_asks_for_it():
    with pytest.raises(UserError, match=r"beside a pretrained model: name it with generator\.from"):
        resolve("pretrained", {})


def test_overrides_beat_the_preset_which_beats_the_defaults():
    config = resolve("tiny", {"finetune.steps": 3, "finetune": {"batch_size": 4}})
    assert (config.finetune.steps, config.finetune.batch_size) == (3, 4)
    assert config.finetune.warmup_steps == load_preset("tiny")["finetune"]["warmup_steps"]
    assert config.finetune.clip_norm == RunConfig().finetune.clip_norm


def test_another_plugin_starts_from_its_own_defaults():
    config = resolve("tiny", {"discriminator.name": "causal_lstm"})
    assert config.discriminator.name == "causal_lstm"
    assert config.discriminator.embedding_dim == 64


def test_a_resolved_configuration_reads_back_the_same():
    config = resolve("tiny", {"objective.name": "seqgan", "discriminator.name": "causal_lstm"})
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"finetune.stepz": 1}, r"finetune\.stepz: no such key; did you mean steps\?"),
        ({"finetune.guard.evry": 1}, r"finetune\.guard\.evry: no such key; did you mean every\?"),
        ({"generator.hidden": 1}, r"generator\.hidden: no such key; did you mean hidden_dim\?"),
        ({"nonsense": 1}, r"nonsense: no such key; there are seed, corpus"),
        (
            {"objective.name": "segan"},
            r"objective\.name: there is no objective named 'segan'; there are .*'gad', .*'seqgan'",
        ),
        ({"pretrain.steps": -5}, r"pretrain\.steps: .*greater than or equal to 1, not -5"),
        ({"pretrain.learning_rate": "fast"}, r"pretrain\.learning_rate: .*number.*'fast'"),
        ({"generator": 3}, r"generator: .*not 3"),
    ],
)
def test_errors_name_the_key_and_the_remedy(overrides, message):
    with pytest.raises(UserError, match=message):
        resolve("tiny", overrides)


def test_an_unknown_preset_is_refused_with_those_there_are():
    with pytest.raises(UserError, match=r"no preset named 'quickstat'; there are .*classify, coco, default, .*tiny"):
        resolve("quickstat", {})


def test_a_bare_off_is_off_and_not_false() -> None:
    from flows.console import settings

    assert resolve("default", settings(["promotion.mode=off"])).promotion.mode == "off"
    with pytest.raises(UserError, match=r"promotion\.mode"):
        resolve("default", settings(["promotion.mode=on"]))


def test_parts_are_for_several_processes():
    with pytest.raises(UserError, match="set processes to more"):
        resolve("tiny", {"sharded": True})
    assert resolve("tiny", {"sharded": True, "processes": 2}).sharded


def test_what_other_programs_cannot_open_is_refused_before_the_run():
    with pytest.raises(
        UserError, match=r"export\.genai is for models in Llama's layout: set generator\.name=transformer"
    ):
        resolve("tiny", {"export.genai": True})
    as_transformer = {"export.gguf": "f16", "generator.name": "transformer"}
    with pytest.raises(UserError, match=r"knows byte pairs alone: set tokens\.kind=bpe"):
        resolve("tiny", as_transformer)
    assert resolve("tiny", as_transformer | {"tokens.kind": "bpe"}).export.gguf == "f16"
    assert resolve("tiny", as_transformer | {"generator.from": "some.gguf"}).export.gguf == "f16"
    with pytest.raises(UserError, match=r"export\.gguf: .*'f32'.*'f16'"):
        resolve("tiny", as_transformer | {"export.gguf": "q4"})


def test_files_are_named_from_the_root_for_whoever_stands_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "texts.txt").write_text("One text.\n")
    monkeypatch.chdir(tmp_path)
    corpus = checked("tiny", {"paths": ["*.txt"], "pii": "mask"}, {}, 0, Path("home"))["corpus"]
    assert corpus.paths == (f"{tmp_path}/*.txt",)
    assert corpus.pii == "mask"
