"""The page at work, in node and in a real browser: it writes what Python writes.

Packages of npm are looked for in the folder that `GDFLOW_NODE_MODULES` names, else in `node_modules` here:
`npm install onnxruntime-web playwright-core axe-core`.
"""

import json
import math
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from small_bundle import checkpoint, exported
from small_corpus import write_corpus

from gdcore.export.bundle import ExportConfig, export_bundle
from gdcore.serving.manifest import write_manifest
from gdcore.serving.page import PACKAGE, write_page
from gdcore.serving.session import Session
from gdcore.tokens import TokenizerConfig, build_tokens

MODULES = Path(os.environ.get("GDFLOW_NODE_MODULES", "node_modules")).absolute()
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCRIPTS = Path(__file__).parent / "page"


def needs(*packages: str) -> None:
    """Skip a test for which node or packages of npm are missing."""
    if not shutil.which("node"):
        pytest.skip("needs node")
    if missing := [name for name in packages if not (MODULES / name / "package.json").is_file()]:
        pytest.skip(f"{MODULES} has no {', '.join(missing)}: npm install {' '.join(missing)}")


SHOWN: dict[str, Any] = {
    "model": "finetuned",
    "protocol": "made up",
    "line": [1.0, 0.0],
    "frontier": {
        "title": "Wording",
        "x_label": "self-BLEU-4: more alike →",
        "y_label": "BLEU-4: closer to real wording",
        "guide": "Higher at the same place is better.",
        "better": {"x": "lower", "y": "higher"},
        "real": {"x": 0.4, "y": 0.33},
        "points": [{"temperature": t, "x": 1 - t / 2, "y": 0.5 - t / 4} for t in (0.8, 0.9, 1.0)],
    },
    "generated": [{"text": f"bal bel number {i}", "prompt": None} for i in range(9)],
    "real": [{"text": f"bil bol {i}", "prompt": None} for i in range(9)],
}


@pytest.fixture
def showing(tmp_path: Path) -> Path:
    """A bundle with a CRF, and with something to show."""
    bundle = tmp_path / "bundle"
    shutil.copytree(exported("crf") / "bundle", bundle)
    (bundle / "showcase.json").write_text(json.dumps(SHOWN))
    contents = {
        key: value
        for key, value in json.loads((bundle / "manifest.json").read_text()).items()
        if key not in ("schema_version", "files")
    }
    write_manifest(bundle, contents)
    return bundle


def told_by_node(bundle: Path, wishes: list[dict[str, Any]], prefixes: list[str]) -> dict[str, Any]:
    asked = {"runtime": str(MODULES / PACKAGE), "bundle": str(bundle), "wishes": wishes, "prefixes": prefixes}
    done = subprocess.run(["node", SCRIPTS / "session.mjs"], input=json.dumps(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def agrees(bundle: Path, prompts: list[str]) -> None:
    """The page's session writes, judges, highlights and suggests as Python's."""
    session = Session(bundle)
    manners = [(1, 1.0, 1, 99), (2**40 + 3, 0.7, 4, 99), (7, 0.0, 2, 5)]
    wishes = [
        {"prompt": prompt, "seed": str(seed), "temperature": heat, "candidates": num, "longest": longest}
        for prompt in prompts
        for seed, heat, num, longest in manners
    ]
    told = told_by_node(bundle, wishes, prompts)
    for wish, written in zip(wishes, told["written"]):
        asked = [wish["prompt"]] if wish["prompt"] or session.prompted else None
        expected = session.generate(
            prompts=asked, seed=int(wish["seed"]), temperature=wish["temperature"], max_tokens=wish["longest"]
        )
        assert written["texts"][0] == expected[0], wish
        firsts = [stage[0] for stage in written["stages"]]
        assert all(after.startswith(before) for before, after in pairwise(firsts))
        if written["judged"]:
            both = zip(written["texts"], written["judged"])
            # What is put together of half characters may take more tokens than it was written in.
            fitting = [
                (text, said) for text, said in both if len(session.tokenizer.encode([text])[0]) < session.context
            ]
            texts = [text for text, _ in fitting]
            verdicts = [1 / (1 + math.exp(-said["logit"])) for _, said in fitting]
            assert verdicts == pytest.approx(session.judge(texts), abs=1e-5)
            if fitting and fitting[0][1]["spans"] is not None:
                spans = [[(each["start"], each["end"]) for each in said["spans"]] for _, said in fitting]
                assert spans == [[(each.start, each.end) for each in some] for some in session.highlight(texts)]
    for prompt, suggested in zip(prompts, told["suggested"]):
        words = session.next_words(prompt)
        assert [each["word"] for each in suggested] == [word for word, _ in words]
        assert [each["probability"] for each in suggested] == pytest.approx([p for _, p in words], rel=1e-4)


@pytest.mark.parametrize(
    ("discriminator", "prompted", "prompts"),
    [("crf", False, ["", "bal bel", "  nobody knows  bal "]), ("cnn", True, ["bal bel", ""])],
)
def test_node_writes_what_python_writes(discriminator: str, prompted: bool, prompts: list[str]) -> None:
    needs(PACKAGE)
    agrees(exported(None if prompted else discriminator, prompted) / "bundle", prompts)


@pytest.mark.slow
def test_node_writes_what_python_writes_where_states_grow_and_words_have_several_tokens(tmp_path: Path) -> None:
    needs(PACKAGE)
    texts = [f"the {a} café’s {b} went over 10 hills, naïve 🙂 as ever." for a in "abcdefgh" for b in ("fox", "dogs")]
    corpus = write_corpus(tmp_path / "corpus", texts * 9, texts, texts)
    for _ in build_tokens(TokenizerConfig(kind="bpe", vocab_size=300), corpus, tmp_path / "tokens"):
        pass
    size = json.loads((tmp_path / "tokens" / "tokenizer_config.json").read_text())["vocab_size"]
    model = checkpoint(tmp_path / "model", vocab_size=size, name="transformer")
    for _ in export_bundle(ExportConfig(parity_texts=5), model, model, tmp_path / "tokens", tmp_path, {}):
        pass
    agrees(tmp_path / "bundle", ["", "the a", "fox 🙂"])


@pytest.fixture
def site(tmp_path: Path, showing: Path) -> Iterator[str]:
    """A page on a host: its address."""
    write_page(showing, tmp_path / "site", MODULES / PACKAGE)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "site"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_a_visitor_with_a_browser(request: pytest.FixtureRequest, tmp_path: Path, showing: Path) -> None:
    needs(PACKAGE, "playwright-core", "axe-core")
    if not BROWSER:
        pytest.skip("needs a browser: chromium or google-chrome")
    url: str = request.getfixturevalue("site")
    wish = {"prompt": "bal bel", "seed": 5, "temperature": 0.85, "damaged": "model.onnx"}
    pictures = Path(os.environ.get("GDFLOW_PICTURES", tmp_path / "pictures"))
    command = ["node", SCRIPTS / "browser.mjs", MODULES, BROWSER, url, pictures, json.dumps(wish)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    assert told["failure"] == ""
    assert {address.rsplit("/", 1)[0] for address in told["requests"]} <= {
        f"{url}{part}".rstrip("/") for part in ("", "bundle", "runtime")
    }
    assert told["console"] == []

    session = Session(showing)
    (expected,) = session.generate(prompts=[wish["prompt"]], seed=5, temperature=0.85)
    texts = [text for text, _ in told["texts"]]
    assert expected in texts
    assert len(texts) == 4
    verdicts = session.judge(texts)
    assert verdicts == sorted(verdicts, reverse=True)
    assert told["marks"] == sum(map(len, session.highlight(texts)))
    said = ["< 1" if verdict < 0.005 else f"{round(100 * verdict)}" for verdict in verdicts]
    assert all(about.startswith(f"{share} % likely real") for share, (_, about) in zip(said, told["texts"]))
    assert told["status"].endswith("tokens, the most real one first.")
    stages = sorted(told["stages"], key=len)
    assert len(stages) > 3  # it was seen to grow
    assert all(expected.startswith(stage) for stage in stages)
    assert told["measure"] == "3 of 24 tokens"
    assert told["place"].startswith("At 0.85: BLEU-4 0.288, self-BLEU-4 0.575.")
    likeliest = session.next_words(wish["prompt"])[0][0]
    assert told["suggested"].split()[0] == likeliest
    assert told["prompt"] == f"{wish['prompt']} {likeliest}"
    assert told["stays"]

    walk = [step for step in told["walk"] if step not in ("", "Skip to writing")]
    order = ("prompt", "temperature", "candidates", "longest", "seed", "go", "another", "real", "fake")
    assert [step for step in walk if step in order] == list(order)
    assert re.match(
        r"(Right|Wrong): (a person|the model) wrote it\. The discriminator gave it (< )?\d+ %", told["riddle"]
    )
    assert told["score"].startswith("You: ")
    assert told["onward"] == "onward"
    assert "which leaves no room in the model's context of 24: shorten it" in told["problem"]
    assert told["invalid"] == "true"
    assert not told["dark scrolls sideways"]
    assert not told["phone scrolls sideways"]
    assert told["damaged"].startswith("bundle/model.onnx is not what manifest.json describes")
    assert set(told["axe"]) == {"light", "too-long", "dark", "phone", "damaged"}
    assert not {name: found for name, found in told["axe"].items() if found}
