"""Bundles whose model is no recurrent generator, asked over a real socket: a transformer, a classifier."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from small_bundle import classifying, exported
from small_server import Limits, Running, serve

from gdcore.serving.batching import COHORTS
from gdcore.serving.session import Session


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    bundles = {"transformer": exported(None, name="transformer") / "bundle", "classifier": classifying()}
    with serve(bundles, Limits(slots=16)) as running:
        yield running


@pytest.fixture(scope="module")
def transformer() -> Session:
    return Session(exported(None, name="transformer") / "bundle")


def test_a_transformer_writes_what_the_session_writes(running: Running, transformer: Session):
    assert running.texts(seed=1, n=3) == transformer.generate(3, seed=1)
    how = {"temperature": 0.6, "top_p": 0.8, "top_k": 20, "min_p": 0.01, "max_tokens": 7}
    assert running.texts(seed=5, n=2, **how) == transformer.generate(2, seed=5, **how)
    prompts = ["bal gut", "fes"]  # of unlike length: what is given to one is drawn by the other
    assert running.texts(seed=2, prompt=prompts, echo=True) == transformer.generate(prompts=prompts, seed=2)


def test_a_transformers_texts_do_not_depend_on_their_company(running: Running, transformer: Session):
    """More requests than groups may be at a time, so that some come while others are being written."""
    seeds = range(8 * COHORTS)
    with ThreadPoolExecutor(2 * COHORTS) as pool:
        found = list(pool.map(lambda seed: running.texts(seed=seed, n=1 + seed % 3), seeds))
    assert found == [transformer.generate(1 + seed % 3, seed=seed) for seed in seeds]
    assert running.idle()


def test_a_transformer_streams(running: Running, transformer: Session):
    asked = {"seed": 3, "prompt": "bal", "echo": True, "stream": True}
    with running.http.stream("POST", "/v1/completions", json=asked) as answer:
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert events.pop() == "[DONE]"
    text = "".join(json.loads(event)["choices"][0]["text"] for event in events)
    assert text == transformer.generate(prompts=["bal"], seed=3)[0]


def test_classes(running: Running):
    texts = ["bal gut fes", "fes", "gut bal"]
    answer = running.http.post("/v1/classify", json={"model": "classifier", "texts": texts, "top": 2})
    assert answer.status_code == 200, answer.text
    for told, expected in zip(answer.json()["data"], Session(classifying()).classify(texts, top=2), strict=True):
        assert [each["name"] for each in told["classes"]] == [name for name, _ in expected]
        assert [each["probability"] for each in told["classes"]] == pytest.approx([p for _, p in expected])


def test_a_classifier_writes_nothing(running: Running):
    answer = running.http.post("/v1/completions", json={"model": "classifier"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "'classifier' classifies: it writes no texts"
    assert running.http.get("/v1/models/classifier").json()["kind"] == "classifier"
    (tokens, *_) = running.http.get("/v2/models/classifier").json()["inputs"]
    assert tokens == {"name": "tokens", "datatype": "INT64", "shape": [-1, -1]}
    assert running.http.get("/v2/models/classifier/ready").json() == {"name": "classifier", "ready": True}
