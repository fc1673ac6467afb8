"""What discriminators know of a generator's faults, in nats a text, beside what other language models know.

    python -m benchmarks.judges --home DIR --run NAME [--judges cnn svm …] [--others NAME …] [--steps 1500]

Of any D, E_real[D] − log E_fake[exp D] is at most the divergence of real text from the generator's (Donsker & Varadhan
1983), and what guidance by D could take away from it. Each judge learns by cross-entropy to tell training texts from
fresh ones of the run's pretrained generator, the step with the best cross-entropy on valid counts; D is its logit times
the factor that is best on valid; the figure is taken on test, ± half of its 95 % interval. Another run's generator,
trained on the same tokens, knows the difference of the two NLLs; so does the mixture of them all, in equal parts.
"""

import argparse
import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gdcore import plugins, runs
from gdcore.adversarial.verdicts import cross_entropy, verdicts
from gdcore.batches import BatchStream, ordered_batches
from gdcore.contracts import Discriminator, Generator
from gdcore.likelihood import score
from gdcore.sampling import sample
from gdcore.shards import Shards
from gdcore.training.checkpoint import build_discriminator, load_generator
from gdcore.training.phases import EVAL_BATCH, adamw, open_split

Values = NDArray[np.float64]
BATCH, LOOK, PATIENCE = 64, 100, 5
FACTORS = np.geomspace(0.1, 10, 41)


def known(real_N: Values, fake_M: Values) -> float:
    """The bound, in nats a text."""
    top = fake_M.max()
    return float(real_N.mean() - top - np.log(np.exp(fake_M - top).mean()))


def bound(real_N: Values, fake_M: Values) -> tuple[float, float]:
    """The same with half of its 95 % interval, by the delta method."""
    weights_M = np.exp(fake_M - fake_M.max())
    error = math.hypot(real_N.std() / len(real_N) ** 0.5, weights_M.std() / weights_M.mean() / len(fake_M) ** 0.5)
    return known(real_N, fake_M), 1.96 * error


def logits(judge: Discriminator, texts: Shards) -> Values:
    parts = [verdicts(judge, batch) for batch in ordered_batches(texts, EVAL_BATCH)]
    return torch.cat(parts).double().numpy()


def trained(judge: Discriminator, real: Shards, fake: Shards, valid: tuple[Shards, Shards], steps: int) -> float:
    """The judge at its best; returns its cross-entropy on valid."""
    optimizer = adamw(judge, 1e-3, 0.1)
    real_batches, fake_batches = (BatchStream(texts, BATCH, 0, bucket_batches=1) for texts in (real, fake))
    best, weights, worse = math.inf, copy.deepcopy(judge.state_dict()), 0
    for step in range(1, steps + 1):
        judge.train()
        loss, _ = cross_entropy(judge, next(real_batches), next(fake_batches))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
        optimizer.step()
        if step % LOOK == 0:
            real_N, fake_M = (logits(judge, texts) for texts in valid)
            told = float((np.logaddexp(0, -real_N).mean() + np.logaddexp(0, fake_M).mean()) / 2)
            best, weights, worse = (
                (told, copy.deepcopy(judge.state_dict()), 0) if told < best else (best, weights, worse + 1)
            )
            if worse == PATIENCE:
                break
    judge.load_state_dict(weights)
    judge.eval()
    return best


def text_logprobs(generator: Generator, texts: Shards) -> Values:
    """Of each text."""
    return -score(generator, ordered_batches(texts, EVAL_BATCH))[0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path())
    parser.add_argument("--run", default="latest")
    parser.add_argument("--others", nargs="*", default=[], help="runs whose pretrained generators are compared")
    parser.add_argument("--judges", nargs="*", default=plugins.names("discriminators"))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--fakes", type=int, default=40_000)
    given = parser.parse_args()
    run = runs.find(given.home, given.run)
    real = {name: open_split(run.path("tokens"), run.path("validation"), name) for name in ("train", "valid", "test")}
    generator = load_generator(run.path("pretraining"))
    fakes = Shards.of(sample(generator, given.fakes + 2 * len(real["test"]) + len(real["valid"]), seed=0))
    ends = np.cumsum([given.fakes, len(real["valid"])])
    learnt, tuned, held = (fakes.only(rows) for rows in np.split(np.arange(len(fakes)), ends))
    own_N = text_logprobs(generator, real["test"])
    print(f"{generator.config.name}: {-own_N.mean():.3f} nats a text of test, {len(own_N):,} texts", flush=True)

    folders = {name: runs.find(given.home, name).path("pretraining") for name in given.others}
    every = {name: text_logprobs(load_generator(folder), real["test"]) for name, folder in folders.items()}
    if every:
        mixed_N = np.logaddexp.reduce([own_N, *every.values()]) - np.log(1 + len(every))
        every |= {"all in equal parts": mixed_N}
    for name, other_N in every.items():
        gain_N = other_N - own_N
        print(f"{name:20} {gain_N.mean():6.3f} ± {1.96 * gain_N.std() / len(gain_N) ** 0.5:.3f}", flush=True)
    for name in given.judges:
        torch.manual_seed(0)
        config: Any = plugins.load("discriminators", name).Config()
        judge = build_discriminator(config, generator.vocab_size)
        told = trained(judge, real["train"], learnt, (real["valid"], tuned), given.steps)
        valid_N, fake_M = logits(judge, real["valid"]), logits(judge, tuned)
        factor = max(FACTORS, key=lambda a: known(a * valid_N, a * fake_M))
        value, half = bound(factor * logits(judge, real["test"]), factor * logits(judge, held))
        print(f"{name:20} {value:6.3f} ± {half:.3f}  cross-entropy {told:.4f}, logit × {factor:.1f}", flush=True)


if __name__ == "__main__":
    main()
