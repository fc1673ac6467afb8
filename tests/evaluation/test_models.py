"""Two models of a toy language, measured and selected from folder to folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import polars as pl
import pytest
import torch

from gdcore.decoding import Decoding
from gdcore.discriminators import cnn
from gdcore.errors import UserError
from gdcore.evaluation.document import schema
from gdcore.evaluation.drawing import slug
from gdcore.evaluation.intervals import Sampling, figure
from gdcore.evaluation.models import EvaluationConfig, Split, evaluate_models
from gdcore.evaluation.side_by_side import read_side, side_by_side
from gdcore.generators import lstm
from gdcore.metrics.nll import held_out
from gdcore.shards import Shards
from gdcore.tokenizer import BOS, EOS, FORBIDDEN
from gdcore.tokens import TokenizerConfig, build_tokens
from gdcore.training.checkpoint import load_generator, save_weights
from tests.small_corpus import SCHEMA

DECODINGS = (Decoding(), Decoding(temperature=0.5, top_k=5), Decoding(candidates=3, choose="discriminator"))
CONFIG = EvaluationConfig(num_samples=40, decodings=DECODINGS)


def write_inputs(root: Path, prompted: bool = False) -> dict[str, Path]:
    """Everything that comes before evaluation; the adversarial model is another random one."""
    folders = {name: root / name for name in ("corpus", "tokens", "validation", "pretraining", "finetuning")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, num in {"train": 60, "valid": 20, "test": 30}.items():
        texts = [" ".join(f"w{word}" for word in rng.integers(8, size=rng.integers(3, 7))) for _ in range(num)]
        columns = {
            "text": texts,
            "prompt": [f"w{i % 8} w{i % 5}" if prompted else None for i in range(num)],
            "label": [None] * num,
            "source": ["a.txt"] * num,
            "line": range(1, num + 1),
        }
        pl.DataFrame(columns, schema=SCHEMA).write_parquet(folders["corpus"] / f"{split}.parquet")
        np.save(folders["validation"] / f"kept_{split}.npy", np.arange(1, num))  # validation threw the first out
    (folders["corpus"] / "summary.json").write_text(json.dumps({"segmentation": "spaced", "segmentation_reason": ""}))
    for _ in build_tokens(TokenizerConfig(kind="word"), folders["corpus"], folders["tokens"]):
        pass
    vocab_size = json.loads((folders["tokens"] / "tokenizer_config.json").read_text())["vocab_size"]
    config = lstm.Config(embedding_dim=6, hidden_dim=8)
    torch.manual_seed(2)
    judge = cnn.Config(embedding_dim=4, num_filters=3, widths=(2,))
    save_weights(cnn.Discriminator(judge, vocab_size), folders["finetuning"] / "discriminator.safetensors")
    for seed, model in enumerate(("pretraining", "finetuning")):
        torch.manual_seed(seed)
        save_weights(lstm.Generator(config, vocab_size, 12), folders[model] / "generator.safetensors")
        about = {"generator": config.model_dump(), "vocab_size": vocab_size, "context": 12}
        about |= {"discriminator": judge.model_dump()}
        (folders[model] / "config.json").write_text(json.dumps(about))
        (folders[model] / "summary.json").write_text(json.dumps({"stopped": None}))
        (folders[model] / "metrics.jsonl").write_text('{"step": 1, "generator_nll": 3.0}\n')
    return folders


def run(folders: dict[str, Path], out: Path, config: EvaluationConfig = CONFIG) -> dict[str, Any]:
    progress = list(evaluate_models(config, **folders, out=out, seed=7))
    assert [each.done for each in progress] == list(range(1, len(progress) + 1))
    assert progress[-1].done == progress[-1].total
    return json.loads((out / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def evaluated(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("evaluation")
    return run(folders, out), out


def test_rows_and_files(evaluated: tuple[dict[str, Any], Path]) -> None:
    result, out = evaluated
    assert [(row["model"], row["decoding"] and row["decoding"]["temperature"]) for row in result["rows"]] == [
        ("real", None),
        ("pretrained", 1.0),
        ("pretrained", 0.5),
        ("pretrained", 1.0),
        ("finetuned", 1.0),
        ("finetuned", 0.5),
        ("finetuned", 1.0),
    ]
    for row in result["rows"]:
        assert row["counts"]["samples"] == 40
        assert row["counts"]["references"] == 29
        assert ("nll" in row["metrics"]) == (row["model"] != "real")
    assert {path.name for path in (out / "samples").iterdir()} == {
        f"{model}_{slug(decoding)}.txt" for model in ("pretrained", "finetuned") for decoding in DECODINGS
    }
    assert len((out / "samples" / "pretrained_t0.5_k5.txt").read_text().splitlines()) == 40
    assert result["seed"] == 7


def test_the_first_decoding_has_every_figure_and_the_others_those_of_the_curves(
    evaluated: tuple[dict[str, Any], Path],
) -> None:
    first, second = ({*row["metrics"]} for row in evaluated[0]["rows"][1:3])
    assert "vocabulary_coverage" in first - second
    assert {"bleu_4", "self_bleu_4", "lm_score", "reverse_lm"} <= second < first
    plane = evaluated[0]["frontier"]["wording"]
    assert [(curve["model"], len(curve["points"])) for curve in plane["curves"]] == [
        ("pretrained", 1), ("pretrained", 2), ("pretrained", 2), ("finetuned", 1), ("finetuned", 2), ("finetuned", 2),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no metrics named blue"):
        EvaluationConfig(curve_metrics=("blue",))


def test_the_two_models_are_compared_text_by_text_later_too(evaluated: tuple[dict[str, Any], Path]) -> None:
    folder = evaluated[1]
    before, after = (read_side(f"{folder}:{model}", folder) for model in ("pretrained", "finetuned"))
    found = {each["metric"]: each for each in side_by_side([before], [after])["contrasts"]}
    assert (found["nll"]["unit"], found["nll"]["number"]) == ("texts", 29)
    figures = [row["metrics"] for row in evaluated[0]["rows"] if row["model"] != "real"]
    for metric in ("nll", "bits_per_byte"):
        gap = figures[3][metric]["value"] - figures[0][metric]["value"]
        assert found[metric]["difference"]["value"] == pytest.approx(gap)


def test_splits_larger_than_memory_are_looked_at_in_part(folders: dict[str, Path], tmp_path: Path) -> None:
    few = EvaluationConfig(num_samples=20, decodings=(Decoding(),), max_train_texts=40, max_held_out_texts=19)
    result = run(folders, tmp_path, few)
    assert result["splits"] == {"train": 40, "valid": 19, "test": 19}
    assert result["not_looked_at"] == {"train": 19, "test": 10}, "59, 19 and 29 texts were kept"
    assert {row["counts"]["references"] for row in result["rows"]} == {19}
    jsonschema.validate(result, schema())


def test_the_result_is_what_the_schema_says(evaluated: tuple[dict[str, Any], Path]) -> None:
    published = json.loads((Path(__file__).parents[2] / "docs" / "evaluation.schema.json").read_text())
    jsonschema.validate(evaluated[0], published)
    assert published == schema(), "python -m gdcore.evaluation.document > docs/evaluation.schema.json"
    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        jsonschema.validate({**evaluated[0], "surprise": 1}, published)


def test_real_text_comes_from_valid_and_then_from_train(evaluated: tuple[dict[str, Any], Path]) -> None:
    counts = evaluated[0]["rows"][0]["counts"]
    assert (counts["from_valid"], counts["from_train"], counts["train"]) == (19, 21, 59 - 21)


def test_nll_is_that_of_the_test_split(evaluated: tuple[dict[str, Any], Path], folders: dict[str, Path]) -> None:
    shards = Shards.open(folders["tokens"], "test", np.load(folders["validation"] / "kept_test.npy"))
    expected = figure(held_out(load_generator(folders["pretraining"]), shards), Sampling())["value"]
    assert evaluated[0]["rows"][1]["metrics"]["nll"]["value"] == pytest.approx(expected, abs=1e-6)
    # By hand: every token of every text and its EOS count once, PAD never.
    generator, total, num = load_generator(folders["pretraining"]), 0.0, 0
    for i in range(len(shards)):
        ids = torch.tensor([[1, *shards.row(i)[1].tolist(), 2]])
        logprobs = generator.logits(ids[:, :-1]).detach().log_softmax(-1)
        total -= float(logprobs.gather(-1, ids[:, 1:, None]).sum())
        num += ids.shape[1] - 1
    assert expected == pytest.approx(total / num, abs=1e-5)


def test_the_same_inputs_give_the_same_result(
    evaluated: tuple[dict[str, Any], Path], folders: dict[str, Path], tmp_path: Path
) -> None:
    assert run(folders, tmp_path) == evaluated[0]


def test_test_texts_have_no_say_in_the_selection(
    evaluated: tuple[dict[str, Any], Path], folders: dict[str, Path], tmp_path: Path
) -> None:
    other = {name: tmp_path / name for name in folders}
    for name, folder in folders.items():
        shutil.copytree(folder, other[name])
    shutil.copy(folders["corpus"] / "train.parquet", other["corpus"] / "test.parquet")
    changed = run(other, tmp_path / "out")
    assert changed["rows"] != evaluated[0]["rows"]
    assert changed["selection"] == evaluated[0]["selection"]


def test_equal_checkpoints_are_recognised(folders: dict[str, Path], tmp_path: Path) -> None:
    same = {**folders, "finetuning": tmp_path / "finetuning"}
    shutil.copytree(folders["finetuning"], same["finetuning"])
    shutil.copy(folders["pretraining"] / "generator.safetensors", same["finetuning"])
    (same["finetuning"] / "summary.json").write_text(json.dumps({"stopped": "few words are left"}))
    result = run(same, tmp_path / "out", EvaluationConfig(num_samples=20, decodings=DECODINGS[:1]))
    assert result["selection"]["selected"] == "pretrained"
    assert "few words are left" in result["selection"]["reason"]
    assert result["rows"][1]["metrics"] == result["rows"][2]["metrics"]


def test_with_prompts_each_test_prompt_is_answered_once(tmp_path: Path) -> None:
    result = run(write_inputs(tmp_path / "in", prompted=True), tmp_path / "out")
    assert [row["counts"]["samples"] for row in result["rows"]] == [29] * 7
    for model in ("real", "pretrained", "finetuned"):
        assert all(sample["text"].startswith("w") or not sample["text"] for sample in result["samples"][model])
        assert len(result["samples"][model]) == 29
    prompts = [[sample["prompt"] for sample in samples] for samples in result["samples"].values()]
    assert prompts[0] == prompts[1] == prompts[2] == [f"w{i % 8} w{i % 5}" for i in range(1, 30)]
    drawn = (tmp_path / "out" / "samples" / "pretrained_t0.5_k5.txt").read_text().splitlines()
    pairs = zip(drawn, result["samples"]["real"], strict=True)
    hits = sum(text == real["text"] for text, real in pairs)
    assert result["rows"][2]["metrics"]["exact_match"]["value"] == pytest.approx(hits / 29)
    assert "exact_match" not in result["rows"][0]["metrics"], "people are no answer to themselves"


def test_with_more_prompts_than_samples_asked_for_the_first_are_answered(tmp_path: Path) -> None:
    few = CONFIG.model_copy(update={"num_samples": 12})
    result = run(write_inputs(tmp_path / "in", prompted=True), tmp_path / "out", few)
    assert [row["counts"]["samples"] for row in result["rows"]] == [12] * 7
    for samples in result["samples"].values():
        assert [sample["prompt"] for sample in samples] == [f"w{i % 8} w{i % 5}" for i in range(1, 13)]


def test_an_answer_is_right_if_anyone_gave_it(folders: dict[str, Path]) -> None:
    shards = Shards.open(folders["tokens"], "test").only(np.arange(4))
    split = Split(["yes", "no", "a text", "hm"], ["you", "me", None, "you"], [None] * 4, shards, 0)
    assert split.answers(9) == [["yes", "hm"], ["no"], ["yes", "hm"]]
    assert split.answers(1) == [["yes", "hm"]]
    assert Split(["a"], [None], [None], shards.only(np.arange(1)), 0).answers(9) is None


def test_next_words_are_guessed_beside_a_model_of_the_training_text(
    evaluated: tuple[dict[str, Any], Path], folders: dict[str, Path]
) -> None:
    generator, rows = load_generator(folders["pretraining"]), np.arange(1, 30)
    right = total = 0
    for row in rows:
        text = Shards.open(folders["tokens"], "test").row(row)[1].tolist()
        logits_TV = generator.logits(torch.tensor([[BOS, *text]]))[0]
        logits_TV[:, list(FORBIDDEN)] = -torch.inf
        right += int((logits_TV.argmax(dim=-1) == torch.tensor([*text, EOS])).sum())
        total += len(text) + 1
    found = evaluated[0]["rows"][1]["metrics"]
    assert found["next_word_1"]["value"] == pytest.approx(right / total)
    assert found["next_word_1_ngram"]["value"] == evaluated[0]["rows"][4]["metrics"]["next_word_1_ngram"]["value"]
    assert 0.05 < found["next_word_1_ngram"]["value"] < 0.5, "eight words, drawn at random, and the end"


def test_a_split_without_text_is_an_error_in_words(folders: dict[str, Path], tmp_path: Path) -> None:
    empty = {**folders, "validation": tmp_path / "validation"}
    shutil.copytree(folders["validation"], empty["validation"])
    np.save(empty["validation"] / "kept_test.npy", np.zeros(0, np.int64))
    with pytest.raises(UserError, match="no text in the test split"):
        run(empty, tmp_path / "out")


def test_an_unknown_protocol_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="no protocol named"):
        EvaluationConfig(protocol="nope")
