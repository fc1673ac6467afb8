"""Sets of whole texts that make up a fixed number of tokens: what recurs more in more text is measured on so much.

Shape letters: N texts, R rows.
"""

import numpy as np

from gdcore.evaluation.ngram_counts import Ints


def enough(lengths_N: Ints, budget: int) -> int:
    """How many texts, drawn in any order, surely hold the budget; all of them where they hold no more than that."""
    needed = budget / max(1.0, lengths_N.mean())
    # Four standard deviations more texts than the budget holds on average: a draw of short ones is enough as well.
    needed += 4 * lengths_N.std() / max(1.0, lengths_N.mean()) * needed**0.5
    return len(lengths_N) if lengths_N.sum() <= budget else min(len(lengths_N), round(needed))


def within(rows_R: Ints, lengths_N: Ints, budget: int) -> Ints:
    """The first of the texts, in the order of the rows, up to the one that would exceed the budget; at least one."""
    return rows_R[: max(1, int(np.searchsorted(lengths_N[rows_R].cumsum(), budget, side="right")))]
