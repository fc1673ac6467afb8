"""A bundle without torch: deterministic, checked on opening, clear about arguments it cannot use."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from small_bundle import CONTEXT, exported, tokens

from gdcore.batches import make_batch
from gdcore.decoding import Decoding
from gdcore.errors import UserError
from gdcore.likelihood import logprobs
from gdcore.sampling import sample
from gdcore.serving import runtime, session
from gdcore.serving.manifest import write_manifest
from gdcore.serving.session import Session
from gdcore.tokenizer import BOS, EOS, SEP, Tokenizer
from gdcore.training.checkpoint import load_discriminator, load_generator


@pytest.fixture(scope="module")
def opened() -> Session:
    return Session(exported() / "bundle")


def test_it_writes_what_torch_writes(opened: Session):
    generator, tokenizer = load_generator(exported() / "checkpoint"), Tokenizer.load(tokens())
    for decoding in (Decoding(), Decoding(temperature=0.6, top_k=9, top_p=0.9)):
        expected = [tokenizer.decode(ids) for ids in sample(generator, 30, seed=5, decoding=decoding)]
        assert opened.generate(30, seed=5, **decoding.model_dump()) == expected


def test_it_keeps_the_candidates_that_torch_keeps(opened: Session, monkeypatch: pytest.MonkeyPatch):
    generator, tokenizer = load_generator(exported() / "checkpoint"), Tokenizer.load(tokens())
    discriminator = load_discriminator(exported() / "checkpoint")
    for decoding in (
        Decoding(candidates=4),
        Decoding(candidates=7, choose="discriminator", min_p=0.02),
        Decoding(temperature=1.5, candidates=3, choose="discriminator"),
    ):
        for asked in (None, ["bal gut", "fes"]):
            ids = None if asked is None else [[*tokenizer.encode([text])[0]] for text in asked]
            if ids is None:
                expected = sample(generator, 25, seed=5, decoding=decoding, discriminator=discriminator)
                assert opened.generate(25, seed=5, **decoding.model_dump()) == [tokenizer.decode(t) for t in expected]
            else:
                texts = opened.generate(9, prompts=asked, seed=5, **decoding.model_dump())
                assert all(text.startswith(asked[i % 2]) for i, text in enumerate(texts))
                monkeypatch.setattr(session, "BATCH_SIZE", 5)
                assert opened.generate(9, prompts=asked, seed=5, **decoding.model_dump()) == texts
                monkeypatch.undo()


def test_texts_depend_on_seed_and_number_alone(opened: Session, monkeypatch: pytest.MonkeyPatch):
    texts = opened.generate(20, seed=3)
    assert opened.generate(7, seed=3) == texts[:7]
    assert opened.generate(20, seed=4) != texts
    monkeypatch.setattr(session, "BATCH_SIZE", 3)
    assert opened.generate(20, seed=3) == texts
    assert Session(exported() / "bundle", threads=2).generate(20, seed=3) == texts


def test_threads_share_a_session(opened: Session):
    expected = [opened.generate(5, seed=seed) for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda seed: opened.generate(5, seed=seed), range(16))) == expected


def test_score_and_judge(opened: Session):
    generator, discriminator = load_generator(exported() / "checkpoint"), load_discriminator(exported() / "checkpoint")
    texts = [*opened.generate(10, seed=1, max_tokens=12), "", "bal bal unheard gut"]
    scores, verdicts = opened.score(texts), opened.judge(texts)
    for text, score, verdict in zip(texts, scores, verdicts, strict=True):
        tokens_BT = torch.tensor([[BOS, *Tokenizer.load(tokens()).encode([text])[0], EOS]])
        length = tokens_BT.shape[1]
        with torch.no_grad():
            batch = make_batch(tokens_BT, torch.tensor([length]), torch.tensor([1]))
            assert score == pytest.approx(-float(logprobs(generator, batch).sum()) / (length - 1), abs=1e-4)
            assert verdict == pytest.approx(float(torch.sigmoid(discriminator(tokens_BT, tokens_BT >= 0))), abs=1e-4)
    assert opened.score([]) == []


def test_a_text_cut_off_by_the_context_can_be_scored(opened: Session):
    longest = max(opened.generate(60), key=lambda text: len(text.split()))
    assert len(longest.split()) == CONTEXT - 1
    assert 0 < opened.score([longest])[0] < 20
    with pytest.raises(ValueError, match=f"text 1 takes {CONTEXT + 1} tokens; the model's context is {CONTEXT}"):
        opened.score(["bal", longest + " bal"])


def test_a_model_without_prompts_continues_them(opened: Session):
    texts = opened.generate(6, prompts=["bal gut", "fes"], seed=2)
    assert [text.startswith(("bal gut", "fes")[i % 2]) for i, text in enumerate(texts)] == [True] * 6
    assert len(opened.generate(prompts=["bal", "gut", "fes"])) == 3


def test_a_model_with_prompts_answers_them():
    answering = Session(exported(discriminator=None, prompted=True) / "bundle")
    generator = load_generator(exported(discriminator=None, prompted=True) / "checkpoint")
    assert answering.prompted
    prompts = ["bal gut", "fes"]
    ids = answering.tokenizer.encode(prompts)
    expected = [answering.tokenizer.decode(text) for text in sample(generator, 6, seed=2, prompts=ids)]
    assert answering.generate(6, prompts=prompts, seed=2) == expected
    given, text = [BOS, *ids[0], SEP], answering.tokenizer.encode(["fes fes"])[0]
    tokens_BT = torch.tensor([[*given, *text, EOS]])
    batch = make_batch(tokens_BT, torch.tensor([tokens_BT.shape[1]]), torch.tensor([len(given)]))
    with torch.no_grad():
        nll = -float(logprobs(generator, batch).sum()) / 3
    assert answering.score(["fes fes"], prompts=["bal gut"]) == pytest.approx([nll], abs=1e-4)
    decoding = Decoding(candidates=5)
    expected = [
        answering.tokenizer.decode(text) for text in sample(generator, 6, seed=2, decoding=decoding, prompts=ids)
    ]
    assert answering.generate(6, prompts=prompts, seed=2, candidates=5) == expected
    with pytest.raises(UserError, match="has no discriminator"):
        answering.judge(["bal"])
    with pytest.raises(UserError, match="has no discriminator"):
        answering.generate(prompts=["bal"], candidates=2, choose="discriminator")
    with pytest.raises(ValueError, match="answers prompts"):
        answering.generate(2)


def test_a_prompt_is_continued_word_for_word(opened):
    """Unknown words and odd spaces included; what follows is what followed the words that are known."""
    known, odd = opened.generate(prompts=["bal gut", " bal   Xyzzy gut "], seed=3)
    assert known.startswith("bal gut")
    assert odd.startswith("bal Xyzzy gut")
    assert opened.tokenizer.unknown("bal Xyzzy gut") == [" Xyzzy"]
    assert opened.generate(prompts=["Xyzzy"], temperature=0)[0].startswith("Xyzzy ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num": 0}, "num must be a whole number, at least 1, not 0"),
        ({"num": 2.5}, "num must be a whole number"),
        ({"num": True}, "num must be a whole number"),
        ({"temperature": -0.1}, "temperature must be 0 .* or more, not -0.1"),
        ({"temperature": float("nan")}, "temperature must be"),
        ({"temperature": float("inf")}, "temperature must be"),
        ({"temperature": "hot"}, "temperature must be"),
        ({"top_k": 2**70, "top_p": 0}, "top_p must be"),
        ({"top_p": "x"}, "top_p must be a number"),
        ({"top_k": -1}, "top_k must be a whole number, at least 0, not -1"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1"),
        ({"min_p": 1.5}, "min_p must be 0 .* at most 1, not 1.5"),
        ({"candidates": 0}, "candidates must be at least 1 and at most 1024, not 0"),
        ({"candidates": 2000}, "candidates must be at least 1 and at most 1024"),
        ({"candidates": 2.5}, "candidates must be a whole number"),
        ({"candidates": 2, "choose": "luck"}, "choose must be one of likelihood, discriminator, not 'luck'"),
        ({"max_tokens": 0}, "max_tokens must be a whole number, at least 1"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"prompts": []}, "prompts must be a list"),
        ({"prompts": "bal"}, "prompts must be a list"),
        ({"prompts": ["bal", "bal " * 30]}, f"prompt 1 takes 31 tokens.*context of {CONTEXT}"),
    ],
)
def test_arguments_out_of_bounds(opened: Session, arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        opened.generate(**arguments)


def test_lists_that_are_none(opened: Session):
    with pytest.raises(ValueError, match="texts must be a list"):
        opened.score("bal")
    with pytest.raises(ValueError, match="1 prompts for 2 texts"):
        opened.judge(["bal", "gut"], prompts=["fes"])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported() / "bundle", tmp_path / "bundle"))


@pytest.mark.parametrize("name", ["generate.onnx", "model.onnx", "tokenizer.json", "parity.json"])
def test_damaged_files_are_named(copy: Path, name: str):
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(UserError, match=rf"{name} is damaged: expected sha256 .*, found sha256"):
        Session(copy)
    (copy / name).write_bytes(data[:-1])
    with pytest.raises(UserError, match=rf"{name} is damaged: expected {len(data)} bytes, found {len(data) - 1} bytes"):
        Session(copy)
    (copy / name).unlink()
    with pytest.raises(UserError, match=rf"{name} is damaged: expected {len(data)} bytes, found no such file"):
        Session(copy)


def test_manifest_missing_damaged_or_of_another_version(copy: Path):
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"schema_version": 99}))
    with pytest.raises(UserError, match="has schema version 99; this version of gdflow reads 1 and 2"):
        Session(copy)
    for text in ("{", "[]", "null", '{"schema_version": 1}', '{"schema_version": 1, "files": 3}'):
        path.write_text(text)
        with pytest.raises(UserError, match=r"manifest\.json is damaged"):
            Session(copy)
    for key, value in (("context", None), ("vocab_size", "sixty"), ("prompted", 3), ("graphs", [])):
        path.write_text(json.dumps(manifest | {key: value}))
        with pytest.raises(UserError, match=rf"manifest\.json is damaged .*{key} is"):
            Session(copy)
        path.write_text(json.dumps({name: each for name, each in manifest.items() if name != key}))
        with pytest.raises(UserError, match=rf"manifest\.json is damaged .*{key}"):
            Session(copy)
    path.unlink()
    with pytest.raises(UserError, match=r"is no bundle: it has no manifest\.json"):
        Session(copy)


def test_weights_that_lie_elsewhere(copy: Path, tmp_path: Path):
    (copy / "weights.bin").rename(tmp_path / "elsewhere.bin")
    (copy / "weights.bin").symlink_to(tmp_path / "elsewhere.bin")
    with pytest.raises(UserError, match=r"onnxruntime cannot open .*generate\.onnx: .*Export it again"):
        Session(copy).generate()


def test_a_bundle_from_before_min_p(copy: Path):
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text())
    graph = onnx.load(copy / "generate.onnx")
    before = next(i for i, value in enumerate(graph.graph.input) if value.name == "min_p")
    del graph.graph.input[before]
    graph.graph.initializer.append(numpy_helper.from_array(np.float32(0), "min_p"))
    onnx.save(graph, copy / "generate.onnx")
    (copy / "manifest.json").unlink()
    write_manifest(copy, {name: manifest[name] for name in manifest if name not in ("schema_version", "files")})
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 1}))
    old = Session(copy)
    assert old.generate(5, seed=1) == Session(exported() / "bundle").generate(5, seed=1)
    assert old.generate(5, seed=1, candidates=3) == Session(exported() / "bundle").generate(5, seed=1, candidates=3)
    with pytest.raises(UserError, match="before there was min-p"):
        old.generate(min_p=0.1)


def run(code: str) -> str:
    arguments = [sys.executable, "-c", code, str(exported() / "bundle")]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()


def test_it_needs_no_torch():
    heavy = "{'torch', 'polars', 'pandas', 'onnx', 'prefect', 'great_expectations', 'pydantic'}"
    code = (
        "import sys; from gdcore.serving.session import Session; session = Session(sys.argv[1])\n"
        "texts = session.generate(3, prompts=['bal']); session.score(texts); session.judge(texts)\n"
        f"print({heavy} & set(sys.modules))"
    )
    assert run(code) == "set()"


def test_importing_it_is_quick():
    """In CPU time, beyond what numpy takes, which is most of it."""
    code = (
        "import time, numpy; start = time.process_time()\n"
        "import gdcore.serving.session; print(time.process_time() - start)\n"
        "import sys; assert 'onnxruntime' not in sys.modules"
    )
    assert min(float(run(code)) for _ in range(3)) < 0.15


def test_without_onnxruntime(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"needs onnxruntime .*pip install 'gdflow\[cpu\]'"):
        Session(exported() / "bundle").generate()


def test_with_both_runtimes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runtime, "_is_installed", lambda _: True)
    with pytest.warns(UserWarning, match="onnxruntime and onnxruntime-gpu are both installed"):
        assert Session(exported() / "bundle").generate()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="both installed; they overwrite each other's files"):
        Session(exported() / "bundle").generate()


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="device must be one of auto, cpu, cuda, not 'gpu'"):
        Session(exported() / "bundle", device="gpu")  # pyright: ignore[reportArgumentType]
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [runtime.CPU])
    with pytest.raises(
        UserError, match=r"^this onnxruntime computes on the processor alone: .*pip install 'gdflow\[gpu\]'"
    ):
        Session(exported() / "bundle", device="cuda").generate()
    assert Session(exported() / "bundle", device="cpu").generate() == Session(exported() / "bundle").generate()


def test_what_a_gpu_is_asked_for(capsys: pytest.CaptureFixture[str]):
    with_gpu = SimpleNamespace(
        get_available_providers=lambda: [runtime.CUDA, runtime.CPU], preload_dlls=lambda: print("Failed to load")
    )
    exactly = [(runtime.CUDA, {"use_tf32": "0"}), runtime.CPU]
    assert runtime._providers(with_gpu, "auto") == runtime._providers(with_gpu, "cuda") == exactly
    assert runtime._providers(with_gpu, "cpu") == [runtime.CPU]
    assert capsys.readouterr().out == "", "what a command prints may be one JSON object"


def has_gpu() -> bool:
    import onnxruntime
    import torch

    return runtime.CUDA in onnxruntime.get_available_providers() and torch.cuda.is_available()


@pytest.mark.skipif(not has_gpu(), reason="needs onnxruntime-gpu and a GPU")
def test_a_gpu_writes_what_the_processor_writes():
    by_gpu, by_processor = (Session(exported() / "bundle", device=device) for device in ("cuda", "cpu"))
    texts = by_processor.generate(200, seed=3)
    same = sum(ours == theirs for ours, theirs in zip(by_gpu.generate(200, seed=3), texts, strict=True))
    assert same >= 198, "rounding may tip a draw at an edge"
    assert by_gpu.generate(50, temperature=0) == by_processor.generate(50, temperature=0)
    np.testing.assert_allclose(by_gpu.score(texts), by_processor.score(texts), atol=1e-4)
    np.testing.assert_allclose(by_gpu.judge(texts), by_processor.judge(texts), atol=1e-4)


def test_a_stream_is_what_generate_gives(opened: Session):
    for how in (
        {},
        {"temperature": 0.7, "top_k": 9, "top_p": 0.9, "min_p": 0.01},
        {"temperature": 0},
        {"max_tokens": 2},
    ):
        for seed in range(4):
            assert "".join(opened.stream(seed=seed, **how)) == opened.generate(seed=seed, **how)[0]
            for prompt in ("bal gut", "Xyzzy", " "):
                pieces = list(opened.stream(prompt, seed=seed, **how))
                begun = " ".join(prompt.split())
                assert begun + "".join(pieces) == opened.generate(prompts=[prompt], seed=seed, **how)[0]
                assert all(pieces)
    with pytest.raises(ValueError, match="temperature must be 0"):
        opened.stream(temperature=-1)
    with pytest.raises(ValueError, match="prompt 0 takes 31 tokens"):
        opened.stream("bal " * 30)


def test_a_stream_of_an_answer():
    answering = Session(exported(discriminator=None, prompted=True) / "bundle")
    assert "".join(answering.stream("bal gut", seed=3)) == answering.generate(prompts=["bal gut"], seed=3)[0]
    with pytest.raises(ValueError, match="answers prompts"):
        answering.stream()


def test_a_bundle_from_before_streams(copy: Path):
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["graphs"]["decode.onnx"], manifest["files"]["decode.onnx"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"has no decode\.onnx.*export it again"):
        Session(copy).stream()


def test_next_words(opened: Session):
    words = opened.next_words("bal gut", 5)
    assert len(words) == 5
    assert [p for _, p in words] == sorted((p for _, p in words), reverse=True)
    with_each = opened.score([f"bal gut {word}" for word, _ in words])
    whole = [len(opened.tokenizer.encode([f"bal gut {word}"])[0]) for word, _ in words]
    assert all(score > 0 and n == 3 for score, n in zip(with_each, whole))
    everything = opened.next_words("bal gut", 1000)
    assert len(everything) == opened.tokenizer.vocab_size - 5
    assert 0.5 < sum(p for _, p in everything) <= 1
    with pytest.raises(ValueError, match="k must be a whole number, at least 1"):
        opened.next_words("bal", 0)
    with pytest.raises(ValueError, match="prompt 0 takes 31 tokens"):
        opened.next_words("bal " * 30)


@pytest.mark.slow
def test_highlight():
    judging = Session(exported(discriminator="crf") / "bundle")
    judge, tokenizer = load_discriminator(exported("crf") / "checkpoint"), Tokenizer.load(tokens())
    for text in ("bal gut  fes bal unheard gut", "fes", ""):
        tokens_BT = torch.tensor([[BOS, *tokenizer.encode([text])[0], EOS]])
        with torch.no_grad():
            real_T = judge.eval().marginals(tokens_BT, tokens_BT >= 0)[0, 1:-1].numpy()
        (every,) = judging.highlight([text], least=1e-9)
        assert [text[start:end] for start, end, _ in every] == ([text] if text else [])
        for _, _, fake in every:
            assert fake == pytest.approx(float((1 - real_T).mean()), abs=1e-4)
        (some,) = judging.highlight([text], least=(least := float(np.median(1 - real_T)) if text else 0.5))
        marked = sum(len(text[start:end].split()) for start, end, _ in some)
        assert marked == pytest.approx(int((1 - real_T >= least).sum()), abs=1)
    with pytest.raises(UserError, match=r"no discriminator that judges tokens: train with discriminator\.name=crf"):
        Session(exported() / "bundle").highlight(["bal"])
    with pytest.raises(ValueError, match="least must be above 0"):
        judging.highlight(["bal"], least=0)
