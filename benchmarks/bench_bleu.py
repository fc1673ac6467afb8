"""BLEU and self-BLEU: this package beside NLTK, on the same texts, in one run, with equal values.

    python -m benchmarks.bench_bleu [--samples FILE --references FILE] [--nltk-texts 12]

Without files, 10,000 texts a side are drawn from a Zipf law over 5,000 words. NLTK needs hours for all of them: it
scores a few texts against all references, and its time for the rest is extrapolated (the cost of one text does not
depend on the others). Prints `name ratio reach`: how many times faster, and how many times was to be within reach.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from gdcore.evidence import Evidence
from gdcore.intervals import Mean, SetFigure
from gdcore.metrics import bleu, self_bleu
from gdcore.text_files import read_texts
from gdcore.words import split

ORDERS = (2, 3, 4, 5)
WEIGHTS = [(1 / order,) * order for order in ORDERS]
REACH = 10_000

Texts = list[list[str]]


def zipf_texts(number: int, seed: int) -> Texts:
    """Texts of 5 to 16 words, the k-th word drawn in proportion to 1/k."""
    rng = np.random.default_rng(seed)
    law = 1 / np.arange(1, 5001)
    return [[f"w{word}" for word in rng.choice(5000, rng.integers(5, 17), p=law / law.sum())] for _ in range(number)]


def ours(samples: Texts, references: Texts) -> tuple[dict[str, float], np.ndarray, dict[str, float]]:
    """Seconds, BLEU of every text, and self-BLEU of them all."""
    begun = time.perf_counter()
    measured = bleu.score(bleu.Config(), Evidence(samples, references))
    scores_NB = np.stack([m.values_N for m in measured.values() if isinstance(m, Mean)], axis=1)
    bleu_seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    rows = np.arange(len(samples))
    measured = self_bleu.score(self_bleu.Config(), Evidence(samples, [["-"]]))
    self_scores = {name: m.measure(rows) for name, m in measured.items() if isinstance(m, SetFigure)}
    return {"bleu": bleu_seconds, "self_bleu": time.perf_counter() - begun}, scores_NB, self_scores


def nltk_scores(hypothesis: list[str], references: Texts) -> list[float]:
    return sentence_bleu(references, hypothesis, WEIGHTS, SmoothingFunction().method1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, help="generated texts, one a line")
    parser.add_argument("--references", type=Path, help="real texts, one a line")
    parser.add_argument("--nltk-texts", type=int, default=12, help="texts that NLTK scores")
    args = parser.parse_args()
    if args.samples:
        samples, references = (
            split([t.lower() for t in read_texts(p)], "words") for p in (args.samples, args.references)
        )
    else:
        samples, references = zipf_texts(10_000, 0), zipf_texts(10_000, 1)

    seconds, scores_NB, _ = ours(samples, references)
    rows = np.random.default_rng(0).choice(len(samples), args.nltk_texts, replace=False)
    begun = time.perf_counter()
    for row in rows:
        assert nltk_scores(samples[row], references) == scores_NB[row].tolist(), f"text {row} differs from NLTK's"
    nltk_seconds = {"bleu": (time.perf_counter() - begun) / len(rows)}
    few = samples[: max(2, 4 * args.nltk_texts)]
    expected = np.mean([nltk_scores(text, few[:i] + few[i + 1 :]) for i, text in enumerate(few)], axis=0)
    assert np.allclose(list(ours(few, references)[2].values()), expected, rtol=0, atol=1e-14), "self-BLEU differs"
    begun = time.perf_counter()
    for row in rows:
        nltk_scores(samples[row], samples[:row] + samples[row + 1 :])
    nltk_seconds["self_bleu"] = (time.perf_counter() - begun) / len(rows)

    print(f"{len(samples):,} samples, {len(references):,} references, orders {ORDERS}; NLTK timed on {len(rows)} texts")
    for name in ("bleu", "self_bleu"):
        whole = nltk_seconds[name] * len(samples)
        print(f"  {name}: {seconds[name]:.2f} s; NLTK {whole / 3600:.1f} h (extrapolated); values equal")
    for name in ("bleu", "self_bleu"):
        print(f"{name} {nltk_seconds[name] * len(samples) / seconds[name]:.0f} {REACH}")


if __name__ == "__main__":
    main()
