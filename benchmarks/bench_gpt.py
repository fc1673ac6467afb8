"""A Transformer of nanoGPT's size on characters: training and sampling beside its loops and Hugging Face's `generate`.

    python -m benchmarks.bench_gpt [--rounds 5] [--only training sampling]

4 layers of width 128, 4 heads, 65 characters; ours in Llama's layout with a feed-forward part of 344, which is as many
weights. Training counts tokens, in batches of 12 texts of 64; in bfloat16 where the processor multiplies it. Sampling
counts tokens of texts of 64, none of which ends sooner, so that all sides write the same number; Hugging Face's model
has our weights. It comes with `pip install 'gdflow[peers]'`.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import torch

from benchmarks.limits import bfloat16_is_fast
from benchmarks.lines import skip
from benchmarks.peers import nanogpt
from benchmarks.racing import race, weights
from gdcore.batches import BatchStream
from gdcore.export.llama import SIZES
from gdcore.generators import transformer
from gdcore.sampling import sample
from gdcore.shards import Shards
from gdcore.tokenizer import BOS, EOS, SPECIALS
from gdcore.training.checkpoint import TrainState
from gdcore.training.loops import PretrainConfig, pretrain
from gdcore.training.phases import adamw

CHARACTERS = 65
VOCAB_SIZE = len(SPECIALS) + CHARACTERS
LENGTH = nanogpt.WINDOW
CONTEXT = LENGTH + 1
"""BOS and 63 characters are read to predict 63 and EOS: 64 tokens a text."""


class Unending(transformer.Generator):
    """Its texts end where the context does."""

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        logits = super().head(hidden)
        logits[..., EOS] = -torch.inf
        return logits


def our_model(
    kind: type[transformer.Generator] = transformer.Generator, context: int = CONTEXT
) -> transformer.Generator:
    """Of the same size."""
    torch.manual_seed(0)
    config = transformer.Config(hidden_dim=128, num_layers=4, num_heads=4, num_kv_heads=4, mlp_dim=344, dropout=0)
    return kind(config, VOCAB_SIZE, context)


def their_model() -> nanogpt.GPT:
    torch.manual_seed(0)
    return nanogpt.GPT(VOCAB_SIZE)


def training(rounds: int, steps: int = 20) -> None:
    """Tokens a second."""
    ids_N = np.random.default_rng(0).integers(len(SPECIALS), VOCAB_SIZE, 200_000)
    texts = Shards.of(ids_N[: 3_000 * (LENGTH - 1)].reshape(-1, LENGTH - 1).tolist())
    model, rival = our_model(), their_model()
    ours, others = (sum(p.numel() for p in each.parameters()) for each in (model, rival))
    assert abs(ours - others + rival.places.weight.numel()) < 0.01 * ours, "of equal size, but for places"
    state = TrainState(model, {"generator": adamw(model, 1e-3, 0.1)}, BatchStream(texts, nanogpt.BATCH_SIZE, seed=0))
    bfloat16 = bfloat16_is_fast()
    config = PretrainConfig(steps=1_000_000, learning_rate=1e-3, precision="bfloat16" if bfloat16 else "float32")
    reports, theirs = pretrain(state, config), nanogpt.Training(rival, ids_N, bfloat16)

    def learnt() -> float:
        for _ in range(steps):
            next(reports)
        return steps * state.batches.mean_targets

    note = "bfloat16" if bfloat16 else "float32: this processor has no units for bfloat16"
    attention = 4 * 2 * 2 * 128 * LENGTH / 2  # a token's scores and values, 4 layers, on average half of the text
    flop = 6 * weights(model) + 3 * attention
    race("mle_gpt_nanogpt", "tokens", learnt, lambda: sum(theirs.step() for _ in range(steps)), 1.3, rounds, note, flop)


def sampling(rounds: int) -> None:
    """Tokens a second, for three sizes of a batch."""
    model, rival = our_model(Unending, LENGTH).eval(), their_model().eval()
    hugging_face = as_hugging_face(model)
    for num, reach in {1: 3, 64: 15, 256: 17}.items():
        seeds = iter(range(1_000_000))

        def ours(num: int = num, seeds: Iterator[int] = seeds) -> float:
            texts = sample(model, num, seed=next(seeds))
            return sum(len(text) for text in texts)

        def theirs(num: int = num) -> float:
            return rival.generate(torch.full((num, 1), BOS), LENGTH - 1)[:, 1:].numel()

        race(f"sample_gpt_{num}_nanogpt", "tokens", ours, theirs, reach, rounds, flop=2 * weights(model))
        if not hugging_face:
            skip(f"sample_gpt_{num}_huggingface", "pip install 'gdflow[peers]'")
            continue

        def its(num: int = num, generate: Callable[[int], torch.Tensor] = hugging_face) -> float:
            return generate(num)[:, 1:].numel()

        race(f"sample_gpt_{num}_huggingface", "tokens", ours, its, 2, rounds)


def as_hugging_face(model: transformer.Generator) -> Callable[[int], torch.Tensor] | None:
    """Texts `(num, LENGTH)` by `LlamaForCausalLM.generate` with the same weights; None where it is not installed."""
    try:
        from transformers import LlamaConfig, LlamaForCausalLM  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    sizes = {theirs: getattr(model.config, ours) for ours, theirs in SIZES.items()}
    config = LlamaConfig(
        **sizes, vocab_size=model.vocab_size, max_position_embeddings=CONTEXT, head_dim=model.config.head_dim
    )
    copy = LlamaForCausalLM(config).eval()
    copy.load_state_dict(model.state_dict(), strict=False)  # the output matrix is the embedding
    copy.generation_config.eos_token_id = None
    fixed = {"do_sample": True, "top_k": 0, "max_new_tokens": LENGTH - 1, "pad_token_id": 0}

    def generate(num: int) -> torch.Tensor:
        start_B1 = torch.full((num, 1), BOS)
        mask_B1 = torch.ones_like(start_B1)
        return copy.generate(start_B1, attention_mask=mask_B1, **fixed)

    return generate


def main() -> None:
    parts = {"training": training, "sampling": sampling}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    given = parser.parse_args()
    print(f"GPT 4 × 128, vocabulary {VOCAB_SIZE}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in given.only:
        parts[name](given.rounds)


if __name__ == "__main__":
    main()
