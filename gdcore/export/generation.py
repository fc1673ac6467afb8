"""`generate.onnx`: prompts in, finished texts out, in one run of one graph.

The graph reads the prompts and draws on from them, a token of every text a turn; finished texts leave the batch. What
it draws is what `gdcore.sampling.sample` draws from the same seeds.

Shapes: B texts, R texts still being written, P tokens of the longest prompt, V vocabulary, S steps (positions 1 … S of
the sequences), N new tokens, F all uniform numbers.
"""

from onnx import ModelProto

from gdcore.export.builder import FLOAT, INT64, Graph, Typed
from gdcore.export.sampler import Decoding, draw, normals, uniforms
from gdcore.export.step import Step
from gdcore.sampling import FORBIDDEN
from gdcore.tokenizer import EOS, PAD


def generation_model(step: Step, opset: int) -> ModelProto:
    """The whole-generation graph.

    Inputs: `prompt_ids` (B, P), from BOS to SEP, padded on the right; `prompt_lengths` (B); `max_new_tokens`,
    `temperature` (0 = the likeliest token), `top_k` (0 = all), `top_p` (1 = all), `min_p` (0 = all), scalars; `seeds`
    (B), int64.
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
        min_p=g.input("min_p", FLOAT, []),
    )
    seeds_B = g.input("seeds", INT64, ["batch"])

    shortest, longest = g.ReduceMin(lengths_B, keepdims=0), g.ReduceMax(lengths_B, keepdims=0)
    num_new = g.Min(max_new, step.context)
    limit_B = g.Min(g.Add(lengths_B, num_new), step.context)
    uniforms_F = g.Reshape(uniforms(g, seeds_B, num_new), [-1])
    batch_1 = g.Shape(prompt_BP, start=0, end=1)
    padding_B = g.Expand(PAD, batch_1)

    def turn(b: Graph, trip: str, row_R: str, token_R: str, *state: str) -> tuple[str, list[str], list[Typed]]:
        logits_RV, after = step(b, token_R, *state)
        position = b.Add(trip, 1)

        def drawn(x: Graph) -> str:
            new_R = x.Max(x.Sub(position, x.Gather(lengths_B, row_R)), 0)
            uniform_R = x.Gather(uniforms_F, x.Add(x.Mul(row_R, num_new), new_R))
            return draw(x, logits_RV, uniform_R, decoding, step.vocab_size, FORBIDDEN)

        def given(x: Graph) -> str:
            return x.Gather(x.Gather(prompt_BP, position, axis=1), row_R)

        def given_or_drawn(x: Graph) -> str:
            return x.Where(x.Less(position, x.Gather(lengths_B, row_R)), given(x), drawn(x))

        def within_prompts(x: Graph) -> str:
            return x.If(x.Less(position, shortest), given, given_or_drawn, INT64)

        next_R = b.If(b.Less(position, longest), within_prompts, drawn, INT64)
        steps_B = b.ScatterElements(padding_B, row_R, next_R)
        full_R = b.GreaterOrEqual(b.Add(position, 1), b.Gather(limit_B, row_R))
        live_R = b.Not(b.Or(full_R, b.Equal(next_R, EOS)))
        kept = [
            b.Compress(values, live_R, axis=axis)
            for values, axis in [(row_R, 0), (next_R, 0), *((x, 1) for x in after)]
        ]
        return b.Greater(b.Size(kept[0]), 0), kept, [(steps_B, INT64)]

    rows_B = g.Range(0, g.Squeeze(batch_1, [0]), 1)
    noise_BZ = normals(g, seeds_B, step.noise_dim) if step.noise_dim else None
    carried = [(rows_B, INT64), (g.Gather(prompt_BP, 0, axis=1), INT64), *step.initial_state(g, batch_1, noise_BZ)]
    steps_SB = g.Loop(g.Sub(g.ReduceMax(limit_B, keepdims=0), 1), carried, turn)[-1]

    # Each text's new tokens, moved to the left: its n-th stands at position prompt length + n, one step earlier.
    num_steps = g.Squeeze(g.Shape(steps_SB, start=0, end=1), [0])
    widest = g.Min(g.Add(g.Sub(num_steps, shortest), 1), num_new)
    at_BN = g.Add(g.Unsqueeze(g.Sub(lengths_B, 1), [1]), g.Range(0, widest, 1))
    new_BN = g.GatherElements(g.Transpose(steps_SB, perm=[1, 0]), g.Min(at_BN, g.Sub(num_steps, 1)), axis=1)
    g.output("new_ids", g.Where(g.Less(at_BN, num_steps), new_BN, PAD), INT64, ["batch", "new"])
    return g.model("generate", opset)
