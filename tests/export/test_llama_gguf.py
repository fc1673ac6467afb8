"""A transformer as GGUF: what is written is read again, weights to the bit; what llama.cpp cannot know is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_bundle import CONTEXT, generator, tokens
from small_pretrained import write_gguf as write_pretrained

from gdcore.errors import UserError
from gdcore.export.llama_gguf import NEAREST, write_gguf
from gdcore.generators import transformer
from gdcore.networks import llama_gguf
from gdcore.networks.gguf import GGUF
from gdcore.networks.vocabulary import adopt
from gdcore.tokenizer import SPECIALS, Tokenizer


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(request):
    vocab_size = Tokenizer.load(tokens(kind="bpe")).vocab_size
    return generator("transformer", vocab_size, tied=request.param, rope_theta=5000.0, norm_eps=1e-6)


@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_sizes_and_weights_come_back(model, precision, tmp_path: Path):
    write_gguf(model, tokens(kind="bpe"), tmp_path / "m.gguf", precision, "CC0-1.0")
    file = GGUF(tmp_path / "m.gguf")
    sizes = llama_gguf.read_sizes(file)
    assert sizes == {name: getattr(model.config, name) for name in sizes}
    told = dict(llama_gguf.read_weights(file))
    own = model.state_dict()
    assert told.keys() == own.keys()
    for name, weight in told.items():
        expected = own[name].half().float() if precision == "f16" and weight.ndim == 2 else own[name]
        assert torch.equal(torch.from_numpy(np.array(weight)), expected), name
    assert file.metadata["general.license"] == "CC0-1.0"
    assert file.metadata["llama.context_length"] == CONTEXT


def test_the_tokenizer_is_in_it(model, tmp_path: Path):
    write_gguf(model, tokens(kind="bpe"), tmp_path / "m.gguf", "f16", "")
    told = GGUF(tmp_path / "m.gguf").metadata
    tokenizer = Tokenizer.load(tokens(kind="bpe"))
    listed = told["tokenizer.ggml.tokens"]
    assert listed == [tokenizer.token(i) for i in range(tokenizer.vocab_size)]
    assert told["tokenizer.ggml.token_type"] == [3] * len(SPECIALS) + [1] * (len(listed) - len(SPECIALS))
    assert told["tokenizer.ggml.pre"] == NEAREST
    assert all(left + right in listed for left, right in map(str.split, told["tokenizer.ggml.merges"]))
    assert "general.license" not in told


def test_the_same_model_gives_the_same_bytes(model, tmp_path: Path):
    for name in "ab":
        write_gguf(model, tokens(kind="bpe"), tmp_path / name, "f32", "")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_pretrained_model_goes_out_as_it_came_in(tmp_path: Path):
    """From GGUF to GGUF, in which another run begins from the same model; its own splitting keeps its name."""
    start = write_pretrained(tmp_path / "start.gguf")
    tokenizer = adopt(start)
    assert tokenizer is not None
    ours = transformer.Generator(transformer.Config(start=start), tokenizer.vocab_size, CONTEXT).eval()
    tokenizer.save(tmp_path)
    write_gguf(ours, tmp_path, tmp_path / "again.gguf", "f16", "")
    assert GGUF(tmp_path / "again.gguf").metadata["tokenizer.ggml.pre"] == "smollm"
    again = adopt(tmp_path / "again.gguf")
    assert again is not None
    assert again.encode(["the 3rd of March 1953"]) == tokenizer.encode(["the 3rd of March 1953"])
    config = transformer.Config(start=tmp_path / "again.gguf")
    theirs = transformer.Generator(config, again.vocab_size, CONTEXT).eval()
    ids = torch.randint(5, tokenizer.vocab_size, (4, CONTEXT), generator=torch.Generator().manual_seed(0))
    # New tokens stand for the mean, which half precision rounds.
    torch.testing.assert_close(theirs.logits(ids)[..., 5:], ours.logits(ids)[..., 5:], atol=0, rtol=0)


def test_a_tokenizer_that_llama_cpp_does_not_know_is_refused(tmp_path: Path):
    model = generator("transformer", 155)
    with pytest.raises(UserError, match=r"export.gguf: .* tokenizer \(word, WordLevel\) is none of these"):
        write_gguf(model, tokens(), tmp_path / "m.gguf", "f16", "")
    tokenizer = adopt(write_pretrained(tmp_path / "start.gguf"))
    assert tokenizer is not None
    tokenizer.save(tmp_path)
    odd = (tmp_path / "tokenizer.json").read_text().replace('"individual_digits": true', '"individual_digits": false')
    (tmp_path / "tokenizer.json").write_text(odd)
    with pytest.raises(UserError, match=r"tokenizer \(pretrained, BPE\) is none of these"):
        write_gguf(model, tmp_path, tmp_path / "m.gguf", "f16", "")
    assert not (tmp_path / "m.gguf").exists()
