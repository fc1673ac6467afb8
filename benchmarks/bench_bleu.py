"""BLEU and self-BLEU: this package beside fast-bleu and NLTK, on the same texts, in one run, with equal values.

    python -m benchmarks.bench_bleu [--samples FILE --references FILE] [--nltk-texts 12] [--rounds 5]

Without files, 10,000 texts a side are drawn from a Zipf law over 5,000 words. All seconds are the process's CPU time,
so that a busy machine and several threads change little; the rivals take turns. NLTK needs hours for all texts: it
scores a few against all references, and its time for the rest is extrapolated (the cost of one text does not depend on
the others). fast-bleu (C++, from PyPI) is no dependency: install it beside the package, or only NLTK is compared.
Prints `name ratio lowest highest ≥reach`: how many times faster, and how many times was to be within reach.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from benchmarks.lines import Verdict, skip
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Mean, SetFigure
from gdcore.evaluation.text_files import read_texts
from gdcore.evaluation.words import split
from gdcore.metrics import bleu, self_bleu

ORDERS = (2, 3, 4, 5)
WEIGHTS = [(1 / order,) * order for order in ORDERS]
NLTK_REACH, FAST_REACH = 10_000, 20
SINGLE = 1e-7
"""fast-bleu keeps its weights in single precision, where a third and a fifth are off by 1e-8; NLTK is met exactly."""

Texts = list[list[str]]
Scores = np.ndarray
"""Of BLEU the scores of every text, of self-BLEU the averages; a column an order."""


def zipf_texts(number: int, seed: int) -> Texts:
    """Texts of 5 to 16 words, the k-th word drawn in proportion to 1/k."""
    rng = np.random.default_rng(seed)
    law = 1 / np.arange(1, 5001)
    return [[f"w{word}" for word in rng.choice(5000, rng.integers(5, 17), p=law / law.sum())] for _ in range(number)]


def our_bleu(samples: Texts, references: Texts) -> Scores:
    measured = bleu.score(bleu.Config(), Evidence(samples, references))
    return np.stack([m.values_N for m in measured.values() if isinstance(m, Mean)], axis=1)


def our_self_bleu(samples: Texts) -> Scores:
    rows = np.arange(len(samples))
    measured = self_bleu.score(self_bleu.Config(), Evidence(samples, [["-"]]))
    return np.array([m.measure(rows) for m in measured.values() if isinstance(m, SetFigure)])


def fast_bleu(samples: Texts, references: Texts) -> Scores:
    from fast_bleu import BLEU  # pyright: ignore[reportMissingImports]

    scores = BLEU(references, dict(zip(ORDERS, WEIGHTS, strict=True))).get_score(samples)
    return np.stack([scores[order] for order in ORDERS], axis=1)


def fast_self_bleu(samples: Texts) -> Scores:
    from fast_bleu import SelfBLEU  # pyright: ignore[reportMissingImports]

    scores = SelfBLEU(samples, dict(zip(ORDERS, WEIGHTS, strict=True))).get_score()
    return np.array([np.mean(scores[order]) for order in ORDERS])


def nltk_scores(hypothesis: list[str], references: Texts) -> list[float]:
    return sentence_bleu(references, hypothesis, WEIGHTS, SmoothingFunction().method1)


def timed(measure: Callable[..., Scores], *texts: Texts) -> tuple[float, Scores]:
    begun = time.process_time()
    scores = measure(*texts)
    return time.process_time() - begun, scores


def told(name: str, rival: list[float], ours: list[float], reach: int, extrapolated: bool = False) -> None:
    """The ratio of the medians, and what it would be at its least and most favourable round."""
    lowest, highest = min(rival) / max(ours), max(rival) / min(ours)
    print(Verdict(name, median(rival) / median(ours), lowest, highest, "≥", reach, extrapolated), flush=True)


def installed() -> bool:
    try:
        import fast_bleu  # pyright: ignore[reportMissingImports]  # noqa: F401
    except ImportError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, help="generated texts, one a line")
    parser.add_argument("--references", type=Path, help="real texts, one a line")
    parser.add_argument("--nltk-texts", type=int, default=12, help="texts that NLTK scores")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if args.samples:
        samples, references = (
            split([t.lower() for t in read_texts(p)], "words") for p in (args.samples, args.references)
        )
        samples = [text for text in samples if text]
    else:
        samples, references = zipf_texts(10_000, 0), zipf_texts(10_000, 1)

    scores: dict[str, Scores] = {}
    ours: dict[str, list[float]] = {"bleu": [], "self_bleu": []}
    fast: dict[str, list[float]] = {"bleu": [], "self_bleu": []}
    for _ in range(args.rounds):
        for name, our, their, texts in (
            ("bleu", our_bleu, fast_bleu, (samples, references)),
            ("self_bleu", our_self_bleu, fast_self_bleu, (samples,)),
        ):
            seconds, scores[name] = timed(our, *texts)
            ours[name].append(seconds)
            if installed():
                seconds, found = timed(their, *texts)
                fast[name].append(seconds)
                assert np.allclose(found, scores[name], rtol=0, atol=SINGLE), f"{name} differs from fast-bleu's"

    rows = np.random.default_rng(0).choice(len(samples), args.nltk_texts, replace=False)
    nltk: dict[str, list[float]] = {"bleu": [], "self_bleu": []}
    for row in rows:
        seconds, found = timed(lambda row=row: np.array(nltk_scores(samples[row], references)))
        nltk["bleu"].append(seconds * len(samples))
        assert found.tolist() == scores["bleu"][row].tolist(), f"text {row} differs from NLTK's"
        others = samples[:row] + samples[row + 1 :]
        nltk["self_bleu"].append(
            timed(lambda row=row, others=others: np.array(nltk_scores(samples[row], others)))[0] * len(samples)
        )
    few = samples[: max(2, 4 * args.nltk_texts)]
    expected = np.mean([nltk_scores(text, few[:i] + few[i + 1 :]) for i, text in enumerate(few)], axis=0)
    assert np.allclose(our_self_bleu(few), expected, rtol=0, atol=1e-14), "self-BLEU differs from NLTK's"

    print(
        f"{len(samples):,} samples, {len(references):,} references, orders {ORDERS}, {args.rounds} rounds; values equal"
    )
    for name in ours:
        theirs = f"fast-bleu {median(fast[name]):.1f} s; " if fast[name] else "fast-bleu is not installed; "
        hours = median(nltk[name]) / 3600
        print(f"  {name}: {median(ours[name]):.2f} s; {theirs}NLTK {hours:.1f} h, extrapolated from {len(rows)} texts")
    for name in ours:
        if fast[name]:
            told(f"{name}_fast_bleu", fast[name], ours[name], FAST_REACH)
        else:
            skip(f"{name}_fast_bleu", "pip install fast-bleu")
        told(f"{name}_nltk", nltk[name], ours[name], NLTK_REACH, extrapolated=True)


if __name__ == "__main__":
    main()
