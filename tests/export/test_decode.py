"""decode.onnx, a step at a time, writes what generate.onnx writes: whoever joins, whoever leaves."""

from functools import cache

import numpy as np
import pytest
from small_bundle import CONTEXT, GENERATORS, generator

from gdcore.decoding import Decoding
from gdcore.export.bundle import graph_description
from gdcore.export.decode import decode_model
from gdcore.export.generation import generation_model
from gdcore.export.step import Step
from gdcore.serving.arguments import Manner
from gdcore.serving.runtime import Graph
from gdcore.serving.stepping import Group, Stepper, Writing
from gdcore.tokenizer import BOS, EOS, PAD
from gdcore.uniforms import row_seeds

VOCAB = 60
MODES = [
    Decoding(),
    Decoding(temperature=0),
    Decoding(temperature=0.8, top_k=12, top_p=0.8, min_p=0.05),
    Decoding(top_p=0.6),
    Decoding(min_p=0.2),
]


@cache
def graphs(name: str) -> tuple[Graph, Stepper]:
    untrained = generator(name)
    for parameter in untrained.parameters():
        if parameter.shape == (VOCAB,):  # the bias of the logits: some texts are to end, and some not
            parameter.data[EOS] += 6 if name == "relational_memory" else 2  # whose logits are the largest
    step = Step(untrained, 20)
    model = decode_model(step, 20)
    stepper = Stepper(Graph(model.SerializeToString()), graph_description(model), VOCAB)
    return Graph(generation_model(step, 20).SerializeToString()), stepper


def prompts(num: int) -> list[list[int]]:
    random = np.random.default_rng(1)
    return [[BOS, *random.integers(5, VOCAB, random.integers(0, CONTEXT - 4)).tolist()] for _ in range(num)]


def whole(graph: Graph, given: list[int], seed: int, decoding: Decoding, max_tokens: int) -> list[int]:
    (new_1N,) = graph(
        prompt_ids=np.array([given]),
        prompt_lengths=np.array([len(given)]),
        max_new_tokens=max_tokens,
        temperature=np.float32(decoding.temperature),
        top_k=decoding.top_k,
        top_p=np.float32(decoding.top_p),
        min_p=np.float32(decoding.min_p),
        seeds=np.array([seed]),
    )
    return [token for token in new_1N[0].tolist() if token not in (PAD, EOS)]


def writings(decodings: list[Decoding], max_tokens: int = CONTEXT) -> list[Writing]:
    return [
        Writing(given, seed, Manner(d.temperature, d.top_k, d.top_p, d.min_p), min(len(given) + max_tokens, CONTEXT))
        for given, seed, d in zip(prompts(len(decodings)), row_seeds(9, len(decodings)).tolist(), decodings)
    ]


@pytest.mark.parametrize("name", GENERATORS)
def test_same_texts_as_in_one_run(name: str):
    graph, stepper = graphs(name)
    for top_k in (0, 12):
        decodings = [d for d in MODES if d.top_k == top_k] * 8
        texts = writings(decodings, max_tokens=9)
        group = Group(stepper, texts)
        while group.writings:
            group.step()
        expected = [whole(graph, w.given, w.seed, d, 9) for w, d in zip(texts, decodings)]
        # A draw within rounding of an edge may go either way, and a plain recurrence then amplifies it.
        different = sum(each.drawn != ours for each, ours in zip(texts, expected))
        assert different <= (1 if name == "rnn" else 0)
        assert {each.finish for each in texts} == {"stop", "length"} or top_k


def test_texts_join_and_leave_between_steps():
    """Each is what it is alone, though the others come and go; one that nobody wants any more is gone at once."""
    graph, stepper = graphs("lstm")
    decodings = [d for d in MODES if not d.top_k] * 10
    texts = writings(decodings)
    waiting = list(texts)
    group = Group(stepper, [waiting.pop(0)])
    for turn in range(500):
        if waiting and turn % 3 == 0:
            group.join([waiting.pop(0) for _ in range(min(len(waiting), 1 + turn % 2))])
        if turn == 20:
            group.writings[0].cancelled = True
            dropped = group.writings[0]
            group.leave()
            assert dropped not in group.writings
        if not group.writings and not waiting:
            break
        group.step()
    for writing, decoding in zip(texts, decodings):
        expected = whole(graph, list(writing.given), writing.seed, decoding, CONTEXT)
        assert writing.drawn == (expected[: len(writing.drawn)] if writing.cancelled else expected)


def test_a_state_that_grows_has_one_length():
    _, stepper = graphs("transformer")
    assert stepper.grows
    assert not graphs("lstm")[1].grows
    texts = writings([Decoding()] * 3)
    group = Group(stepper, texts[:2])
    group.step()
    with pytest.raises(AssertionError):
        group.join(texts[2:])
