"""RelGAN's generator step on captions, beside TextGAN-PyTorch's: texts a second, batches of 64.

    python -m benchmarks.bench_relgan [--rounds 3]

One slot, 2 heads of 256, and a discriminator of 64 views with 300 filters each of widths 2 to 5, in both. Their output
matrix has 512 rows of its own and their embedding 32; ours is one matrix for both, of 512, so that drawing a token
takes as many products. Their texts are written to the longest; ours end, after 11 words on average.
"""

import argparse

import numpy as np
import torch

from benchmarks.captions import CONTEXT, LONGEST, MEAN_LENGTH, VOCAB_SIZE, captions, padded
from benchmarks.peers import textgan_relgan
from benchmarks.racing import race
from gdcore.batches import BatchStream
from gdcore.discriminators import relgan as views
from gdcore.generators import relational_memory
from gdcore.objectives import relgan
from gdcore.tokenizer import EOS
from gdcore.training.checkpoint import TrainState
from gdcore.training.loops import FinetuneConfig, update
from gdcore.training.phases import adamw

BATCH_SIZE, INVERSE_TEMPERATURE, TURN = 64, 10.0, 100
"""β is 10 at the 100th of 200 turns."""


def our_state() -> tuple[TrainState, relgan.Objective]:
    """Both players; texts end after as many words as captions do."""
    torch.manual_seed(0)
    config = relational_memory.Config(embedding_dim=512, num_slots=1, num_heads=2, head_dim=256, dropout=0)
    generator = relational_memory.Generator(config, VOCAB_SIZE, CONTEXT)
    with torch.no_grad():
        generator.embedding.weight.mul_(0.01)  # nearly even chances, whatever was read
        generator.output_bias[EOS] = np.log(VOCAB_SIZE / MEAN_LENGTH)
    judge = views.Discriminator(views.Config(num_views=64, view_dim=1, num_filters=300), VOCAB_SIZE)
    objective = relgan.Objective(relgan.Config(), generator, judge)
    optimizers = {"generator": adamw(generator, 1e-6, 0.01)}
    stream = BatchStream(captions(), BATCH_SIZE, seed=0, bucket_batches=1)
    return TrainState(generator, optimizers, stream, judge, objective), objective


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(f"vocabulary {VOCAB_SIZE:,}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    state, objective = our_state()
    config = FinetuneConfig(precision="float32", batch_size=BATCH_SIZE)
    rival = textgan_relgan.Adversarial(
        textgan_relgan.Generator(VOCAB_SIZE, LONGEST),
        textgan_relgan.Discriminator(VOCAB_SIZE),
        torch.from_numpy(padded(captions())),
        BATCH_SIZE,
    )

    def ours() -> float:
        update("generator", state, config, objective.generator_loss, TURN)
        return BATCH_SIZE

    race("relgan_step_textgan", "texts", ours, lambda: rival.step(INVERSE_TEMPERATURE), 4, given.rounds, warm=False)


if __name__ == "__main__":
    main()
