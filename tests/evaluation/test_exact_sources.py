"""From a corpus that was drawn to the figures that only such a corpus has."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gdcore.corpora import drawn
from gdcore.corpora.build import CorpusConfig, build_corpus
from gdcore.corpora.exact import Verdict
from gdcore.decoding import Decoding
from gdcore.discriminators import cnn
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Sampling, figures
from gdcore.evaluation.models import EvaluationConfig, evaluate_models
from gdcore.generators import lstm
from gdcore.metrics import nll_oracle
from gdcore.shards import Shards
from gdcore.tokenizer import Tokenizer
from gdcore.tokens import TokenizerConfig, build_tokens
from gdcore.training.checkpoint import save_weights

ORACLE = {"train": 80, "valid": 30, "test": 40, "vocab_size": 60, "dim": 5, "length": 6}
GRAMMAR = {"train": 80, "valid": 30, "test": 40}
CONTEXT = 64


def write_inputs(root: Path, **corpus: Any) -> dict[str, Path]:
    """Everything that comes before evaluation, both models random."""
    folders = {name: root / name for name in ("corpus", "tokens", "validation", "pretraining", "finetuning")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    for _ in build_corpus(CorpusConfig.model_validate(corpus), folders["corpus"]):
        pass
    for _ in build_tokens(TokenizerConfig(kind="word", min_count=1), folders["corpus"], folders["tokens"]):
        pass
    for split in ("train", "valid", "test"):
        np.save(folders["validation"] / f"kept_{split}.npy", np.arange(len(Shards.open(folders["tokens"], split))))
    vocab_size = Tokenizer.load(folders["tokens"]).vocab_size
    config, judge = lstm.Config(embedding_dim=6, hidden_dim=8), cnn.Config(embedding_dim=4, num_filters=3, widths=(2,))
    save_weights(cnn.Discriminator(judge, vocab_size), folders["finetuning"] / "discriminator.safetensors")
    for seed, model in enumerate(("pretraining", "finetuning")):
        torch.manual_seed(seed)
        save_weights(lstm.Generator(config, vocab_size, CONTEXT), folders[model] / "generator.safetensors")
        about = {"generator": config.model_dump(), "vocab_size": vocab_size, "context": CONTEXT}
        (folders[model] / "config.json").write_text(json.dumps(about | {"discriminator": judge.model_dump()}))
        (folders[model] / "summary.json").write_text(json.dumps({"stopped": None}))
        (folders[model] / "metrics.jsonl").write_text('{"step": 1, "generator_nll": 3.0}\n')
    return folders


@pytest.mark.parametrize("corpus", [{"oracle": ORACLE}, {"grammar": GRAMMAR}], ids=["oracle", "grammar"])
def test_a_corpus_that_was_drawn_is_evaluated_by_what_it_was_drawn_from(tmp_path: Path, corpus: dict[str, Any]) -> None:
    folders = write_inputs(tmp_path, **corpus)
    decodings = Decoding(), Decoding(temperature=0.8), Decoding(candidates=2)
    config = EvaluationConfig(protocol="oracle", num_samples=12, decodings=decodings)
    for _ in evaluate_models(config, **folders, out=tmp_path / "out", seed=1):
        pass
    result = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    real, plain, cold, best, *_ = (row["metrics"] for row in result["rows"])
    assert real["in_language"]["value"] == 1
    assert "nll_tempered" not in real
    assert "nll_tempered" not in best, "the likelihood of a choice among candidates is not known"
    assert plain["nll_tempered"]["value"] != cold["nll_tempered"]["value"]
    assert plain["nll"] == cold["nll"], "which is the model's own at any temperature"
    source = drawn.kept(folders["corpus"])
    assert source is not None
    texts = (tmp_path / "out" / "samples" / "pretrained_t0.8.txt").read_text().splitlines()
    nll_N, tokens_N, own_N = source.judge(texts)
    assert cold["in_language"]["value"] == own_N.mean()
    assert own_N.mean() < 1
    if "oracle" in corpus:  # a random model writes words of the oracle, which all have a probability
        assert cold["nll_oracle"]["value"] == pytest.approx(nll_N.sum() / tokens_N.sum())
        assert cold["nll_oracle"]["value"] > real["nll_oracle"]["value"]
        assert [curve["model"] for curve in result["frontier"]["oracle"]["curves"]] == ["pretrained", "finetuned"]


def test_every_word_of_the_source_is_a_token(tmp_path: Path) -> None:
    folders = write_inputs(tmp_path, oracle={**ORACLE, "vocab_size": 3000, "train": 20})
    assert Tokenizer.load(folders["tokens"]).vocab_size == 5 + 3000
    told = json.loads((folders["tokens"] / "summary.json").read_text())
    assert set(told["unk_rate"].values()) == {0}


def test_texts_without_probability_are_counted_and_left_out_of_the_sum() -> None:
    verdict = Verdict(
        np.array([6.0, np.inf, 2.0, 0.0]), np.array([3.0, 4.0, 2.0, 0.0]), np.array([True, False, True, False])
    )
    samples = [["a"], ["b"], ["c"], []]

    def found(verdict: Verdict) -> dict[str, float]:
        measured = nll_oracle.score(nll_oracle.Config(), Evidence(samples, samples, oracle=lambda: verdict))
        return {name: figure["value"] for name, figure in figures(measured, Sampling()).items()}

    assert found(verdict) == pytest.approx({"nll_oracle": 8 / 5, "in_language": 0.5})
    assert found(verdict._replace(nll_N=np.full(4, np.inf), own_N=np.zeros(4, bool))) == {"in_language": 0}
    assert nll_oracle.score(nll_oracle.Config(), Evidence(samples, samples)) == {}
