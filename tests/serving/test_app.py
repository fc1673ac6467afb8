"""The routes, asked over a real socket: what `Session` says, in OpenAI's shapes; wrong requests told what is wrong."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from small_bundle import exported
from small_server import Running, serve

from gdcore.serving.session import Session


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    answering = exported(discriminator=None, prompted=True) / "bundle"
    with serve({"small": exported() / "bundle", "answers": answering, "crf": exported("crf") / "bundle"}) as running:
        yield running


@pytest.fixture(scope="module")
def opened() -> Session:
    return Session(exported() / "bundle")


def events(running: Running, **asked: object) -> list[dict[str, Any]]:
    with running.http.stream("POST", "/v1/completions", json=asked | {"stream": True}) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_texts_are_the_sessions(running: Running, opened: Session):
    assert running.texts(seed=1, n=3) == opened.generate(3, seed=1)
    how = {"temperature": 0.6, "top_p": 0.8, "top_k": 20, "min_p": 0.01}
    assert running.texts(seed=5, n=2, **how) == opened.generate(2, seed=5, **how)
    whole = running.texts(seed=2, prompt=["bal gut", "Xyzzy"], echo=True)
    assert whole[0] == opened.generate(prompts=["bal gut", "Xyzzy"], seed=2)[0]
    assert whole[1].startswith("Xyzzy ")
    answering = Session(exported(discriminator=None, prompted=True) / "bundle")
    assert running.texts(model="answers", prompt="bal", seed=3) == answering.generate(prompts=["bal"], seed=3)
    assert running.texts(max_tokens=2, seed=1)[0] == opened.generate(seed=1, max_tokens=2)[0]
    assert running.texts() != running.texts()


def test_a_seed_gives_the_same_text_in_any_company(running: Running, opened: Session):
    expected = {seed: opened.generate(seed=seed) for seed in range(24)}
    with ThreadPoolExecutor(12) as pool:
        found = dict(zip(range(24), pool.map(lambda seed: running.texts(seed=seed), range(24))))
    assert found == expected


def test_streams(running: Running, opened: Session):
    told = events(running, seed=1, n=2, prompt="bal", stream_options={"include_usage": True}, echo=True)
    usage = told.pop()["usage"]
    assert usage == {"prompt_tokens": 1, "completion_tokens": usage["completion_tokens"]} | {
        "total_tokens": usage["completion_tokens"] + 1
    }
    choices = [choice for event in told for choice in event["choices"]]
    texts = ["".join(choice["text"] for choice in choices if choice["index"] == i) for i in range(2)]
    assert texts == running.texts(seed=1, n=2, prompt="bal", echo=True)
    assert [sum(c["finish_reason"] is not None for c in choices if c["index"] == i) for i in range(2)] == [1, 1]
    assert len({event["id"] for event in told}) == 1


def test_stop(running: Running, opened: Session):
    (text,) = opened.generate(seed=1)
    stop = text[10:14]
    answer = running.http.post("/v1/completions", json={"seed": 1, "stop": [stop, "zzz"]}).json()["choices"][0]
    assert answer["text"] == text[: text.index(stop)]
    assert answer["finish_reason"] == "stop"
    streamed = events(running, seed=1, stop=stop)
    assert "".join(event["choices"][0]["text"] for event in streamed) == answer["text"]
    assert streamed[-1]["choices"][0]["finish_reason"] == "stop"
    assert running.idle()


def test_logprobs(running: Running, opened: Session):
    answer = running.http.post(
        "/v1/completions", json={"prompt": "bal gut", "echo": True, "logprobs": 3, "seed": 4}
    ).json()
    (choice,) = answer["choices"]
    told = choice["logprobs"]
    assert "".join(told["tokens"]) == choice["text"]
    assert len(told["tokens"]) == answer["usage"]["total_tokens"]
    assert all(len(best) == 3 for best in told["top_logprobs"])
    finish = choice["finish_reason"] == "stop"
    nll = opened.score([choice["text"]])[0] * (len(told["tokens"]) + finish)
    assert -sum(told["token_logprobs"]) == pytest.approx(nll, abs=10 if finish else 1e-2)
    assert [choice["text"][at:].startswith(token) for at, token in zip(told["text_offset"], told["tokens"])]
    asked = {"seed": 4, "logprobs": 0, "stop": choice["text"][20:24], "prompt": "bal gut"}
    (cut,) = running.http.post("/v1/completions", json=asked).json()["choices"]
    assert "".join(cut["logprobs"]["tokens"]).startswith(cut["text"])
    assert cut["logprobs"]["text_offset"][-1] < len(cut["text"])
    streamed = events(running, prompt="bal gut", logprobs=0, seed=4)
    tokens = [token for event in streamed for token in event["choices"][0]["logprobs"]["tokens"]]
    assert tokens == told["tokens"][2:]


def test_an_answer_behind_the_prompt_that_it_answers(running: Running):
    asked = {"model": "answers", "prompt": " bal  gut", "echo": True, "logprobs": 1, "seed": 4}
    answer = running.http.post("/v1/completions", json=asked).json()["choices"][0]
    (alone,) = running.texts(model="answers", prompt=" bal  gut", seed=4)
    told = answer["logprobs"]
    assert answer["text"] == "".join(told["tokens"]) == f"bal gut {alone}"
    for token, begins in zip(told["tokens"], told["text_offset"]):
        assert answer["text"][begins:].startswith(token)


def test_what_says_nothing_is_no_mistake(running: Running):
    """Clients send null for what they leave open, and penalties of 0 always."""
    nothing = dict.fromkeys(
        ("n", "temperature", "top_p", "stream", "echo", "suffix", "stop", "logit_bias", "max_tokens")
    )
    asked = nothing | {"frequency_penalty": 0, "presence_penalty": 0.0, "seed": 4}
    assert running.texts(**asked) == running.texts(seed=4) == running.texts(logit_bias={}, seed=4)
    for something in ({"frequency_penalty": 0.5}, {"logit_bias": {"3": 1}}, {"suffix": "."}, {"unheard_of": None}):
        answer = running.http.post("/v1/completions", json=something)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == next(iter(something))


def test_best_of(running: Running, opened: Session):
    """The discriminator's favourites; without one, the likeliest per token."""
    drawn = opened.generate(8, seed=6)
    verdicts = opened.judge(drawn)
    order = sorted(range(8), key=lambda i: -verdicts[i])
    assert running.texts(n=2, best_of=8, seed=6) == [drawn[i] for i in order[:2]]
    answering = Session(exported(discriminator=None, prompted=True) / "bundle")
    drawn = answering.generate(8, prompts=["bal"], seed=6)
    scores = answering.score(drawn, ["bal"] * 8)
    best = drawn[min(range(8), key=lambda i: scores[i])]
    assert running.texts(model="answers", prompt="bal", best_of=8, seed=6) == [best]


def test_scores_and_words(running: Running, opened: Session):
    texts = ["bal gut fes", "fes"]
    asked = {"model": "crf", "texts": texts, "judge": True, "highlight": True}
    crf = Session(exported("crf") / "bundle")
    for got, nll, verdict, spans in zip(
        running.http.post("/v1/score", json=asked).json()["data"],
        crf.score(texts),
        crf.judge(texts),
        crf.highlight(texts),
    ):
        assert got["nll"] == pytest.approx(nll)
        assert got["verdict"] == pytest.approx(verdict)
        assert [(each["start"], each["end"]) for each in got["spans"]] == [(start, end) for start, end, _ in spans]
    words = running.http.post("/v1/next", json={"prefix": "bal", "k": 3}).json()["data"]
    assert [(each["word"], each["probability"]) for each in words] == opened.next_words("bal", 3)


@pytest.mark.parametrize(
    ("path", "asked", "status", "message"),
    [
        ("completions", {"temperature": -1}, 400, "temperature: Input should be greater than or equal to 0, not -1"),
        ("completions", {"tempersture": 1}, 400, "tempersture: no such key"),
        ("completions", {"prompt": [3]}, 400, "prompt: "),
        ("completions", {"prompt": "\ud800"}, 400, "prompt: "),
        ("completions", {"seed": 2**63}, 400, "seed: "),
        ("completions", {"best_of": 1, "n": 2}, 400, "best_of: must be at least n, 2, not 1"),
        ("completions", {"best_of": 3, "stream": True}, 400, "best_of: a stream cannot take back"),
        ("completions", {"n": 1000}, 400, "1000 texts are asked for at a time; at most 128 may be"),
        ("completions", {"stream": "maybe"}, 400, "stream: Input should be a valid boolean"),
        ("completions", {"stream_options": 3}, 400, "stream_options: "),
        ("completions", {"model": "answers"}, 400, "this model answers prompts"),
        ("completions", {"model": "smal"}, 404, "there is no model 'smal'; there are small, answers, crf"),
        ("completions", {"prompt": "bal " * 30}, 400, "takes 31 tokens"),
        ("completions", {"prompt": "bal " * 30, "stream": True}, 400, "takes 31 tokens"),
        ("score", {"texts": []}, 400, "texts: "),
        ("score", {}, 400, "texts: this is missing"),
        ("score", {"texts": ["a"], "highlight": True}, 400, "small has no discriminator that judges tokens"),
        ("score", {"texts": ["a"], "prompts": ["b", "c"]}, 400, "2 prompts for 1 texts"),
        ("next", {"k": 0}, 400, "k: "),
        ("classify", {"texts": ["a"]}, 400, r"small has no classifier\.onnx"),
    ],
)
def test_what_cannot_be_asked(running: Running, path: str, asked: dict, status: int, message: str):
    answer = running.http.post(f"/v1/{path}", content=json.dumps(asked), headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert re.search(message, error["message"]), error
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 50_000, b'{"seed": NaN}', b'{"n":1e999}'])
def test_bodies_that_are_none(running: Running, body: bytes):
    answer = running.http.post("/v1/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


def test_a_body_of_another_type(running: Running):
    answer = running.http.post("/v1/completions", content=b'{"n": 1}', headers={"content-type": "text/plain"})
    assert answer.status_code == 400
    assert "`content-type: application/json`" in answer.json()["error"]["message"]


def test_kserve_and_models(running: Running):
    def get(path: str) -> Any:
        answer = running.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert [model["id"] for model in get("/v1/models")["data"]] == ["small", "answers", "crf"]
    assert get("/v1/models/crf")["discriminator"] == "crf"
    assert get("/health") == {"status": "ok"}
    assert get("/v2")["name"] == "gdflow"
    assert (get("/v2/health/live"), get("/v2/health/ready")) == ({"live": True}, {"ready": True})
    assert get("/v2/models/small/ready") == {"name": "small", "ready": True}
    about = get("/v2/models/small")
    assert {"name": "prompt_ids", "datatype": "INT64", "shape": [-1, -1]} in about["inputs"]
    assert running.http.get("/v2/models/other").status_code == 404
    assert running.http.get("/nowhere").json()["error"]["code"] == "http"
    assert running.http.get("/docs").status_code == 404
    paths = get("/openapi.json")["paths"]
    assert "429" in paths["/v1/completions"]["post"]["responses"]


def test_metrics(running: Running):
    running.texts(n=2)
    figures = running.http.get("/metrics").text
    assert 'gdflow_requests_total{path="/v1/completions",status="200"}' in figures
    assert 'gdflow_texts_running{model="small"} 0.0' in figures
    assert "process_resident_memory_bytes" in figures
    assert 'path="none"' not in figures or "/nowhere" not in figures
