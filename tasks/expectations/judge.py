"""The validation stage: facts are measured, suites judge them, a text that breaks a rule goes to quarantine."""

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from great_expectations.core import ExpectationSuite, ExpectationValidationResult

from gdcore.errors import UserError
from gdcore.facts import ValidationConfig, main_scripts, measure, parts, split_facts, twins
from gdcore.progress import Progress
from gdcore.resemblance.similar import add_similar
from gdcore.resemblance.sketches import sketcher
from gdcore.tokens import SPLITS
from tasks.expectations import corpus as of_corpus
from tasks.expectations import docs
from tasks.expectations import similar as of_similar
from tasks.expectations import splits as of_splits
from tasks.expectations import tokens as of_tokens
from tasks.expectations.polars_engine import Evaluation, evaluate
from tasks.expectations.quarantine import KEY, NO_ROWS, PLACE, mark, with_texts, write_quarantine, write_similar

NUM_EXAMPLES = 5
ADVICE = {
    "not_text": "look whether this is the right file, and the right text column",
    "too_many_tokens": "give the generator a larger context, or shorter texts",
    "empty_split": "give more text, or a larger share of it to this split",
    "smaller_than_a_batch": "give more text, or smaller batches (pretrain.batch_size and finetune.batch_size; of a "
    "classifier classification.batch_size)",
    "leakage": "divide the texts so that near copies stay together (a group column does that)",
    "vocabulary_coverage": "set tokens.kind to bpe, or see whether the splits come from the same source",
}


def validate(
    config: ValidationConfig, corpus: Path, tokens: Path, context: int, batch_size: int, out: Path
) -> Iterator[Progress]:
    """Write validation/: verdict.json, quarantine.parquet, kept_<split>.npy, summary.json and data_docs/index.html.

    Also similar.parquet, where similar texts are looked for.

    Progress counts texts. The same input gives the same bytes. Raises UserError, once everything is written, when a
    critical rule fails; and, before anything is measured, when a package is missing.
    """
    if config.similarity is not None:
        sketcher()  # before the work of minutes
    used = json.loads((corpus / "summary.json").read_text("utf-8"))["used"]
    yield Progress(0, used, "looking at the corpus")
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out) as folder:
        verdict = yield from _judged(config, corpus, tokens, context, batch_size, used, Path(folder), out)
    if not verdict["success"]:
        raise UserError(complaint(verdict))


def _judged(
    config: ValidationConfig,
    corpus: Path,
    tokens: Path,
    context: int,
    batch_size: int,
    used: int,
    folder: Path,
    out: Path,
) -> Generator[Progress, None, dict[str, Any]]:
    """The verdict; `folder` is for what is measured of single texts."""
    scripts, done = main_scripts(pl.scan_parquet(corpus / "train.parquet")), 0
    for split in SPLITS:
        measured = 0
        for measured in measure(config, corpus, tokens, split, scripts, folder):
            yield Progress(done + measured, used, f"measuring {split}")
        done += measured
    yield Progress(used, used, "comparing the texts with one another")
    leaked = twins(folder)
    yield Progress(used, used, "judging single texts")
    frame = pl.scan_parquet(parts(folder))
    suites = (
        ExpectationSuite("corpus", of_corpus.rules(config)),
        ExpectationSuite("tokens", of_tokens.rules(config, context)),
    )
    evaluations = [evaluate(suite, frame, PLACE, NUM_EXAMPLES) for suite in suites]
    kept = {split: np.ones(len(flags_N), bool) for split, flags_N in leaked.items()}
    similar, in_part = NO_ROWS, {}
    if config.similarity is not None:
        for evaluation in evaluations:
            mark(kept, evaluation.offending, False)
        found = yield from add_similar(config.similarity, not config.keep_near_duplicates, corpus, folder, kept)
        mark(leaked, found.pairs.filter(pl.col("split") != pl.col("like_split")), True)
        similar, in_part = write_similar(found.pairs, corpus, out), {"compared_in_part": found.compared_in_part}
        suite = ExpectationSuite("similar", of_similar.rules(config))
        evaluations.append(evaluate(suite, pl.scan_parquet(parts(folder)), PLACE, NUM_EXAMPLES))
    yield Progress(used, used, "putting texts into quarantine")
    quarantine = write_quarantine(evaluations, corpus, out)
    mark(kept, quarantine, False)
    for split in SPLITS:
        np.save(out / f"kept_{split}.npy", np.flatnonzero(kept[split]))
    yield Progress(used, used, "judging the splits")
    of_each_split = split_facts(folder, tokens, kept, leaked)
    of_splits_suite = ExpectationSuite("splits", of_splits.rules(config, batch_size))
    evaluations.append(evaluate(of_splits_suite, of_each_split.lazy(), ["split"], NUM_EXAMPLES))
    verdict = write_verdict(evaluations, of_each_split, similar, corpus, out)
    reasons = dict(quarantine.group_by("reason").len().sort("len", "reason", descending=[True, False]).iter_rows())
    num_kept = dict(of_each_split.select("split", "num_texts").iter_rows())
    counts = {"read": sum(map(len, kept.values())), "used": sum(num_kept.values()), "quarantined": quarantine.height}
    assert used == counts["read"] == counts["used"] + counts["quarantined"], f"{used} texts in the corpus, but {counts}"
    write_json(out / "summary.json", {**counts, "reasons": reasons, "splits": num_kept, "scripts": scripts, **in_part})
    yield Progress(used, used, f"{quarantine.height:,} texts in quarantine")
    return verdict


def write_verdict(
    evaluations: list[Evaluation], of_each_split: pl.DataFrame, similar: pl.DataFrame, corpus: Path, out: Path
) -> dict[str, Any]:
    """Write verdict.json and the Data Docs. No time, no machine: the same corpus gives the same bytes."""
    suites: list[dict[str, Any]] = []
    for evaluation in evaluations:
        results = [report(result, of_each_split, similar, corpus) for result in evaluation.result.results]
        suites.append({"name": evaluation.result.suite_name, "results": results})
    critical = [r for suite in suites for r in suite["results"] if r["severity"] == "critical" and not r["success"]]
    verdict = {"success": not critical, "suites": suites}
    write_json(out / "verdict.json", verdict)
    (out / "data_docs").mkdir(exist_ok=True)
    page = docs.page(verdict, [evaluation.result for evaluation in evaluations])
    (out / "data_docs" / "index.html").write_text(page, "utf-8")
    return verdict


def report(
    result: ExpectationValidationResult, of_each_split: pl.DataFrame, similar: pl.DataFrame, corpus: Path
) -> dict[str, Any]:
    """One rule of the verdict: for texts the share that satisfies it is observed, for splits the figure of each."""
    configuration, found = result.expectation_config, result.result
    assert configuration is not None
    rows: list[dict[str, Any]] = found.get("unexpected_index_list", [])
    column = str(configuration.kwargs.get("column"))
    if "row" in (found.get("unexpected_index_column_names") or []):
        schema = {"split": pl.String, "row": pl.Int64}
        texts = with_texts(pl.DataFrame(rows, schema_overrides=schema), corpus) if rows else NO_ROWS
        if column in ("similar", "leaked_similar"):
            texts = texts.join(similar.select(*KEY, "similarity", "^like_.*$"), on=KEY, maintain_order="left")
        examples = [
            {"source": r["source"], "line": r["line"], "text": f"{r['text'][:200]!r} ({why(r, column)})"}
            for r in texts.iter_rows(named=True)
        ]
        percent = found["unexpected_percent"]
        observed = None if percent is None else round(1 - percent / 100, 6)
    elif "unexpected_index_list" in found:
        examples = [{"source": r["split"], "line": None, "text": f"{column} {docs.observed(r[column])}"} for r in rows]
        figures = of_each_split.select("split", column).drop_nulls().iter_rows()
        observed = {split: round(value, 6) for split, value in figures}
    else:
        examples, observed = [], found["observed_value"]
        if isinstance(observed, dict):  # quantiles
            observed = {f"quantile {q:g}": v for q, v in zip(observed["quantiles"], observed["values"], strict=True)}
    return {
        "rule": str((configuration.meta or {})["rule"]),
        "severity": configuration.to_json_dict()["severity"],
        "success": bool(result.success),
        "observed": observed,
        "threshold": expectation(configuration.kwargs),
        "unexpected_count": found.get("unexpected_count", 0),
        "examples": examples,
    }


def why(row: dict[str, Any], column: str) -> str:
    """What of a text broke a rule: the figure, or the text that it resembles and how much."""
    if "similarity" not in row:
        return f"{column} {docs.observed(row[column])}"
    place = {"source": row["like_source"], "line": row["like_line"]}
    return f"{row['similarity']:.3f} like {docs.place(place)} {row['like_text']!r}"


def expectation(kwargs: dict[str, Any]) -> str:
    """What a rule expects, in words: «num_tokens ≤ 32 in at least 90% of texts»."""
    if ranges := kwargs.get("quantile_ranges"):
        pairs = zip(ranges["quantiles"], ranges["value_ranges"], strict=True)
        return ", ".join(f"{kwargs['column']}, quantile {q:g}, {bounds(*ends)}" for q, ends in pairs)
    column = kwargs.get("column", "rows")
    if "value_set" in kwargs:
        words = f"{column} {' or '.join(docs.observed(value) for value in kwargs['value_set'])}"
    elif kwargs.get("min_value") is None and kwargs.get("max_value") is None:
        words = f"{column} present"
    else:
        words = f"{column} {bounds(kwargs.get('min_value'), kwargs.get('max_value'))}"
    mostly = kwargs.get("mostly", 1)
    return f"{words} in at least {mostly:.4g} of texts" if mostly < 1 else words


def bounds(low: float | None, high: float | None) -> str:
    """Two ends, either of which may be open."""
    ends = [f"{sign} {end:,.10g}" for sign, end in (("≥", low), ("≤", high)) if end is not None]
    return " and ".join(ends)


def complaint(verdict: dict[str, Any]) -> str:
    """The critical rules that failed: expected, observed, where first, what to do."""
    failed = [
        r for suite in verdict["suites"] for r in suite["results"] if r["severity"] == "critical" and not r["success"]
    ]
    parts: list[str] = []
    for r in failed:
        texts = [example for example in r["examples"][:3] if example["line"] is not None]
        first = "; ".join(f"{docs.place(example)} {example['text']}" for example in texts)
        parts.append(
            f"{r['rule']}: expected {r['threshold']}, observed {docs.observed(r['observed'])}"
            + (f"; first: {first}" if first else "")
            + f"; {ADVICE.get(r['rule'], 'mend the texts, or change the threshold under `validation`')}"
        )
    return "the corpus is not fit to train on. " + ". ".join(parts)


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8")
