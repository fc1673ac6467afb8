"""A pretrained model's tokenizer under our ids: the same pieces of text, our special tokens, none of them forged."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_bundle import tokens as fitted_tokens
from small_pretrained import SPECIAL, TEXTS, tokenizer, write_folder, write_gguf

from gdcore.errors import UserError
from gdcore.networks.vocabulary import NEW, adopt, read
from gdcore.tokenizer import SPECIALS, Tokenizer

ODD = [*SPECIAL, *SPECIALS, " ", "  ", "\n", "1953", "中文", "é", "a rose", "'s"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("pretrained") / "model")


def test_roles_go_to_what_the_model_declares_then_to_spare_tokens_then_to_new_ones(folder):
    own = read(folder)
    assert own.stands_for == {"<bos>": "<|start|>", "<eos>": "<|end|>", "<unk>": "<|file|>"}
    assert own.rows_V[:5].tolist() == [NEW, 0, 1, 2, NEW]
    # The others as they were, each once.
    assert own.rows_V[5:].tolist() == list(range(3, tokenizer().get_vocab_size()))
    told = adopt(folder).config
    assert told["kind"] == "pretrained"
    assert "<bos> is its <|start|>" in told["why"]


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(ODD)).map("".join)))
def test_a_text_has_the_models_pieces_and_comes_back(folder, text):
    own, ours = read(folder), adopt(folder)
    theirs = tokenizer()
    ids = ours.encode([text])[0]
    assert min(ids, default=5) >= 5
    if not any(special in text for special in SPECIAL):  # their own tokenizer looks for these inside the text
        assert [int(own.rows_V[i]) for i in ids] == theirs.encode(text, add_special_tokens=False).ids
    assert ours.decode(ids) == text


def test_gguf_brings_the_same_tokenizer(folder, tmp_path: Path):
    ours, theirs = adopt(folder), adopt(write_gguf(tmp_path / "model.gguf"))
    assert theirs.encode(TEXTS) == ours.encode(TEXTS)
    assert theirs.backend.get_vocab() == ours.backend.get_vocab()
    theirs.save(tmp_path)
    assert Tokenizer.load(tmp_path).encode(TEXTS) == ours.encode(TEXTS)


def test_lower_case_on_demand(folder):
    assert adopt(folder, lowercase=True).encode(["A Rose"]) == adopt(folder).encode(["a rose"])


def test_a_tokenizer_of_our_own_stays_as_it_is():
    own = read_with_config(fitted_tokens())
    assert own.rows_V.tolist() == list(range(len(own.rows_V)))


def read_with_config(folder: Path):
    """What stands beside a checkpoint that gdflow wrote: `tokenizer.json` alone counts, its tokens bear our names."""
    assert not (folder / "config.json").exists()
    return read(folder)


def test_a_name_of_ours_that_means_something_else_is_not_taken_for_ours(folder, tmp_path: Path):
    parsed = json.loads((folder / "tokenizer.json").read_text())
    parsed["added_tokens"][1]["content"] = "<pad>"  # and declared to end texts
    parsed["model"]["vocab"] = {"<pad>" if t == "<|end|>" else t: i for t, i in parsed["model"]["vocab"].items()}
    (tmp_path / "tokenizer.json").write_text(json.dumps(parsed))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<pad>"}))
    own = read(tmp_path)
    assert own.stands_for["<eos>"] == "<pad>"
    assert own.stands_for.get("<pad>") != "<pad>"
    assert adopt(tmp_path).decode(adopt(tmp_path).encode(["a <pad> b"])[0]) == "a <pad> b"


def test_what_is_not_known_is_refused_in_words(folder, tmp_path: Path):
    with pytest.raises(UserError, match=r"scheme 'llama' that splits text by 'smollm'.*tokenizer\.json, instead"):
        adopt(write_gguf(tmp_path / "a.gguf", tokenizer__ggml__model="llama"))
    with pytest.raises(UserError, match="by 'qwen2'; from GGUF gdflow takes 'gpt2' with one of gpt-2, smollm"):
        adopt(write_gguf(tmp_path / "b.gguf", tokenizer__ggml__pre="qwen2"))
    with pytest.raises(UserError, match=r"holds 2 GGUF files; name one"):
        adopt(tmp_path)
    with pytest.raises(UserError, match=r"there is no .*nowhere; expected a folder .* or a GGUF file"):
        adopt(tmp_path / "nowhere")
    parsed = json.loads((folder / "tokenizer.json").read_text())
    (tmp_path / "u").mkdir()
    (tmp_path / "u" / "tokenizer.json").write_text(json.dumps(parsed | {"model": {"type": "Unigram", "vocab": []}}))
    with pytest.raises(UserError, match="is a Unigram"):
        adopt(tmp_path / "u")
    (tmp_path / "u" / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="is no JSON"):
        adopt(tmp_path / "u")
