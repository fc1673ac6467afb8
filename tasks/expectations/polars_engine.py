"""Polars computes, Great Expectations judges: a suite evaluated over a LazyFrame.

Great Expectations has no Polars engine; through pandas, millions of rows cost gigabytes. Here every expectation becomes
an expression, all of them are computed in one pass, a second pass fetches the offending rows, and the answers are put
into Great Expectations' own result objects, which its Data Docs render. Counts and verdicts equal those of its pandas
engine. What is not supported is refused by name, never skipped.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import great_expectations as gx
import numpy as np
import polars as pl
from great_expectations.core import ExpectationSuite, ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.expectations.expectation import Expectation

Kwargs = dict[str, Any]
ROW = "__row"
BOUNDS = ("min_value", "max_value", "strict_min", "strict_max")


class Evaluation(NamedTuple):
    """A suite's verdict; and its offending rows: the index columns and `rules`, the names of the rules they broke."""

    result: ExpectationSuiteValidationResult
    offending: pl.DataFrame


def within(value: pl.Expr, k: Kwargs) -> pl.Expr:
    """Whether a value lies within the bounds, either of which may be open or left out."""
    low, high = k.get("min_value"), k.get("max_value")
    if low is None and high is None:
        raise ValueError(f"an expectation on {k.get('column')!r} has neither min_value nor max_value; give one")
    inside = pl.lit(True)
    if low is not None:
        inside = inside & (value > low if k.get("strict_min") else value >= low)
    if high is not None:
        inside = inside & (value < high if k.get("strict_max") else value <= high)
    return inside


def quantiles(column: pl.Expr, k: Kwargs) -> pl.Expr:
    """The value nearest to each quantile (ties to the even one, as pandas has it)."""
    ordered, n = column.drop_nulls().sort(), column.count()
    at = [((n - 1) * q).clip(0) for q in k["quantile_ranges"]["quantiles"]]
    nearest = [pl.when(i.mod(1) == 0.5).then(i.floor() + i.floor().mod(2)).otherwise((i + 0.5).floor()) for i in at]
    return pl.concat_list(ordered.get(i.cast(pl.Int64), null_on_oob=True).cast(pl.Float64) for i in nearest)


# type → (permitted arguments, expression of a value that satisfies it, nulls left aside)
MAPS: dict[str, tuple[tuple[str, ...], Callable[[pl.Expr, Kwargs], pl.Expr]]] = {
    "expect_column_values_to_not_be_null": ((), lambda c, k: c.is_not_null()),
    "expect_column_values_to_be_between": (BOUNDS, within),
    "expect_column_values_to_be_in_set": (("value_set",), lambda c, k: c.is_in(list(k["value_set"]))),
    "expect_column_values_to_match_regex": (("regex",), lambda c, k: c.str.contains(k["regex"])),
    "expect_column_values_to_be_unique": ((), lambda c, k: c.is_unique()),
    "expect_column_value_lengths_to_be_between": (BOUNDS, lambda c, k: within(c.str.len_chars(), k)),
}
# type → (permitted arguments, expression of the figure observed)
FIGURES: dict[str, tuple[tuple[str, ...], Callable[[pl.Expr, Kwargs], pl.Expr]]] = {
    "expect_table_row_count_to_be_between": (BOUNDS, lambda c, k: pl.len()),
    "expect_column_min_to_be_between": (BOUNDS, lambda c, k: c.min()),
    "expect_column_max_to_be_between": (BOUNDS, lambda c, k: c.max()),
    "expect_column_mean_to_be_between": (BOUNDS, lambda c, k: c.mean()),
    "expect_column_median_to_be_between": (BOUNDS, lambda c, k: c.median()),
    "expect_column_sum_to_be_between": (BOUNDS, lambda c, k: c.sum()),
    "expect_column_stdev_to_be_between": (BOUNDS, lambda c, k: c.std()),
    "expect_column_quantile_values_to_be_between": (("quantile_ranges",), quantiles),
}


def evaluate(suite: ExpectationSuite, frame: pl.LazyFrame, index: Sequence[str], num_examples: int = 20) -> Evaluation:
    """Judge a frame by a suite; `index` names the columns that identify a row, `num_examples` caps those in the result.

    A rule is called by `meta["rule"]`, or by its expectation's type. Raises ValueError for an expectation, an argument
    or a column that cannot be evaluated.
    """
    schema = frame.collect_schema()
    expectations = [Evaluable(expectation, schema) for expectation in suite.expectations]
    figures = [figure.alias(f"{i}.{name}") for i, e in enumerate(expectations) for name, figure in e.figures.items()]
    row = frame.select(pl.len().alias(ROW), *figures).collect(engine="streaming").row(0, named=True)
    maps = [e for e in expectations if e.is_map]
    rules = pl.concat_list(pl.when(e.offends).then(pl.lit(e.rule)) for e in maps) if maps else pl.lit([])
    offending = (
        frame.with_row_index(ROW)
        .select(ROW, *dict.fromkeys((*index, *(e.column for e in maps))), rules=rules.list.drop_nulls())
        .filter(pl.col("rules").list.len() > 0)
        .collect(engine="streaming")
        .sort(ROW)
    )
    results: list[ExpectationValidationResult] = []
    for i, e in enumerate(expectations):
        observed = {name: row[f"{i}.{name}"] for name in e.figures}
        if e.is_map:
            examples = offending.filter(pl.col("rules").list.contains(e.rule)).head(num_examples)
            results.append(e.judge_rows(row[ROW], observed["missing"], observed["unexpected"], examples, index))
        else:
            results.append(e.judge_figure(observed["figure"]))
    return Evaluation(gather(suite.name, results), offending.select(*index, "rules"))


def gather(name: str, results: list[ExpectationValidationResult]) -> ExpectationSuiteValidationResult:
    """The suite's result object, with no trace of when or where it was made."""
    good = sum(bool(result.success) for result in results)
    return ExpectationSuiteValidationResult(
        success=good == len(results),
        results=results,
        suite_name=name,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": good,
            "unsuccessful_expectations": len(results) - good,
            "success_percent": 100 * good / len(results) if results else None,
        },
        meta={"great_expectations_version": gx.__version__},
    )


class Evaluable:
    """One expectation as Polars expressions, and its judgement of what they came to."""

    def __init__(self, expectation: Expectation, schema: pl.Schema) -> None:
        self.configuration = expectation.configuration
        kind, kwargs = self.configuration.type, self.configuration.kwargs
        self.kwargs: Kwargs = {key: value for key, value in kwargs.items() if value is not None}
        self.rule: str = (self.configuration.meta or {}).get("rule", kind)
        if kind not in MAPS and kind not in FIGURES:
            raise ValueError(
                f"rule {self.rule!r}: {kind} cannot be evaluated in Polars; there are {', '.join([*MAPS, *FIGURES])}"
            )
        permitted, build = MAPS.get(kind) or FIGURES[kind]
        unknown = self.kwargs.keys() - {*permitted, "column", *(("mostly",) if kind in MAPS else ())}
        if unknown:
            raise ValueError(
                f"rule {self.rule!r}: {kind} does not take {', '.join(sorted(unknown))} here; it takes "
                f"{', '.join(('column', *permitted))}"
            )
        self.column: str = self.kwargs.get("column", "")
        if "table" not in kind and self.column not in schema:
            raise ValueError(f"rule {self.rule!r}: no column {self.column!r}; there are {', '.join(schema.names())}")
        value = pl.col(self.column) if self.column else pl.lit(None)
        if self.column and schema[self.column].is_float():
            value = value.fill_nan(None)  # to pandas, not a number is missing
        self.ignores_nulls = kind != "expect_column_values_to_not_be_null"
        self.is_map, self.offends = kind in MAPS, pl.lit(False)
        self.figures: dict[str, pl.Expr] = {"figure": build(value, self.kwargs)}
        if self.is_map:
            present = value.is_not_null() if self.ignores_nulls else pl.lit(True)
            self.offends = present & ~self.figures["figure"]
            self.figures = {"missing": value.null_count(), "unexpected": self.offends.sum()}

    def judge_rows(
        self, num_rows: int, missing: int, unexpected: int, examples: pl.DataFrame, index: Sequence[str]
    ) -> ExpectationValidationResult:
        """The verdict on single values: enough of those present must satisfy the expectation."""
        present = num_rows - missing if self.ignores_nulls else num_rows
        success = present == 0 or (present - unexpected) / present >= self.kwargs.get("mostly", 1.0)
        result: dict[str, Any] = {
            "element_count": num_rows,
            "unexpected_count": unexpected,
            "unexpected_percent": 100 * unexpected / present if present else None,
            "partial_unexpected_list": examples[self.column].to_list(),
            "unexpected_index_column_names": list(index),
            "unexpected_index_list": examples.select(*dict.fromkeys((*index, self.column))).to_dicts(),
        }
        if self.ignores_nulls:
            result |= {
                "missing_count": missing,
                "missing_percent": 100 * missing / num_rows if num_rows else None,
                "unexpected_percent_total": 100 * unexpected / num_rows if num_rows else None,
                "unexpected_percent_nonmissing": result["unexpected_percent"],
            }
        return self.verdict(success, result)

    def judge_figure(self, observed: Any) -> ExpectationValidationResult:
        """The verdict on one figure of a column or table; an empty column has none, and fails."""
        if ranges := self.kwargs.get("quantile_ranges"):
            details = [
                value is not None and self.near(value, *bounds)
                for value, bounds in zip(observed, ranges["value_ranges"], strict=True)
            ]
            values = {"quantiles": ranges["quantiles"], "values": observed}
            return self.verdict(all(details), {"observed_value": values, "details": {"success_details": details}})
        success = observed is not None and bool(pl.select(within(pl.lit(observed), self.kwargs)).item())
        return self.verdict(success, {"observed_value": observed})

    @staticmethod
    def near(value: float, low: float | None, high: float | None) -> bool:
        """Whether a quantile lies in its range, or within Great Expectations' tolerance of an end."""
        low, high = -float("inf") if low is None else low, float("inf") if high is None else high
        return low <= value <= high or bool(np.isclose(value, [low, high], rtol=1e-4).any())

    def verdict(self, success: bool, result: dict[str, Any]) -> ExpectationValidationResult:
        """Great Expectations' own result object."""
        nothing = {"raised_exception": False, "exception_message": None, "exception_traceback": None}
        return ExpectationValidationResult(
            success=success, expectation_config=self.configuration, result=result, exception_info=nothing
        )
