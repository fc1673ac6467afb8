"""What a text must be like beside the others. Rows: texts (`gdcore.resemblance.similar`; only the kept take part)."""

from great_expectations.expectations.expectation import Expectation

from gdcore.facts import ValidationConfig
from tasks.expectations.rules import InSet, rule


def rules(c: ValidationConfig) -> list[Expectation]:
    """One rule a line; a text that breaks one is quarantined under its name."""
    most = {"mostly": c.mostly}
    return [
        rule("similar", "warning", InSet, column="similar", value_set=[False], **most),
        rule("leaked_similar", "warning", InSet, column="leaked_similar", value_set=[False], **most),
    ]
