"""Samples with all that is known of them: verdicts, nearest training texts, spans in characters."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gdcore.batches import make_batch
from gdcore.discriminators import crf
from gdcore.evaluation.gallery import Critic, TrainingTexts, differing, gallery
from gdcore.tokenizer import BOS, EOS, SEP, Tokenizer
from gdcore.tokens import TokenizerConfig, build_tokens
from gdcore.training.checkpoint import load_discriminator, save_weights
from tests.small_corpus import write_corpus

TRAIN = ["The cat sat.", "A dog ran, fast!", "Hello, world."] * 3


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tokens stage and a finetuning stage whose discriminator labels tokens at random."""
    root = tmp_path_factory.mktemp("gallery")
    corpus, tokens, trained = write_corpus(root / "corpus", TRAIN), root / "tokens", root / "finetuning"
    tokens.mkdir()
    trained.mkdir()
    for _ in build_tokens(TokenizerConfig(kind="word", min_count=1), corpus, tokens):
        pass
    torch.manual_seed(0)
    config, vocab_size = crf.Config(embedding_dim=8, hidden_dim=8), Tokenizer.load(tokens).vocab_size
    save_weights(crf.Discriminator(config, vocab_size), trained / "discriminator.safetensors")
    about = {"discriminator": config.model_dump(), "vocab_size": vocab_size, "context": 12}
    (trained / "config.json").write_text(json.dumps(about))
    return tokens, trained


def test_the_critic_reads_the_whole_sequence(folders: tuple[Path, Path]) -> None:
    tokens, trained = folders
    texts, prompts = ["The cat ran, fast!", "Hello dog.", ""], [None, "A cat", "A"]
    logits = Critic(trained, tokens, "cpu")({"texts": texts, "prompts": prompts})
    tokenizer, discriminator = Tokenizer.load(tokens), load_discriminator(trained)
    for text, prompt, logit in zip(texts, prompts, logits):
        given = [*tokenizer.encode([prompt])[0], SEP] if prompt else []
        ids = torch.tensor([[BOS, *given, *tokenizer.encode([text])[0], EOS]])
        batch = make_batch(ids, torch.tensor([ids.shape[1]]), torch.tensor([1]))
        assert float(discriminator(batch.tokens_BT, batch.mask_BT).detach()) == pytest.approx(logit, abs=1e-5)


def test_a_text_longer_than_the_context_is_cut(folders: tuple[Path, Path]) -> None:
    tokens, trained = folders
    critic = Critic(trained, tokens, "cpu")
    long, cut = critic({"texts": ["cat " * 50, "cat " * 10], "prompts": [None, None]})
    assert long == pytest.approx(cut, abs=1e-5)


def test_spans_are_the_characters_of_the_tokens(folders: tuple[Path, Path]) -> None:
    tokens, trained = folders
    critic = Critic(trained, tokens, "cpu")

    class Accuser:
        """Calls every token a span of its own, but for BOS, prompt and SEP: four of them, the last is EOS."""

        def spans(self, tokens_BT: torch.Tensor, mask_BT: torch.Tensor) -> list[list[tuple[int, int, float]]]:
            return [[(0, 2, 0.5), *((t, t + 1, 0.9) for t in range(4, int(row.sum())))] for row in mask_BT]

    critic.discriminator = Accuser()
    text = "Hello,  unknown cat!"
    (found,) = critic.spans({"texts": [text], "prompts": ["A dog"]}) or []
    assert [text[start:end] for start, end, _ in found] == ["Hello", ",", "unknown", "cat", "!"]
    assert {p for *_, p in found} == {0.9}


def test_samples_carry_what_is_known_of_them(folders: tuple[Path, Path]) -> None:
    tokens, trained = folders
    shown = {"texts": ["the cat ran.", ""], "prompts": [None, None]}
    first, empty = gallery(
        shown, Critic(trained, tokens, "cpu"), np.array([1.0, -1.0]), (2.0, -1.0), TrainingTexts(TRAIN, "nltk")
    )
    assert (first["text"], first["logit"], first["probability"]) == ("the cat ran.", 1.0, 0.7311)
    assert first["nearest"] == {"text": "The cat sat.", "distance": 0.25, "differs": [(8, 11)]}
    assert empty["nearest"] is None
    assert all(0 <= start < end <= len(first["text"]) for start, end, _ in first["spans"])


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("A cat sat.", "a cat sat .", []),
        ("A big cat sat.", "a cat sat .", ["big"]),
        ("One, two, three", "one , zero", ["two, three"]),
        ("x y", "", ["x y"]),
    ],
)
def test_what_differs_is_found_in_the_text(text: str, other: str, expected: list[str]) -> None:
    from gdcore.evaluation.words import split

    spans = differing(text, split([text], "words")[0], other.split())
    assert [text[start:end] for start, end in spans] == expected
