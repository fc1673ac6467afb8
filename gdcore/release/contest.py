"""Challenger and champion side by side, on today's held-out text, from nothing but their two bundles.

Both write from the same seeds, read the same texts, and are timed in turns.

Shape letters: N texts.
"""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gdcore.corpora.rows import gather, spread
from gdcore.evaluation import protocol as protocols
from gdcore.evaluation.intervals import Figure, Ratio, difference, figure, paired_difference
from gdcore.evaluation.judging import Judge, Result
from gdcore.progress import Progress
from gdcore.release.code_length import Spelling, bits
from gdcore.release.held_out import HeldOut, held_out
from gdcore.release.promotion import CRITERIA, Contest, Limit, Limits, PromotionConfig, judging, verdict
from gdcore.serving.session import Session

MAX_TRAIN_TEXTS = 1_000_000
"""Training texts, at most, that copies are looked for in: they are held in memory."""
NUM_SPELLING = 20_000
"""Training texts that tell how often each byte occurs."""
NUM_SHOWN = 8
"""Samples of each that `judgement.json` quotes; all of them lie in `samples/`."""
CALL_TOKENS = 32
"""Longest text of a timed call."""


def hold(
    config: PromotionConfig,
    bundles: Mapping[str, Path],
    learnt: Mapping[str, Path],
    today: Path,
    out: Path,
    seed: int,
) -> Iterator[Progress]:
    """Write `judgement.json` and `samples/` into `out`.

    `bundles` and `learnt` (the corpus folders that the models were trained on, as far as they are still there) are
    those of `challenger` and, where there is one, `champion`; `today` is the corpus whose test split both are held to.
    Raises UserError where no text is left to hold them to.
    """
    sessions = {name: Session(bundle) for name, bundle in bundles.items()}
    train = _training_text(learnt["challenger"])
    held = held_out(config.num_texts, sessions, learnt, today, seed)
    yield Progress(1, 5, f"{len(held.texts):,} held-out texts")

    spelling = Spelling.learn(train.gather_every(max(1, len(train) // NUM_SPELLING)).to_list())
    lengths_N = np.array([len(text.encode()) for text in held.texts], np.float64)
    ratios: dict[str, Ratio] = {}
    for name, session in sessions.items():
        ratios[name] = Ratio(bits(session, held.texts, held.prompts, spelling), lengths_N)
    yield Progress(2, 5, "code lengths")

    samples = {name: _samples(session, held.prompts, config, seed) for name, session in sessions.items()}
    (out / "samples").mkdir(parents=True, exist_ok=True)
    for name, drawn in samples.items():
        (out / "samples" / f"{name}.txt").write_text("".join(f"{text}\n" for text in drawn), "utf-8")
    yield Progress(3, 5, "samples")

    judge = Judge(held.texts, train.to_list(), judging(config))
    judged = {name: judge(drawn) for name, drawn in samples.items()}
    yield Progress(4, 5, "samples judged")

    contest = _contest(config, ratios, judged, judge.protocol)
    seconds = _timed(sessions, held.prompts, config.timed_calls)
    limits = _limits(config.limits, bundles, held, judged, seconds)
    if contest["difference"] and contest["criterion"] != "code_length":
        rise = paired_difference(ratios["champion"], ratios["challenger"], judge.protocol.sampling)["value"]
        fine = rise <= config.limits.max_bits_rise
        label = "rise of the code length in bits per byte"
        limits.append(_limit("code_length", label, rise, "at most", config.limits.max_bits_rise, fine, None))
    ruling = verdict(contest, limits)
    judgement = {
        "schema_version": 1,
        "verdict": ruling,
        "contest": contest,
        "limits": limits,
        "protocol": judge.protocol.id,
        "seed": seed,
        "held_out": {
            "texts": len(held.texts),
            "left_out": held.left_out,
            # Whose training text is gone, so that nobody can say what it had seen.
            "unknown": sorted(bundles.keys() - learnt.keys()),
        },
        "num_samples": len(samples["challenger"]),
        "metrics": {name: result["metrics"] for name, result in judged.items()},
        "samples": {name: drawn[:NUM_SHOWN] for name, drawn in samples.items()},
    }
    text = json.dumps(judgement, ensure_ascii=False, indent=1, allow_nan=False)
    (out / "judgement.json").write_text(text + "\n", "utf-8")
    yield Progress(5, 5, "challenger promoted" if ruling["promote"] else "champion stays")


def _training_text(corpus: Path) -> pl.Series:
    """What a model learnt from, or evenly spread texts of it: copies of the others are not seen."""
    path = corpus / "train.parquet"
    number = pl.scan_parquet(path).select(pl.len()).collect().item()
    return gather(path, ["text"], spread(number, MAX_TRAIN_TEXTS))["text"]


def _samples(session: Session, prompts: list[str] | None, config: PromotionConfig, seed: int) -> list[str]:
    num = min(config.num_samples, len(prompts)) if prompts else config.num_samples
    texts = session.generate(num, prompts and prompts[:num], seed=seed)
    return [" ".join(text.split("\n")) for text in texts]


def _contest(
    config: PromotionConfig,
    ratios: Mapping[str, Ratio],
    judged: Mapping[str, Result],
    protocol: protocols.Protocol,
) -> Contest:
    criterion = CRITERIA[config.criterion]
    change: Figure | None = None
    if criterion.metric is None:
        figures = {name: figure(ratio, protocol.sampling) for name, ratio in ratios.items()}
        if "champion" in ratios:
            change = paired_difference(ratios["champion"], ratios["challenger"], protocol.sampling)
    else:
        figures = {name: result["metrics"][config.criterion] for name, result in judged.items()}
        if "champion" in figures:
            change = difference(figures["champion"], figures["challenger"])
    return {
        "criterion": config.criterion,
        "label": criterion.label,
        "better": criterion.better,
        "challenger": figures["challenger"],
        "champion": figures.get("champion"),
        "difference": change,
    }


def _timed(sessions: Mapping[str, Session], prompts: list[str] | None, calls: int) -> dict[str, np.ndarray]:
    """Seconds of calls for one short text, in turns; the first call of each opens its graph and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sessions}
    for call in range(calls + 1):
        given = [prompts[call % len(prompts)]] if prompts else None
        for name, session in sessions.items():
            start = time.perf_counter()
            session.generate(1, given, seed=call, max_tokens=CALL_TOKENS)
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(each[1:]) for name, each in seconds.items()}


def _limits(
    config: Limits,
    bundles: Mapping[str, Path],
    held: HeldOut,
    judged: Mapping[str, Result],
    seconds: Mapping[str, np.ndarray],
) -> list[Limit]:
    """Every hard limit that is set, measured on the challenger; relative ones need a champion."""
    limits: list[Limit] = []

    def most(name: str, label: str, values: Mapping[str, float], limit: float | None) -> None:
        if limit is not None:
            value = values["challenger"]
            limits.append(_limit(name, label, value, "at most", limit, value <= limit, values.get("champion")))

    def least(name: str, label: str, values: Mapping[str, float], limit: float) -> None:
        value = values["challenger"]
        limits.append(_limit(name, label, value, "at least", limit, value >= limit, values.get("champion")))

    figures = {name: result["metrics"] for name, result in judged.items()}
    excess = {name: each["copy_rate"]["value"] - each["copy_rate_floor"]["value"] for name, each in figures.items()}
    most("copies", "copies of training text beyond real text's", excess, config.max_copy_excess)
    least(
        "unique", "unique texts", {name: each["unique"]["value"] for name, each in figures.items()}, config.min_unique
    )
    least("readable", "held-out texts that fit the context", held.readable, config.min_readable)
    least("parity", "agreement of the export with torch", {n: parity(each) for n, each in bundles.items()}, 1)
    size = {name: float(sum(path.stat().st_size for path in each.iterdir())) for name, each in bundles.items()}
    most("bytes", "bytes on disk", size, config.max_bytes)
    slow = {name: float(np.percentile(each, 95)) * 1000 for name, each in seconds.items()}
    most("latency", "milliseconds for 19 of 20 short texts", slow, config.max_latency_ms)
    if "champion" in bundles:
        middle = {name: float(np.median(each)) for name, each in seconds.items()}
        against = [(size, "size", "size against the champion's", config.max_size_ratio)]
        against += [(middle, "pace", "time for a short text against the champion's", config.max_latency_ratio)]
        for values, name, label, limit in against:
            most(name, label, {"challenger": values["challenger"] / values["champion"]}, limit)
    return limits


def _limit(name: str, label: str, value: float, bound: Any, limit: float, passed: bool, champion: Any) -> Limit:
    return {
        "name": name,
        "label": label,
        "value": value,
        "bound": bound,
        "limit": limit,
        "passed": bool(passed),
        "champion": champion,
    }


def parity(bundle: Path) -> float:
    """1 where the bundle's own record says that its graphs compute what torch computes, else 0."""
    try:
        told: dict[str, Any] = json.loads((bundle / "parity.json").read_text())
        numbers = [told[name] for name in ("logits", "nll", "discriminator")]
        texts = [told["greedy"], *told["sampled"]]
        equal = all(each["largest"] <= each["allowed"] for each in numbers)
        same = all(each["identical"] + each["ties"] >= each["allowed"] * each["texts"] for each in texts)
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
    return float(equal and same)
