"""How cost grows: with sequence length, vocabulary, batch, rollouts and references. Seconds and memory, one point each.

    python -m benchmarks.bench_scaling [--only length vocabulary batch rollouts references] [--rounds 2]

A point is measured in a process of its own: processor time of a call, after one to warm up, and memory beyond what the
process began with. Training is of the LSTM 128/256, tied, and of the Transformer 4 × 128, a step of forward and
backward; rollouts are SeqGAN's rewards of 64 captions; references are BLEU's, for 1,000 texts. With a vocabulary of
131,072 a step's memory must not grow with batch × tokens × vocabulary: printed is by what it grows with twice the
batch, as a share of what that product grows by in single precision (`name share share share ≤reach`; less is better).
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch

from benchmarks.bench_bleu import our_bleu, zipf_texts
from benchmarks.bench_lstm import our_model as small_lstm
from benchmarks.captions import captions
from benchmarks.lines import costs
from gdcore.adversarial.rollouts import rollout_rewards
from gdcore.batches import Batch, make_batch, ordered_batches
from gdcore.contracts import Generator
from gdcore.generators import lstm, transformer
from gdcore.likelihood import nll
from gdcore.memory import forget_peak, peak

Work = Callable[[], object]
LENGTHS, VOCABULARIES, BATCHES = (32, 128, 512), (2_048, 8_192, 32_768, 131_072), (16, 64, 256)
ROLLOUTS, REFERENCES = (1, 4, 16, 64), (1_000, 10_000, 100_000)
BATCH_SIZE, LENGTH, VOCAB_SIZE, REACH = 32, 32, 8_192, 0.25


class Cost(NamedTuple):
    """Seconds of processor time, and bytes beyond what was held before."""

    seconds: float
    memory: float


def measured(make: Callable[[], Work], rounds: int) -> Cost:
    """What a call costs, in a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def child() -> None:
        work = make()
        forget_peak()
        before = peak()
        work()
        begun = time.process_time()
        for _ in range(rounds):
            work()
        theirs.send(((time.process_time() - begun) / rounds, peak() - before))

    process = context.Process(target=child)
    process.start()
    theirs.close()
    cost = Cost(*ours.recv())
    process.join()
    return cost


def step(kind: str, batch_size: int, length: int, vocab_size: int) -> Work:
    """Forward and backward of maximum likelihood."""
    torch.manual_seed(0)
    model: Generator = (
        lstm.Generator(lstm.Config(dropout=0), vocab_size, length)
        if kind == "LSTM"
        else transformer.Generator(transformer.Config(dropout=0), vocab_size, length)
    )
    tokens_BT = torch.randint(5, vocab_size, (batch_size, length))
    batch = make_batch(tokens_BT, torch.full((batch_size,), length), torch.ones(batch_size, dtype=torch.long))

    def work() -> None:
        model.zero_grad(set_to_none=True)
        nll(model, batch).backward()

    return work


def rewards(rollouts: int) -> Work:
    """SeqGAN's, by a judge that costs nothing."""
    model, fake = small_lstm().eval(), next(iter(ordered_batches(captions(64, seed=1), 64)))

    def judged(texts: Batch) -> torch.Tensor:
        return texts.mask_BT.float().mean(dim=1)

    return lambda: rollout_rewards(model, fake, judged, rollouts)


def scored(references: int) -> Work:
    """BLEU-2 to BLEU-5."""
    samples, others = zipf_texts(1_000, 0), zipf_texts(references, 1)
    return lambda: our_bleu(samples, others)


def curve(name: str, unit: str, points: Iterable[tuple[int, float, Callable[[], Work]]], rounds: int) -> list[Cost]:
    """A table: the point, seconds, what that is a unit, MB."""
    print(f"\n| {name} | s | µs a {unit} | MB |\n|---:|---:|---:|---:|", flush=True)
    found: list[Cost] = []
    for point, units, make in points:
        found.append(cost := measured(make, rounds))
        each = f"{cost.seconds / units * 1e6:,.1f}"
        print(f"| {point:,} | {cost.seconds:.3f} | {each} | {cost.memory / 1e6:,.0f} |", flush=True)
    return found


def training(axis: str, points: Iterable[int], rounds: int) -> None:
    """Both models along one axis, the others as usual."""
    for kind in ("LSTM", "Transformer"):
        usual = {"length": LENGTH, "vocab_size": VOCAB_SIZE, "batch_size": BATCH_SIZE}
        given = [(point, usual | {axis: point}) for point in points]
        rows = [
            (point, shape["length"] * shape["batch_size"], lambda kind=kind, shape=shape: step(kind, **shape))
            for point, shape in given
        ]
        found = curve(f"{kind}, {axis.replace('_', ' ')}", "token", rows, rounds)
        if axis == "vocab_size":
            largest = usual | {"vocab_size": VOCABULARIES[-1], "batch_size": 2 * BATCH_SIZE}
            twice = measured(lambda kind=kind, shape=largest: step(kind, **shape), 1)
            product = 4 * BATCH_SIZE * LENGTH * VOCABULARIES[-1]
            share = max(0.0, (twice.memory - found[-1].memory) / product)
            costs(f"scaling_vocabulary_{kind.lower()}_memory", [share], REACH)


def main() -> None:
    parts: dict[str, Callable[[int], object]] = {
        "length": lambda rounds: training("length", LENGTHS, rounds),
        "vocabulary": lambda rounds: training("vocab_size", VOCABULARIES, rounds),
        "batch": lambda rounds: training("batch_size", BATCHES, rounds),
        "rollouts": lambda rounds: curve(
            "rollouts", "rollout", [(n, n, lambda n=n: rewards(n)) for n in ROLLOUTS], rounds
        ),
        "references": lambda rounds: curve(
            "references", "reference", [(n, n, lambda n=n: scored(n)) for n in REFERENCES], rounds
        ),
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.only:
        parts[name](given.rounds)


if __name__ == "__main__":
    main()
