"""An LSTM of TextGAN-PyTorch's size on captions: training, sampling and Monte-Carlo rewards beside its loops.

    python -m benchmarks.bench_lstm [--rounds 5] [--only training sampling rewards]

Training counts real tokens, padding never; batches of 64. Sampling counts texts, which end after 11 words on average.
Rewards are of 64 texts by 16 rollouts of every prefix; theirs are timed for one rollout and taken sixteenfold.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.captions import CONTEXT, LONGEST, MEAN_LENGTH, VOCAB_SIZE, captions, padded
from benchmarks.peers import textgan
from benchmarks.racing import race, weights
from gdcore.adversarial.rollouts import rollout_rewards
from gdcore.adversarial.verdicts import verdicts
from gdcore.batches import Batch, BatchStream, ordered_batches
from gdcore.discriminators import cnn
from gdcore.generators import lstm
from gdcore.networks.recurrent import RecurrentModel
from gdcore.sampling import sample
from gdcore.tokenizer import EOS
from gdcore.training.checkpoint import TrainState
from gdcore.training.loops import PretrainConfig, pretrain
from gdcore.training.phases import adamw

ROLLOUTS = 16


def our_model() -> RecurrentModel:
    """Of the same size, its texts as long as captions: the chance to end is that of their mean length."""
    torch.manual_seed(0)
    config = lstm.Config(embedding_dim=32, hidden_dim=32, dropout=0, tied=False)
    model = lstm.Generator(config, VOCAB_SIZE, CONTEXT)
    with torch.no_grad():
        model.output.bias[EOS] = np.log(VOCAB_SIZE / MEAN_LENGTH)
    return model


def training(rounds: int, steps: int = 60) -> None:
    """Real tokens a second."""
    texts = captions()
    model = our_model()
    optimizers = {"generator": adamw(model, 1e-2, 0.01)}
    state = TrainState(model, optimizers, BatchStream(texts, textgan.BATCH_SIZE, seed=0))
    reports = pretrain(state, PretrainConfig(steps=1_000_000, learning_rate=1e-2, precision="float32"))
    theirs = textgan.training(textgan.Generator(VOCAB_SIZE, LONGEST), torch.from_numpy(padded(texts)))

    def ours() -> float:
        for _ in range(steps):
            next(reports)
        return steps * state.batches.mean_targets

    flop = 6 * weights(model, "embedding.weight")
    race("mle_lstm_textgan", "tokens", ours, lambda: sum(theirs.step() for _ in range(steps)), 7, rounds, flop=flop)


def sampling(rounds: int) -> None:
    """Texts a second, for three sizes of a batch."""
    model, theirs = our_model().eval(), textgan.Generator(VOCAB_SIZE, LONGEST)
    flop = 2 * weights(model, "embedding.weight") * (MEAN_LENGTH + 1)
    for num in (64, 512, 4096):
        seeds = iter(range(1_000_000))
        repeats = max(1, 512 // num)

        def ours(num: int = num, seeds: Iterator[int] = seeds, repeats: int = repeats) -> float:
            return sum(len(sample(model, num, seed=next(seeds))) for _ in range(repeats))

        def others(num: int = num, repeats: int = repeats) -> float:
            return sum(len(theirs.sample(num)) for _ in range(repeats))

        race(f"sample_lstm_{num}_textgan", "texts", ours, others, 18, rounds, flop=flop)


def rewards(rounds: int) -> None:
    """Rewards of a batch of 64."""
    model, judge = our_model().eval(), cnn.Discriminator(cnn.Config(num_filters=300), VOCAB_SIZE).eval()
    theirs = textgan.Generator(VOCAB_SIZE, LONGEST), textgan.Discriminator(VOCAB_SIZE).eval()
    texts = captions(64, seed=1)
    fake: Batch = next(iter(ordered_batches(texts, 64)))
    table_BT = torch.from_numpy(padded(texts))

    def judged(batch: Batch) -> torch.Tensor:
        return torch.sigmoid(verdicts(judge, batch))

    def ours() -> float:
        rollout_rewards(model, fake, judged, ROLLOUTS)
        return 64

    def others() -> float:
        textgan.rewards(*theirs, table_BT, rollouts=1)
        return 64 / ROLLOUTS

    note = f"extrapolated, theirs, from 1 of {ROLLOUTS} rollouts"
    race("seqgan_rewards_textgan", "texts", ours, others, 20, rounds, note)


def main() -> None:
    parts = {"training": training, "sampling": sampling, "rewards": rewards}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    given = parser.parse_args()
    print(f"LSTM 32/32, vocabulary {VOCAB_SIZE:,}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in given.only:
        parts[name](given.rounds)


if __name__ == "__main__":
    main()
