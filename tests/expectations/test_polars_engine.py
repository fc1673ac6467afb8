"""Verdicts and counts equal those of Great Expectations' own pandas engine, for every type of expectation there is."""

import math
import random

import polars as pl
import pytest

from tasks.expectations import great_expectations as gx
from tasks.expectations.polars_engine import FIGURES, MAPS, evaluate

gxe = gx.expectations
RNG = random.Random(0)
N = 200
FRAME = pl.DataFrame(
    {
        "id": range(N),
        "count": [RNG.choice([None, *range(10)]) for _ in range(N)],
        "share": [RNG.choice([None, math.nan, 0.0, 0.25, 0.5, 0.75, 1.0]) for _ in range(N)],
        "word": [RNG.choice([None, "", "a", "dog", "ein Häuschen", "今天", "👩‍👩‍👧 x"]) for _ in range(N)],
        "distinct": [f"t{i}" if i % 7 else "same" for i in range(N)],
        "nothing": [None] * N,
    },
    schema_overrides={"count": pl.Int64, "nothing": pl.Float64},
)
QUANTILES = {
    "quantiles": [0.0, 0.1, 0.25, 0.5, 0.9, 1.0],
    "value_ranges": [[0, None], [None, 1], [2, 2], [9, 9]] + [[0, 9]] * 2,
}
EXPECTATIONS = [
    gxe.ExpectColumnValuesToNotBeNull(column="count", mostly=0.95),
    gxe.ExpectColumnValuesToNotBeNull(column="share", mostly=0.6),
    gxe.ExpectColumnValuesToNotBeNull(column="id"),
    gxe.ExpectColumnValuesToBeBetween(column="count", min_value=1, max_value=8, mostly=0.8),
    gxe.ExpectColumnValuesToBeBetween(column="count", min_value=1, max_value=8, strict_min=True, strict_max=True),
    gxe.ExpectColumnValuesToBeBetween(column="share", max_value=0.75, mostly=0.9),
    gxe.ExpectColumnValuesToBeBetween(column="nothing", min_value=1),
    gxe.ExpectColumnValuesToBeInSet(column="word", value_set=["a", "dog", "今天"], mostly=0.5),
    gxe.ExpectColumnValuesToBeInSet(column="count", value_set=[1, 2, 3]),
    gxe.ExpectColumnValuesToMatchRegex(column="word", regex=r"^\w+$", mostly=0.5),
    gxe.ExpectColumnValuesToMatchRegex(column="word", regex="[aä]"),
    gxe.ExpectColumnValuesToBeUnique(column="distinct", mostly=0.8),
    gxe.ExpectColumnValuesToBeUnique(column="id"),
    gxe.ExpectColumnValuesToBeUnique(column="count"),
    gxe.ExpectColumnValueLengthsToBeBetween(column="word", min_value=1, max_value=6, mostly=0.7),
    gxe.ExpectColumnValueLengthsToBeBetween(column="word", min_value=1, strict_min=True),
    gxe.ExpectTableRowCountToBeBetween(min_value=100, max_value=200),
    gxe.ExpectTableRowCountToBeBetween(min_value=201),
    gxe.ExpectColumnMinToBeBetween(column="count", min_value=0, max_value=0),
    gxe.ExpectColumnMinToBeBetween(column="share", min_value=0, strict_min=True),
    gxe.ExpectColumnMaxToBeBetween(column="count", max_value=8),
    gxe.ExpectColumnMaxToBeBetween(column="nothing", max_value=8),
    gxe.ExpectColumnMeanToBeBetween(column="count", min_value=3, max_value=6),
    gxe.ExpectColumnMeanToBeBetween(column="share", max_value=0.1),
    gxe.ExpectColumnMedianToBeBetween(column="count", min_value=4, max_value=5),
    gxe.ExpectColumnSumToBeBetween(column="count", min_value=1),
    gxe.ExpectColumnStdevToBeBetween(column="count", min_value=1, max_value=4),
    gxe.ExpectColumnQuantileValuesToBeBetween(column="count", quantile_ranges=QUANTILES),
    gxe.ExpectColumnQuantileValuesToBeBetween(
        column="share", quantile_ranges={"quantiles": [0.5], "value_ranges": [[0.1, 0.9]]}
    ),
]


@pytest.fixture(scope="module")
def pandas_results():
    """What Great Expectations' own engine says, one expectation after the other."""
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("frame")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": FRAME.to_pandas()})
    return [batch.validate(expectation) for expectation in EXPECTATIONS]


def suite_of(*expectations):
    return gx.ExpectationSuite(name="facts", expectations=list(expectations))


def test_every_supported_type_is_compared():
    assert {e.configuration.type for e in EXPECTATIONS} == {*MAPS, *FIGURES}


@pytest.mark.parametrize("i", range(len(EXPECTATIONS)), ids=lambda i: EXPECTATIONS[i].configuration.type)
def test_parity_with_the_pandas_engine(i, pandas_results):
    ours, theirs = evaluate(suite_of(EXPECTATIONS[i]), FRAME.lazy(), ["id"]).result.results[0], pandas_results[i]
    assert not theirs.exception_info.get("raised_exception"), theirs.exception_info
    assert ours.success == theirs.success
    for key in ours.result.keys() & theirs.result.keys() - {"details"}:
        assert comparable(ours.result[key]) == comparable(theirs.result[key]), key
    assert ours.result.keys() - theirs.result.keys() <= {"unexpected_index_column_names", "unexpected_index_list"}


def comparable(value):
    """Figures to ten digits; not a number as missing."""
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [comparable(each) for each in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.10g}")
    return value


@pytest.mark.parametrize("n", range(1, 12))
def test_quantiles_fall_on_the_values_pandas_takes(n):
    values = pl.Series("x", RNG.sample(range(100), n))
    quantiles = [0.05 * i for i in range(21)]
    ranges = {"quantiles": quantiles, "value_ranges": [[None, None]] * 21}
    e = gxe.ExpectColumnQuantileValuesToBeBetween(column="x", quantile_ranges=ranges)
    ours = evaluate(suite_of(e), values.to_frame().lazy(), ["x"]).result.results[0]
    assert ours.result["observed_value"]["values"] == values.to_pandas().quantile(quantiles, "nearest").tolist()


def test_offending_rows_carry_their_rules():
    low = gxe.ExpectColumnValuesToBeBetween(column="count", min_value=1, meta={"rule": "low"}, severity="warning")
    long = gxe.ExpectColumnValueLengthsToBeBetween(column="word", max_value=3, mostly=0.1, meta={"rule": "long"})
    evaluation = evaluate(suite_of(low, long), FRAME.lazy(), ["id"], num_examples=2)
    expected = [
        {"id": i, "rules": rules}
        for i, count, word in FRAME.select("id", "count", "word").iter_rows()
        if (rules := ["low"] * (count == 0) + ["long"] * (word is not None and len(word) > 3))
    ]
    assert evaluation.offending.to_dicts() == expected
    results = {result.expectation_config.meta["rule"]: result for result in evaluation.result.results}
    assert (results["low"].success, results["long"].success) == (False, True)
    assert len(results["low"].result["unexpected_index_list"]) == 2
    assert evaluation.result.get_max_severity_failure() == "warning"
    assert evaluation.result.success is False


def test_an_empty_frame_satisfies_rules_of_values_and_has_no_figures():
    of_values, of_figures = (
        gxe.ExpectColumnValuesToBeBetween(column="count", min_value=1),
        gxe.ExpectColumnMeanToBeBetween(column="count", min_value=1),
    )
    result = evaluate(suite_of(of_values, of_figures), FRAME.head(0).lazy(), ["id"]).result
    assert [each.success for each in result.results] == [True, False]


def test_an_unsupported_expectation_is_refused_by_name():
    with pytest.raises(ValueError, match="expect_column_values_to_be_increasing cannot be evaluated"):
        evaluate(suite_of(gxe.ExpectColumnValuesToBeIncreasing(column="id")), FRAME.lazy(), ["id"])


def test_an_unsupported_argument_is_refused_by_name():
    from great_expectations.expectations.row_conditions import Column

    e = gxe.ExpectColumnValuesToBeUnique(column="id", row_condition=Column("count") > 0)
    with pytest.raises(ValueError, match="does not take row_condition"):
        evaluate(suite_of(e), FRAME.lazy(), ["id"])


def test_a_missing_column_is_named():
    e = gxe.ExpectColumnValuesToBeUnique(column="idd", meta={"rule": "known"})
    with pytest.raises(ValueError, match="rule 'known': no column 'idd'; there are id, count"):
        evaluate(suite_of(e), FRAME.lazy(), ["id"])


def test_bounds_are_needed():
    with pytest.raises(ValueError, match="neither min_value nor max_value"):
        evaluate(suite_of(gxe.ExpectColumnMeanToBeBetween(column="id")), FRAME.lazy(), ["id"])
