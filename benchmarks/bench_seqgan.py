"""A whole adversarial step of `seqgan` in its fast mode, beside the same step with exact rollouts; and a whole run.

    python -m benchmarks.bench_seqgan [--rounds 3] [--only captions longest run]

A step is one update of the discriminator and one of the generator, batches of 64, 16 rollouts, LSTM 32/32, the same
causal discriminator in both. Texts are as long as captions, or all of 37 words. Before that both players learn for a
moment, and both modes judge the same texts: the correlation of their rewards over all tokens is printed. `run` takes
the cost of a default-size run (80 epochs of maximum likelihood on 10,000 captions, 200 turns) from a few steps of each.
"""

import argparse
import time

import numpy as np
import torch

from benchmarks.captions import CONTEXT, LONGEST, MEAN_LENGTH, VOCAB_SIZE, captions
from benchmarks.lines import costs
from benchmarks.racing import race
from gdcore.batches import BatchStream
from gdcore.contracts import Generator
from gdcore.discriminators import causal_lstm
from gdcore.generators import lstm
from gdcore.objectives import seqgan
from gdcore.sampling import complete_batch
from gdcore.shards import Shards
from gdcore.tokenizer import EOS
from gdcore.training.checkpoint import TrainState
from gdcore.training.loops import FinetuneConfig, PretrainConfig, finetune, pretrain
from gdcore.training.phases import adamw

BATCH_SIZE, ROLLOUTS, MANY = 64, 16, 1_000_000
EPOCHS, TURNS, HOUR = 80, 200, 60.0
CONFIG = FinetuneConfig(steps=MANY, warmup_steps=0, precision="float32")


def texts_of(length: int | None) -> Shards:
    """As captions are, or all of one length."""
    if length is None:
        return captions()
    rng = np.random.default_rng(0)
    return Shards.of(rng.integers(5, VOCAB_SIZE, (1_000, length)).tolist())


def model(length: int | None) -> Generator:
    """Whose texts are of that length."""
    torch.manual_seed(0)
    generator = lstm.Generator(lstm.Config(embedding_dim=32, hidden_dim=32, dropout=0, tied=False), VOCAB_SIZE, CONTEXT)
    with torch.no_grad():
        generator.output.bias[EOS] = -30.0 if length else np.log(VOCAB_SIZE / MEAN_LENGTH)
    return generator


def state_of(generator: Generator, judge: causal_lstm.Discriminator, texts: Shards, rollouts: int) -> TrainState:
    """Everything that a turn changes."""
    objective = seqgan.Objective(seqgan.Config(rollouts=rollouts), generator, judge)
    optimizers = {"generator": adamw(generator, 1e-5, 0.01), "discriminator": adamw(judge, 1e-3, 0.01)}
    return TrainState(generator, optimizers, BatchStream(texts, BATCH_SIZE, 0, bucket_batches=1), judge, objective)


def step(rounds: int, length: int | None) -> None:
    """Texts a second."""
    texts, generator = texts_of(length), model(length)
    judge = causal_lstm.Discriminator(causal_lstm.Config(), VOCAB_SIZE)
    fast, exact = (state_of(generator, judge, texts, rollouts) for rollouts in (0, ROLLOUTS))
    turns = {name: finetune(state, state.objective, CONFIG) for name, state in (("fast", fast), ("exact", exact))}
    for _ in range(20):
        next(turns["fast"])

    fake = complete_batch(generator, next(fast.batches))
    rewards = [state.objective.rewards(fake)[fake.target_BT].numpy() for state in (fast, exact)]
    print(f"  correlation of the two modes' rewards over {len(rewards[0]):,} tokens: {np.corrcoef(*rewards)[0, 1]:.2f}")

    def ours() -> float:
        for _ in range(4):
            next(turns["fast"])
        return 4 * BATCH_SIZE

    def theirs() -> float:
        next(turns["exact"])
        return BATCH_SIZE

    race(f"seqgan_step_fast{f'_{length}' if length else ''}", "texts", ours, theirs, 100, rounds, warm=False)


def run() -> None:
    """Minutes of processor time."""
    texts, generator = captions(), model(None)
    judge = causal_lstm.Discriminator(causal_lstm.Config(), VOCAB_SIZE)
    learning = TrainState(generator, {"generator": adamw(generator, 1e-2, 0.01)}, BatchStream(texts, BATCH_SIZE, 0))
    playing = state_of(generator, judge, texts, ROLLOUTS)
    config = PretrainConfig(steps=MANY, learning_rate=1e-2, precision="float32")
    seconds: list[float] = []
    for reports, times in ((pretrain(learning, config), 40), (finetune(playing, playing.objective, CONFIG), 2)):
        next(reports)
        begun = time.process_time()
        for _ in range(times):
            next(reports)
        seconds.append((time.process_time() - begun) / times)
    minutes = (EPOCHS * len(learning.batches) * seconds[0] + TURNS * seconds[1]) / 60
    print(f"  {seconds[0] * 1e3:.0f} ms a step of likelihood, {seconds[1]:.1f} s a turn with {ROLLOUTS} rollouts")
    costs("seqgan_run_cpu_minutes", [minutes], HOUR, extrapolated=True)


def main() -> None:
    parts = {"captions": lambda rounds: step(rounds, None), "longest": lambda rounds: step(rounds, LONGEST)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=[*parts, "run"], default=[*parts, "run"])
    given = parser.parse_args()
    print(f"LSTM 32/32, vocabulary {VOCAB_SIZE:,}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in given.only:
        run() if name == "run" else parts[name](given.rounds)


if __name__ == "__main__":
    main()
