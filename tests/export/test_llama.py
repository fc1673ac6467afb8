"""Llama's layout: what is written is read again, Hugging Face reads it alike; a wrong folder is refused in words."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import toy
from small_bundle import CONTEXT, generator, tokens
from small_pretrained import weights, write_folder, write_gguf

from gdcore.errors import UserError
from gdcore.export.llama import write_llama
from gdcore.generators import transformer
from gdcore.networks import llama
from gdcore.networks.vocabulary import adopt, read
from gdcore.training.checkpoint import load_generator
from gdcore.training.loops import PretrainConfig
from gdcore.training.phases import run_pretraining

VOCAB = 155  # as many as `tokens()` has


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(request):
    return generator("transformer", VOCAB, tied=request.param, rope_theta=5000.0, norm_eps=1e-6)


@pytest.fixture
def folder(model, tmp_path: Path) -> Path:
    write_llama(model, tokens(), tmp_path / "llama")
    return tmp_path / "llama"


def ids(vocab_size: int = VOCAB) -> torch.Tensor:
    return torch.randint(5, vocab_size, (4, CONTEXT), generator=torch.Generator().manual_seed(0))


def test_whoever_reads_one_file_reads_all(folder):
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_training_starts_from_what_was_written(model, folder):
    config = transformer.Config.model_validate({"from": str(folder), "dropout": 0.25})
    again = transformer.Generator(config, VOCAB, CONTEXT).eval()
    assert torch.equal(again.logits(ids()), model.logits(ids()))
    assert again.config == model.config.model_copy(update={"dropout": 0.25})
    assert again.config.start is None  # its own checkpoint does not need the folder
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert set(llama.identity(folder)) == names


def test_pretraining_starts_there_and_its_checkpoint_stands_alone(tmp_path: Path):
    toy_tokens, validation = toy.write_toy(tmp_path / "toy")
    model = transformer.Generator(toy.TINY["transformer"], toy.VOCAB, toy.CONTEXT)
    write_llama(model, toy_tokens, tmp_path / "llama")
    out = tmp_path / "out"
    out.mkdir()
    for _ in run_pretraining(
        transformer.Config(start=tmp_path / "llama"),
        PretrainConfig(steps=1, batch_size=8, learning_rate=1e-9, precision="float32"),
        context=toy.CONTEXT,
        seed=0,
        device=torch.device("cpu"),
        tokens=toy_tokens,
        validation=validation,
        out=out,
        work=tmp_path,
    ):
        pass
    shutil.rmtree(tmp_path / "llama")
    trained = load_generator(out)
    assert trained.config.num_layers == model.config.num_layers
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], weight, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "model_type 'gpt2'; this run needs 'llama'"),
        ({"attention_bias": True}, "attention_bias True"),
        ({"head_dim": 8}, "head_dim 8; this run needs 4"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "rope_type 'llama3'"),
        ({"num_hidden_layers": None}, "lacks num_hidden_layers"),
        ({"num_hidden_layers": 1}, "not those of its sizes"),
        ({"intermediate_size": 25}, "_proj.weight in .* make it"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(folder, change, message):
    values = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps({key: v for key, v in values.items() if v is not None}))
    with pytest.raises(UserError, match=message):
        transformer.Generator(transformer.Config.model_validate({"from": folder}), VOCAB, CONTEXT)


def test_a_model_of_another_vocabulary_is_refused(folder):
    config = transformer.Config(start=folder)
    with pytest.raises(UserError, match=f"has a vocabulary of {VOCAB} tokens; this run's has 60"):
        transformer.Generator(config, 60, CONTEXT)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=f"vocab_size {VOCAB}; this run needs 60"):
        transformer.Generator(config, 60, CONTEXT)
    assert transformer.Generator(config, VOCAB, CONTEXT).vocab_size == VOCAB


def test_gguf_gives_the_same_model(tmp_path: Path):
    """Its rotary weights are in another order, its sizes have other names; its matrices are in half precision."""
    paths = write_folder(tmp_path / "folder"), write_gguf(tmp_path / "model.gguf")
    vocab_size = adopt(paths[0]).vocab_size
    ours, theirs = (transformer.Generator(transformer.Config(start=path), vocab_size, CONTEXT).eval() for path in paths)
    assert ours.config == theirs.config
    tokens_BT = ids(vocab_size)
    assert torch.equal(theirs.logits(tokens_BT), ours.logits(tokens_BT))
    # Tokens that the model has have its rows, under their new ids; the others are the mean.
    rows_V, own_VD = read(paths[0]).rows_V, weights(vocab_size - 2)["model.embed_tokens.weight"]
    embedding_VD = ours.model.embed_tokens.weight
    assert torch.equal(embedding_VD[5:], own_VD[torch.from_numpy(rows_V[5:])])
    torch.testing.assert_close(embedding_VD[0], own_VD.mean(dim=0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"general__architecture": "qwen2"}, "says architecture 'qwen2'; this run needs 'llama'"),
        ({"llama__rope__scaling__type": "yarn"}, "rope.scaling.type 'yarn'; this run needs 'none'"),
        ({"llama__attention__key_length": 16}, "attention.key_length 16; this run needs 8"),
        ({"llama__block_count": 1}, "not those of its sizes"),
        ({"llama__feed_forward_length": 40}, "its sizes make it"),
    ],
)
def test_a_gguf_of_another_kind_is_refused(change, message, tmp_path: Path):
    path = write_gguf(tmp_path / "model.gguf", **change)
    with pytest.raises(UserError, match=message):
        transformer.Generator(transformer.Config(start=path), adopt(path).vocab_size, CONTEXT)


def test_a_folder_without_weights_or_config_is_refused(folder):
    with pytest.raises(UserError, match=r"has no config\.json"):
        llama.identity(folder.parent)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"has no \*\.safetensors"):
        llama.identity(folder)


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="even multiple of num_heads"):
        transformer.Config(hidden_dim=18, num_heads=4)
    with pytest.raises(ValueError, match="must divide num_heads"):
        transformer.Config(num_heads=2, num_kv_heads=3)


@pytest.mark.slow
def test_hugging_face_opens_it_and_back(model, folder, tmp_path: Path):
    """Equal logits there; what it saves starts a model here; its cached greedy decoding is ours."""
    transformers = pytest.importorskip("transformers")
    theirs = transformers.LlamaForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        logits_BTV = theirs(ids()).logits
    torch.testing.assert_close(model.logits(ids()), logits_BTV, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.01)
        changed_BTV = theirs(ids()).logits
    theirs.save_pretrained(tmp_path / "saved")
    shutil.rmtree(folder)
    again = transformer.Generator(transformer.Config(start=tmp_path / "saved"), VOCAB, CONTEXT).eval()
    torch.testing.assert_close(again.logits(ids()), changed_BTV, atol=1e-5, rtol=1e-5)
    written = theirs.generate(ids()[:, :2], do_sample=False, max_new_tokens=10, eos_token_id=None, suppress_tokens=None)
    state = again.initial_state(4)
    for t in range(11):
        logits_BV, state = again.step(written[:, t], state)
        if t > 0:
            assert torch.equal(logits_BV.argmax(-1), written[:, t + 1])
