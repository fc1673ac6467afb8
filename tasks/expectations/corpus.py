"""What a single text must be like. Rows: texts (`gdcore.facts.text_facts` and `twins`)."""

from great_expectations.expectations.expectation import Expectation

from gdcore.facts import ValidationConfig
from tasks.expectations.rules import Between, InSet, Present, rule


def rules(c: ValidationConfig) -> list[Expectation]:
    """One rule a line; a text that breaks one is quarantined under its name."""
    most, once = {"mostly": c.mostly}, [False, True] if c.keep_near_duplicates else [False]
    return [
        rule("missing", "critical", Present, column="num_chars"),
        rule("too_short", "warning", Between, column="num_chars", min_value=c.min_characters, **most),
        rule("too_long", "warning", Between, column="num_chars", max_value=c.max_characters, **most),
        rule("not_text", "critical", Between, column="alphabet_share", min_value=c.min_alphabet_share, **most),
        rule("mostly_digits", "warning", Between, column="digit_share", max_value=c.max_digit_share, **most),
        rule("foreign_script", "warning", Between, column="script_share", min_value=c.min_script_share, **most),
        rule("near_duplicate", "warning", InSet, column="near_duplicate", value_set=once, **most),
        rule("leaked", "warning", InSet, column="leaked", value_set=[False], **most),
    ]
