"""`model_card.md`: what the manifest says, and nothing that it does not."""

import json
from pathlib import Path

from small_bundle import exported

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.export.card import model_card
from gdcore.export.provenance import provenance

REAL = {"bleu_4": {"value": 0.5, "low": 0.4, "high": 0.6}, "copy_rate": {"value": 0.01, "low": None, "high": None}}
OURS = REAL | {"nll": {"value": 3.21, "low": 3.1, "high": 3.3}, "mauve": {"value": 0.9, "low": 0.8, "high": 1.0}}
JUDGED = {
    "protocol": "gdflow@1234",
    "about": "Words, lower case.",
    "splits": {"train": 2956, "valid": 43, "test": 137},
    "selection": {"selected": "pretrained", "reason": "The pretrained model goes on."},
    "rows": [
        {"model": "real", "decoding": None, "metrics": REAL},
        {"model": "pretrained", "decoding": {"temperature": 1.0}, "metrics": OURS},
        {"model": "pretrained", "decoding": {"temperature": 0.5}, "metrics": {}},
        {"model": "finetuned", "decoding": {"temperature": 1.0}, "metrics": OURS},
    ],
}


def test_a_bundle_holds_the_card_of_its_manifest() -> None:
    bundle = exported() / "bundle"
    manifest = json.loads((bundle / "manifest.json").read_text())
    card = (bundle / "model_card.md").read_text("utf-8")
    assert card == model_card(manifest)
    for words in (
        "lstm",
        "155 tokens",
        "Licence: CC0-1.0",
        "A discriminator (cnn)",
        "It was not evaluated",
        "Session(",
    ):
        assert words in card


def test_what_a_run_records_is_told(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text('{"vocab_size": 1954}')
    stages = {name: Ref(kind=name, recipe="r", content=f"c-{name}") for name in ("tokens", "pretraining", "finetuning")}
    about = provenance(JUDGED, RunConfig(seed=7), stages, tmp_path)
    assert json.loads(json.dumps(about)) == about
    manifest = json.loads((exported() / "bundle" / "manifest.json").read_text()) | {"about": about, "license": ""}
    cost = {"texts": 137, "nll": 3.0, "nll_int8": 3.001, "bytes": 40, "bytes_int8": 10}
    card = model_card(manifest | {"int8": cost})
    for words in (
        "- train texts: 2,956",
        "- tokens digest: c-tokens",
        "- seed: 7",
        "gad, 200 steps at most",
        "this is the pretrained one. The pretrained model goes on.",
        "Protocol `gdflow@1234`: Words, lower case.",
        "| real text | – | 0.5 (0.4 to 0.6) | 0.01 |",
        "| maximum likelihood | 3.21 (3.1 to 3.3) | 0.5 (0.4 to 0.6) | 0.01 |",
        "| adversarial | 3.21",
        "+0.00100 nats a token less likely",
        "4.0 times smaller",
        "Licence: none stated",
    ):
        assert words in card, words
    assert "mauve" not in card
