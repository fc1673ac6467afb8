"""`generate.onnx`: prompts in, finished texts out, in one run of one graph.

The graph reads the prompts and draws on from them, a token of every text a turn, until every text has ended. What it
draws is what `gdcore.sampling.sample` draws from the same seeds.

Shapes: B texts, P tokens of the longest prompt, V vocabulary, S steps (positions 1 … S of the sequences), N new tokens.
"""

from onnx import ModelProto

from gdcore.export.builder import BOOL, FLOAT, INT64, Graph, Typed
from gdcore.export.sampler import Decoding, anywhere, draw, uniforms
from gdcore.export.step import Step
from gdcore.sampling import FORBIDDEN
from gdcore.tokenizer import EOS, PAD


def generation_model(step: Step, opset: int) -> ModelProto:
    """The whole-generation graph.

    Inputs: `prompt_ids` (B, P), from BOS to SEP, padded on the right; `prompt_lengths` (B); `max_new_tokens`,
    `temperature` (0 = the likeliest token), `top_k` (0 = all), `top_p`, scalars; `seeds` (B), int64.
    Output: `new_ids` (B, N): what each text draws up to its EOS, then PAD. A text that reaches `max_new_tokens` or the
    context's end has no EOS.
    """
    g = Graph()
    prompt_BP = g.input("prompt_ids", INT64, ["batch", "prompt"])
    lengths_B = g.input("prompt_lengths", INT64, ["batch"])
    max_new = g.input("max_new_tokens", INT64, [])
    decoding = Decoding(
        temperature=g.input("temperature", FLOAT, []),
        top_k=g.input("top_k", INT64, []),
        top_p=g.input("top_p", FLOAT, []),
    )
    seeds_B = g.input("seeds", INT64, ["batch"])

    lengths_B1 = g.Unsqueeze(lengths_B, [1])
    shortest, longest = g.ReduceMin(lengths_B, keepdims=0), g.ReduceMax(lengths_B, keepdims=0)
    limit_B1 = g.Min(g.Add(lengths_B1, max_new), step.context)
    last_new = g.Sub(g.Min(max_new, step.context), 1)
    uniform_BN = uniforms(g, seeds_B, g.Add(last_new, 1))

    def turn(b: Graph, trip: str, token_B1: str, done_B1: str, *state: str) -> tuple[str, list[str], list[Typed]]:
        logits_BV, after = step(b, b.Squeeze(token_B1, [1]), *state)
        position = b.Add(trip, 1)

        def drawn(x: Graph) -> str:
            new_B1 = x.Min(x.Max(x.Sub(position, lengths_B1), 0), last_new)
            uniform_B1 = x.GatherElements(uniform_BN, new_B1, axis=1)
            return draw(x, logits_BV, uniform_B1, decoding, step.vocab_size, FORBIDDEN)

        def given(x: Graph) -> str:
            return x.Gather(prompt_BP, x.Unsqueeze(position, [0]), axis=1)

        def some_given(x: Graph) -> str:
            return x.Where(x.Less(position, lengths_B1), given(x), drawn(x))

        def within_prompts(x: Graph) -> str:
            return x.If(x.Less(position, shortest), given, some_given, INT64)

        next_B1 = b.If(b.Less(position, longest), within_prompts, drawn, INT64)
        next_B1 = b.Where(done_B1, PAD, next_B1)
        at_limit_B1 = b.GreaterOrEqual(b.Add(position, 1), limit_B1)
        done_B1 = b.Or(b.Or(done_B1, b.Equal(next_B1, EOS)), at_limit_B1)
        return anywhere(b, b.Not(done_B1)), [next_B1, done_B1, *after], [(next_B1, INT64)]

    first_B1 = g.Slice(prompt_BP, [0], [1], [1])
    carried = [(first_B1, INT64), (g.GreaterOrEqual(lengths_B1, limit_B1), BOOL)]
    carried += step.initial_state(g, g.Shape(prompt_BP, start=0, end=1))
    trips = g.Sub(g.ReduceMax(limit_B1, keepdims=0), 1)
    steps_SB1 = g.Loop(trips, carried, turn)[-1]

    # Each text's new tokens, moved to the left: its n-th was drawn at position prompt length + n, in step one before.
    steps_BS = g.Transpose(g.Squeeze(steps_SB1, [2]), perm=[1, 0])
    num_steps = g.Squeeze(g.Shape(steps_BS, start=1, end=2), [0])
    num_new = g.Min(g.Add(g.Sub(num_steps, shortest), 1), g.Add(last_new, 1))
    at_BN = g.Add(g.Sub(lengths_B1, 1), g.Unsqueeze(g.Range(0, num_new, 1), [0]))
    new_BN = g.GatherElements(steps_BS, g.Min(at_BN, g.Sub(num_steps, 1)), axis=1)
    g.output("new_ids", g.Where(g.Less(at_BN, num_steps), new_BN, PAD), INT64, ["batch", "new"])
    return g.model("generate", opset)
