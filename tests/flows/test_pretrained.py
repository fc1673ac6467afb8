"""A pretrained model through the whole pipeline: a tiny one, and a real one that the environment names.

GDFLOW_GGUF=SmolLM2-135M-Instruct.Q4_1.gguf pytest -m slow tests/flows/test_pretrained.py
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from small_pretrained import write_gguf

from benchmarks.exercises import pairs
from gdcore.corpora.config import CorpusConfig
from gdcore.generators import transformer
from gdcore.networks.vocabulary import adopt, read
from gdcore.serving.session import Session
from gdcore.tokenizer import SPECIALS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
QUESTIONS = ["The capital of France is", "def fibonacci(n):\n    ", "In 1969 the first 12 men"]


def write_pairs(path: Path, number: int) -> Path:
    rows = [json.dumps({"prompt": prompt, "text": answer}) for prompt, answer in pairs("dates", number)]
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def run(home: Path, model: Path, number: int, **settings: Any) -> dict[str, Any]:
    from flows.train import train

    texts = write_pairs(home / "dates.jsonl", number)
    corpus = CorpusConfig(paths=(str(texts),), prompt_column="prompt", valid_fraction=0.15, test_fraction=0.15)
    small = {
        "generator.from": str(model),
        "pretrain.batch_size": 8,
        "pretrain.warmup_steps": 1,
        "finetune.steps": 1,
        "finetune.warmup_steps": 1,
        "finetune.batch_size": 4,
        "finetune.guard.num_samples": 10,
        "evaluation.decodings": [{"temperature": 0}],
        "export.parity_texts": 4,
    }
    return train(preset="pretrained", corpus=corpus, settings=small | settings, home=home)


def test_a_tiny_one_goes_all_the_way(prefect_server: str, tmp_path: Path) -> None:
    model = write_gguf(tmp_path / "model.gguf")
    result = run(tmp_path, model, 120, **{"pretrain.steps": 10, "context": 128})
    folder = tmp_path / "runs" / "latest"
    told = json.loads((folder / "bundle" / "manifest.json").read_text())
    # Merged: the bundle needs no base, and does not say where one lay.
    assert told["generator"]["start"] is told["generator"]["adapters"] is None
    assert told["generator"]["hidden_dim"] == 32
    assert str(tmp_path) not in (folder / "bundle" / "manifest.json").read_text()
    assert len(Session(folder / "bundle").generate(prompts=["April the first , 2 0 3 8"] * 3, temperature=1)) == 3
    assert result["stages"]["tokens"]["state"] == "built"
    # A model counts by what is in it, not by where it lies.
    moved = model.rename(tmp_path / "elsewhere.gguf")
    again = run(tmp_path, moved, 120, **{"pretrain.steps": 10, "context": 128})
    assert {stage["state"] for stage in again["stages"].values()} == {"reused"}


@pytest.fixture(scope="module")
def real() -> Path:
    path = os.environ.get("GDFLOW_GGUF")
    if not path:
        pytest.skip("GDFLOW_GGUF names no GGUF file of a model of Llama's architecture")
    return Path(path)


def test_a_real_ones_tokenizer_gives_every_text_back(real: Path) -> None:
    ours, own = adopt(real), read(real)
    texts = [*QUESTIONS, *SPECIALS, *own.stands_for.values(), "  Ünïcödé 中文 🇩🇪  ", "1234567"]
    rows = ours.encode(texts)
    assert [ours.decode(row) for row in rows] == texts
    assert min(min(row) for row in rows) >= len(SPECIALS)


def test_a_real_one_computes_what_the_reference_computes(real: Path) -> None:
    """Logits and greedy tokens of Hugging Face's model, which reads GGUF by code of its own."""
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        real.parent, gguf_file=real.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    tokenizer, rows_V = adopt(real), torch.from_numpy(read(real).rows_V)
    known_V = rows_V >= 0
    ours = transformer.Generator(transformer.Config(start=real, dropout=0), tokenizer.vocab_size, 64).eval()
    for prompt in QUESTIONS:
        ids_BT = torch.tensor(tokenizer.encode([prompt]))
        with torch.no_grad():
            logits_V = ours.logits(ids_BT)[0, -1][known_V]
            theirs_V = theirs(rows_V[ids_BT]).logits[0, -1][rows_V[known_V]]
        torch.testing.assert_close(logits_V, theirs_V, atol=2e-3, rtol=1e-3)
        assert int(logits_V.argmax()) == int(theirs_V.argmax())


def test_a_real_one_goes_all_the_way(real: Path, prefect_server: str, tmp_path: Path) -> None:
    result = run(tmp_path, real, 120, **{"pretrain.steps": 8, "pretrain.eval_every": 8})
    steps = [json.loads(line) for line in (tmp_path / "runs" / "latest" / "metrics.jsonl").read_text().splitlines()]
    learnt = [line["generator_nll"] for line in steps if line["stage"] == "pretraining"]
    assert learnt[-1] < learnt[0] / 2
    assert Session(result["bundle"]).generate(prompts=["April the first , 2 0 3 8"], temperature=0)[0]
    sizes = [path.stat().st_size for path in tmp_path.glob("artifacts/*/*/generator.safetensors")]
    assert len(sizes) == 2
    assert max(sizes) < real.stat().st_size / 5
