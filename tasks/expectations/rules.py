"""How a line of a suite becomes an expectation: a name, how grave its failure is, what is expected."""

from typing import Any, Literal

from great_expectations import expectations as gxe
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metadata_types import FailureSeverity

Between = gxe.ExpectColumnValuesToBeBetween  # pyright: ignore[reportPrivateImportUsage]
InSet = gxe.ExpectColumnValuesToBeInSet  # pyright: ignore[reportPrivateImportUsage]
Present = gxe.ExpectColumnValuesToNotBeNull  # pyright: ignore[reportPrivateImportUsage]
Quantiles = gxe.ExpectColumnQuantileValuesToBeBetween  # pyright: ignore[reportPrivateImportUsage]


def rule(name: str, severity: Literal["critical", "warning"], kind: type[Expectation], **kwargs: Any) -> Expectation:
    """One expectation called `name` in the verdict, in the Data Docs, and as the reason of a quarantined text."""
    return kind(**kwargs, severity=FailureSeverity(severity), meta={"rule": name})
