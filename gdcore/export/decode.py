"""`decode.onnx`: one step of generation for texts that need not have begun together.

It reads one token of every text and draws the next; state goes in and comes out. What a text draws is what
`generate.onnx` draws from the same seed, whatever texts share the run: each has its seed, its place and its decoding
for itself. Only top-k is one for the run, for it is the size of what is sorted.

A text's first token is BOS, which never comes again: the state that stands beside it is replaced by that of a text of
which nothing has been read, so a row can be given to another text without being cleared. A state that grows has no room
for texts of different lengths; those that share a run must have been read equally far.

Shapes: B texts, V vocabulary.
"""

from onnx import ModelProto

from gdcore.export.builder import FLOAT, INT64, Graph
from gdcore.export.sampler import Decoding, anywhere, draw, normals, uniforms_at
from gdcore.export.step import Step
from gdcore.sampling import FORBIDDEN
from gdcore.tokenizer import BOS


def decode_model(step: Step, opset: int) -> ModelProto:
    """The graph of one step.

    Inputs: `token` (B), the one to be read; `seeds` (B), int64; `number` (B), how many tokens the text has drawn
    before (below 0 while its prompt is read: what is drawn is then to be ignored); `temperature`, `top_p`, `min_p`
    (B), and `top_k`, a scalar, as in `generate.onnx`; `state_0`, `state_1` …, texts on axis 1.
    Outputs: `next` (B), the token drawn; `logits` (B, V), as the model gave them; `after_0` …, the states after it.
    """
    g = Graph()
    token_B = g.input("token", INT64, ["batch"])
    seeds_B = g.input("seeds", INT64, ["batch"])
    number_B = g.input("number", INT64, ["batch"])
    decoding = Decoding(
        temperature=g.Unsqueeze(g.input("temperature", FLOAT, ["batch"]), [1]),
        top_k=g.input("top_k", INT64, []),
        top_p=g.Unsqueeze(g.input("top_p", FLOAT, ["batch"]), [1]),
        min_p=g.Unsqueeze(g.input("min_p", FLOAT, ["batch"]), [1]),
    )
    before = [g.input(f"state_{i}", FLOAT, shape) for i, shape in enumerate(step.shapes)]

    logits_BV, after = step(g, token_B, *_begun(g, step, token_B, seeds_B, before))
    uniform_B1 = uniforms_at(g, seeds_B, g.Unsqueeze(g.Max(number_B, 0), [1]))
    next_B = draw(g, logits_BV, g.Squeeze(uniform_B1, [1]), decoding, step.vocab_size, FORBIDDEN, each=True)
    g.output("next", next_B, INT64, ["batch"])
    g.output("logits", logits_BV, FLOAT, ["batch", step.vocab_size])
    for i, (value, shape) in enumerate(zip(after, step.shapes, strict=True)):
        grown = [f"{size}_after" if str(size).startswith("read") else size for size in shape]
        g.output(f"after_{i}", value, FLOAT, grown)
    return g.model("decode", opset)


def _begun(g: Graph, step: Step, token_B: str, seeds_B: str, before: list[str]) -> list[str]:
    """The states, those of texts that begin replaced. Where they grow, nothing has been read and nothing stands."""
    first_B = g.Equal(token_B, BOS)
    some_begin = anywhere(g, first_B)

    def replaced(b: Graph, i: int) -> str:
        noise_BZ = normals(b, seeds_B, step.noise_dim) if step.noise_dim and i == len(before) - 1 else None
        initial, _ = step.initial_state(b, b.Shape(token_B, start=0, end=1), noise_BZ)[i]
        first_1B1 = b.Unsqueeze(first_B, [0, *range(2, len(step.shapes[i]))])
        return b.Where(first_1B1, initial, before[i])

    return [
        state
        if any(str(size).startswith("read") for size in step.shapes[i])
        else g.If(some_begin, lambda b, i=i: replaced(b, i), lambda b, state=state: b.Identity(state), FLOAT)
        for i, state in enumerate(before)
    ]
