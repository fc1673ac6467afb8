"""What the splits must be like, quarantine done. Rows: train, valid, test (`gdcore.facts.split_facts`)."""

from great_expectations.expectations.expectation import Expectation

from gdcore.facts import ValidationConfig
from tasks.expectations.rules import Between, rule


def rules(c: ValidationConfig, batch_size: int) -> list[Expectation]:
    """One rule a line."""
    return [
        rule("empty_split", "critical", Between, column="num_texts", min_value=1),
        rule("smaller_than_a_batch", "critical", Between, column="train_texts", min_value=batch_size),
        rule("small_held_out", "warning", Between, column="held_out_texts", min_value=c.min_held_out),
        rule("kept_share", "critical", Between, column="kept_share", min_value=c.min_kept_share),
        rule("leakage", "critical", Between, column="leak_share", max_value=c.max_leak_share),
        rule("many_unknown", "warning", Between, column="unk_rate", max_value=c.max_unk_rate),
        rule("vocabulary_coverage", "critical", Between, column="coverage", min_value=c.min_coverage),
        rule("label_drift", "warning", Between, column="label_distance", max_value=c.max_label_distance),
        rule("label_balance", "warning", Between, column="top_label_share", max_value=c.max_label_share),
    ]
