"""What a text must be like once it is tokens. Rows: texts (`gdcore.facts.token_facts`)."""

from great_expectations.expectations.expectation import Expectation

from gdcore.facts import ValidationConfig
from tasks.expectations.rules import Between, Quantiles, rule


def rules(c: ValidationConfig, context: int) -> list[Expectation]:
    """One rule a line; a text that breaks one about single texts is quarantined under its name."""
    most = {"mostly": c.mostly}
    middle = {"quantiles": [0.5], "value_ranges": [[c.min_median_tokens, None]]}
    return [
        rule("too_many_tokens", "critical", Between, column="num_tokens", max_value=context, mostly=c.min_fitting),
        rule("mostly_unknown", "warning", Between, column="unk_share", max_value=c.max_unk_share, **most),
        rule("one_word_over_and_over", "warning", Between, column="top_share", max_value=c.max_top_share, **most),
        rule("repeats_itself", "warning", Between, column="repeated_share", max_value=c.max_repeated_share, **most),
        rule("short_texts", "warning", Quantiles, column="num_tokens", quantile_ranges=middle),
    ]
