"""What the tests of the report look at."""

from typing import Any

import pytest
from small_report import small_evaluation


@pytest.fixture
def evaluation() -> dict[str, Any]:
    return small_evaluation()
