"""Low-rank adapters: they alone learn and are kept; the base is shared, known by its digest, and merged in the end."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_corpus import write_corpus
from small_pretrained import TEXTS, write_folder, write_gguf

from gdcore.adversarial.snapshot import Snapshot
from gdcore.discriminators import cnn
from gdcore.errors import UserError
from gdcore.generators import transformer
from gdcore.networks.lora import Adapted, Config, merged, shared_copy
from gdcore.networks.vocabulary import adopt
from gdcore.objectives import gad
from gdcore.tokens import TokenizerConfig, build_tokens
from gdcore.training.checkpoint import load_generator
from gdcore.training.guard import GuardConfig
from gdcore.training.loops import FinetuneConfig, PretrainConfig
from gdcore.training.phases import run_finetuning, run_pretraining

CONTEXT = 40


@pytest.fixture
def model(tmp_path: Path):
    return built(write_folder(tmp_path / "model"))


def built(start: Path, **adapters):
    torch.manual_seed(0)
    config = transformer.Config(start=start, dropout=0, adapters=Config(rank=2, **adapters))
    return transformer.Generator(config, adopt(start).vocab_size, CONTEXT).eval()


def ids(model) -> torch.Tensor:
    return torch.randint(5, model.vocab_size, (3, 9), generator=torch.Generator().manual_seed(0))


def moved(model):
    """As if something had been learnt."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    return model


def test_it_begins_as_the_model_itself(model):
    plain = transformer.Generator(transformer.Config(start=model.config.start), model.vocab_size, CONTEXT).eval()
    assert torch.equal(model.logits(ids(model)), plain.logits(ids(model)))


def test_rounding_once_is_rounding_each_time(model):
    plain = transformer.Generator(transformer.Config(start=model.config.start), model.vocab_size, CONTEXT).eval()
    with torch.autocast("cpu", torch.bfloat16):
        expected_BTV = plain.logits(ids(model))
        assert torch.equal(model.logits(ids(model)), expected_BTV)
        assert torch.equal(model.logits(ids(model)), expected_BTV)  # from what was kept
    assert torch.equal(model.logits(ids(model)), plain.logits(ids(model)))


def test_an_adapter_adds_what_the_paper_says():
    linear = torch.nn.Linear(3, 2, bias=False)
    adapted = Adapted(linear, Config(rank=1, alpha=4))
    with torch.no_grad():
        linear.weight.zero_()
        adapted.a_RI.copy_(torch.tensor([[1.0, 2.0, 0.0]]))
        adapted.b_OR.copy_(torch.tensor([[1.0], [-1.0]]))
    x_I = torch.tensor([1.0, 1.0, 5.0])  # α/r · B·A·x = 4 · (1, −1) · 3
    assert adapted(x_I).tolist() == [12.0, -12.0]
    assert adapted.merged()(x_I).tolist() == [12.0, -12.0]


def test_the_adapters_alone_learn_and_are_kept(model):
    names = {name for name, _ in model.named_parameters()}
    assert names == set(model.state_dict())
    assert len(names) == 2 * 7 * 2  # two matrices beside each of seven, in two blocks
    assert all(name.endswith(("a_RI", "b_OR")) for name in names)
    base = model.model.embed_tokens.weight.clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(2):  # at first A has no gradient, B being zero
        optimizer.zero_grad()
        model.logits(ids(model)).logsumexp(-1).sum().backward()
        optimizer.step()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
    assert torch.equal(model.model.embed_tokens.weight, base)


def test_the_targets_are_chosen(tmp_path):
    model = built(write_folder(tmp_path / "model"), targets=("q_proj", "v_proj"))
    assert len(list(model.parameters())) == 2 * 2 * 2


def test_snapshots_share_the_base_and_keep_their_own_adapters(model):
    snapshot = Snapshot(model)
    assert snapshot.model.model.embed_tokens.weight is model.model.embed_tokens.weight
    before = snapshot.model.logits(ids(model))
    moved(model)
    assert torch.equal(snapshot.model.logits(ids(model)), before)
    assert set(snapshot.state_dict()) == {f"model.{name}" for name in model.state_dict()}
    snapshot.follow(model)
    assert torch.equal(snapshot.model.logits(ids(model)), model.logits(ids(model)))


def test_a_model_without_adapters_is_copied_as_ever():
    linear = torch.nn.Linear(2, 2)
    copied = shared_copy(linear)
    assert copied.weight is not linear.weight
    assert torch.equal(copied.weight, copy.deepcopy(linear).weight)
    assert merged(linear) is linear


def test_merged_it_stands_alone(model):
    whole = merged(moved(model))
    torch.testing.assert_close(whole.logits(ids(model)), model.logits(ids(model)), atol=1e-4, rtol=1e-4)
    assert whole.config.start is whole.config.adapters is None
    plain = transformer.Generator(whole.config, model.vocab_size, CONTEXT)
    plain.load_state_dict(whole.state_dict())
    assert torch.equal(plain.logits(ids(model)), whole.logits(ids(model)))
    assert any(isinstance(module, Adapted) for module in model.modules())  # the other is as it was


def test_adapters_need_a_model_to_start_from():
    with pytest.raises(ValueError, match=r"beside a pretrained model: name it with generator\.from"):
        transformer.Config(adapters=Config())


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """From a GGUF file: tokens, maximum likelihood, then three turns against a discriminator."""
    root = tmp_path_factory.mktemp("trained")
    start = write_gguf(root / "model.gguf")
    corpus = write_corpus(root / "corpus", TEXTS, TEXTS[:8], TEXTS[:8], prompts=TEXTS[::-1])
    for _ in build_tokens(TokenizerConfig(), corpus, root / "tokens", start):
        pass
    (root / "validation").mkdir()
    for split, num in {"train": len(TEXTS), "valid": 8, "test": 8}.items():
        np.save(root / "validation" / f"kept_{split}.npy", np.arange(num))
    common = {"seed": 0, "device": torch.device("cpu"), "tokens": root / "tokens", "validation": root / "validation"}
    for name in ("pretrained", "finetuned", "work"):
        (root / name).mkdir()
    generator = transformer.Config(start=start, dropout=0, adapters=Config(rank=2))
    pretrain = PretrainConfig(steps=6, batch_size=8, learning_rate=0.02, warmup_steps=1, precision="float32")
    reports = run_pretraining(generator, pretrain, context=64, out=root / "pretrained", work=root / "work", **common)
    assert [progress.done for progress in reports][-1] == 6
    finetune = FinetuneConfig(
        steps=2, warmup_steps=1, batch_size=8, guard=GuardConfig(num_samples=10), precision="float32"
    )
    (root / "work2").mkdir()
    for _ in run_finetuning(
        cnn.Config(embedding_dim=4, num_filters=4),
        gad.Config(),
        finetune,
        pretraining=root / "pretrained",
        out=root / "finetuned",
        work=root / "work2",
        **common,
    ):
        pass
    return root


def test_checkpoints_hold_the_adapters_and_name_the_base(trained):
    about = json.loads((trained / "finetuned" / "config.json").read_text())["generator"]
    assert about["start"] == str(trained / "model.gguf")
    assert len(about["digest"]) == 64
    size = (trained / "model.gguf").stat().st_size
    assert (trained / "finetuned" / "generator.safetensors").stat().st_size < size / 3
    learnt = json.loads((trained / "pretrained" / "summary.json").read_text())
    assert learnt["best_step"] == 6
    one, other = (load_generator(trained / name) for name in ("pretrained", "finetuned"))
    assert not torch.equal(one.logits(ids(one)), other.logits(ids(one)))


def test_adapters_are_refused_beside_another_model(trained, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    for name in ("config.json", "generator.safetensors"):
        (here / name).write_bytes((trained / "pretrained" / name).read_bytes())
    about = json.loads((here / "config.json").read_text())
    about["generator"]["start"] = str(tmp_path / "model.gguf")
    (here / "config.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=r"model\.gguf is no longer there: .* Put that model there again"):
        load_generator(here)
    write_gguf(tmp_path / "model.gguf", llama__rope__freq_base=4000.0)
    with pytest.raises(UserError, match=r"model\.gguf has other bytes than the model that these adapters"):
        load_generator(here)
    write_gguf(tmp_path / "model.gguf")
    assert torch.equal(load_generator(here).logits(ids(load_generator(here))), logits_of(trained / "pretrained"))


def logits_of(checkpoint: Path) -> torch.Tensor:
    model = load_generator(checkpoint)
    return model.logits(ids(model))
