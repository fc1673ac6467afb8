"""The clients that people have: OpenAI's own, whole and streaming, synchronous or not; KServe's by its schema."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from small_bundle import exported
from small_server import Limits, Running, serve

from gdcore.serving.keys import Keys, new_key
from gdcore.serving.session import Session

openai = pytest.importorskip("openai", reason="pip install 'gdflow[clients]'")
pytestmark = pytest.mark.slow
KEY, LINE = new_key("tests")


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with serve({"small": exported() / "bundle"}, Limits(texts=8), keys=Keys(LINE)) as running:
        yield running


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator["openai.OpenAI"]:
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def opened() -> Session:
    return Session(exported() / "bundle")


def test_completions(client: "openai.OpenAI", opened: Session):
    done = client.completions.create(model="small", prompt="bal gut", seed=1, n=2, echo=True, logprobs=2)
    assert [choice.text for choice in done.choices] == opened.generate(2, prompts=["bal gut"], seed=1)
    assert done.usage
    assert done.usage.prompt_tokens == 2
    logprobs = done.choices[0].logprobs
    assert logprobs
    assert logprobs.tokens
    assert logprobs.top_logprobs
    assert len(logprobs.top_logprobs[0]) == 2
    more = client.completions.create(model="small", prompt="bal", temperature=0, extra_body={"top_k": 3})
    assert more.choices[0].finish_reason in ("stop", "length")
    best = client.completions.create(model="small", prompt="", best_of=8, n=1, seed=1)
    assert best.choices[0].text


def test_streams(client: "openai.OpenAI", opened: Session):
    options = {"include_usage": True}
    stream = client.completions.create(
        model="small", prompt="bal", seed=2, echo=True, stream=True, stream_options=options
    )
    events = list(stream)
    assert (
        "".join(event.choices[0].text for event in events if event.choices)
        == opened.generate(prompts=["bal"], seed=2)[0]
    )
    assert events[-1].usage
    assert events[-1].usage.completion_tokens > 0


def test_asynchronously(running: Running, opened: Session):
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key=KEY) as client:

            async def one(seed: int) -> str:
                done = await client.completions.create(model="small", prompt="", seed=seed)
                return done.choices[0].text

            async def streamed(seed: int) -> str:
                stream = await client.completions.create(model="small", prompt="", seed=seed, stream=True)
                return "".join([event.choices[0].text async for event in stream])

            return await asyncio.gather(*map(one, range(20)), *map(streamed, range(20)))

    expected = [opened.generate(seed=seed)[0] for seed in range(20)]
    assert asyncio.run(ask()) == expected * 2


def test_models_and_errors(running: Running, client: "openai.OpenAI"):
    assert [model.id for model in client.models.list()] == ["small"]
    assert client.models.retrieve("small").owned_by == "gdflow"
    with pytest.raises(openai.NotFoundError, match="there is no model 'large'"):
        client.completions.create(model="large", prompt="")
    with pytest.raises(openai.BadRequestError, match="best_of: must be at least n"):
        client.completions.create(model="small", prompt="", n=3, best_of=2)
    with pytest.raises(openai.BadRequestError, match="presence_penalty: Input should be less than or equal to 0"):
        client.completions.create(model="small", prompt="", presence_penalty=1)
    stranger = client.with_options(api_key="wrong")
    with pytest.raises(openai.AuthenticationError, match="the API key is not known"):
        stranger.models.list()


def test_kserve_protocol(running: Running):
    """The open inference protocol, version 2: fields and types as its specification has them."""
    with httpx.Client(base_url=running.url, headers={"authorization": f"Bearer {KEY}"}) as http:
        server, model = http.get("/v2").json(), http.get("/v2/models/small").json()
        assert {key: type(value) for key, value in server.items()} == {"name": str, "version": str, "extensions": list}
        assert {key: type(value) for key, value in model.items()} == {
            "name": str,
            "versions": list,
            "platform": str,
            "inputs": list,
            "outputs": list,
        }
        for tensor in [*model["inputs"], *model["outputs"]]:
            assert {key: type(value) for key, value in tensor.items()} == {"name": str, "datatype": str, "shape": list}
            assert tensor["datatype"] in ("FP32", "INT64", "BOOL")
            assert all(isinstance(size, int) for size in tensor["shape"])
        assert http.get("/v2/health/live").json() == {"live": True}
        assert http.get("/v2/health/ready").json() == {"ready": True}
        assert http.get("/v2/models/small/ready").json() == {"name": "small", "ready": True}
