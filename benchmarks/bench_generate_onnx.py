"""Tokens per CPU-second of generate.onnx beside the torch sampler, one thread, the same texts from both.

    python benchmarks/bench_generate_onnx.py --vocab-size 15600

The model has random weights; its EOS is as likely as texts of `--length` tokens need. Speed does not depend on what the
weights are, but on how long the texts become.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from gdcore.decoding import Decoding
from gdcore.export.generation import generation_model
from gdcore.export.step import Step
from gdcore.generators import lstm
from gdcore.sampling import sample
from gdcore.serving.runtime import Graph
from gdcore.tokenizer import BOS, EOS, PAD
from gdcore.uniforms import row_seeds

MODES = (Decoding(), Decoding(temperature=0), Decoding(top_p=0.9), Decoding(top_k=50))


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median CPU time of a call, the first apart."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocab-size", type=int, default=5000)
    parser.add_argument("--embedding-dim", type=int, default=128)
    parser.add_argument("--hidden-dim", type=int, default=256)
    parser.add_argument("--length", type=int, default=14)
    parser.add_argument("--context", type=int, default=34)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 16, 128])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = lstm.Config(embedding_dim=options.embedding_dim, hidden_dim=options.hidden_dim)
    generator = lstm.Generator(config, options.vocab_size, options.context).eval()
    with torch.no_grad():
        generator.output.bias[EOS] = np.log(options.vocab_size / options.length)
    graph = Graph(generation_model(Step(generator, 20), 20).SerializeToString())

    print(
        f"LSTM {config.embedding_dim}/{config.hidden_dim}, vocabulary {options.vocab_size}, torch {torch.__version__}"
    )
    print(f"{'decoding':<14} {'batch':>5} {'ONNX':>8} {'torch':>8}  times   (tokens per CPU-second)")
    for decoding in MODES:
        for batch in options.batch_sizes:
            seeds = row_seeds(1, batch)

            def onnx(batch: int = batch, decoding: Decoding = decoding, seeds: np.ndarray = seeds) -> np.ndarray:
                return graph(
                    prompt_ids=np.full((batch, 1), BOS),
                    prompt_lengths=np.ones(batch, np.int64),
                    max_new_tokens=options.context,
                    temperature=np.float32(decoding.temperature),
                    top_k=decoding.top_k,
                    top_p=np.float32(decoding.top_p),
                    min_p=np.float32(decoding.min_p),
                    seeds=seeds,
                )[0]

            def eager(batch: int = batch, decoding: Decoding = decoding) -> list[list[int]]:
                return sample(generator, batch, seed=1, decoding=decoding)

            num = int((onnx() != PAD).sum())
            ours, theirs = num / seconds(onnx, options.repeats), num / seconds(eager, options.repeats)
            print(f"{decoding!s:<14} {batch:>5} {ours:>8.0f} {theirs:>8.0f} {ours / theirs:>6.1f}")


if __name__ == "__main__":
    main()
