"""Logistic regression on the words, word pairs and triples of a text: fast, exact, and shows its reasons.

Rows are TF-IDF of length one; a text's beginning and end count as words, so that breaking off is seen. What no second
text holds cannot help to judge another text: it has no weight of its own, but counts in a row's length.

Shapes: T texts, G n-grams.
"""

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit

from gdcore.evaluation.evidence import Texts
from gdcore.evaluation.ngram_counts import Bools, Counts, Floats, Ints

ORDERS = (1, 2, 3)
PENALTY = 0.5
"""Half of it times ‖weights‖² is added to the loss in nats, summed over texts."""
ITERATIONS = 50


class Classifier:
    def __init__(self, texts: Texts):
        self._rows_TG, self._num_grams = features(texts)

    def logits(self, learn: Ints, real: Bools, judge: Ints) -> Floats:
        weights_G = fit(self._rows_TG[learn], self._num_grams, np.where(real, 1.0, -1.0))
        return self._rows_TG[judge] @ weights_G


def prepare(texts: Texts, seed: int) -> Classifier:
    """Features of all texts; nothing here is drawn at random."""
    return Classifier(texts)


def features(texts: Texts) -> tuple[sparse.csr_array, int]:
    """TF-IDF rows (T, G) of n-grams that two texts hold at least, the last column 1 throughout; and G."""
    counts = Counts([["\x02", *text, "\x03"] for text in texts])
    num_texts = len(texts)
    squares_T = np.zeros(num_texts)
    rows: list[Ints] = []
    columns: list[Ints] = []
    values: list[Floats] = []
    num_grams = 0
    for order in ORDERS:
        gram_P, text_P, count_P = counts.postings(order)
        document_frequency_P = np.bincount(gram_P)[gram_P]
        value_P = (1 + np.log(count_P)) * (np.log((1 + num_texts) / (1 + document_frequency_P)) + 1)
        squares_T += np.bincount(text_P, value_P**2, num_texts)
        shared = document_frequency_P > 1
        grams, column = np.unique(gram_P[shared], return_inverse=True)
        rows.append(text_P[shared])
        columns.append(column + num_grams)
        values.append(value_P[shared])
        num_grams += len(grams)
    row = np.concatenate([*rows, np.arange(num_texts)])
    column = np.concatenate([*columns, np.full(num_texts, num_grams)])
    scaled = [value / np.sqrt(squares_T[text]) for value, text in zip(values, rows, strict=True)]
    value = np.concatenate([*scaled, np.ones(num_texts)])
    return sparse.csr_array((value, (row, column)), shape=(num_texts, num_grams + 1)), num_grams + 1


def fit(rows_TG: sparse.csr_array, num_grams: int, sign_T: Floats) -> Floats:
    """Weights of the penalised maximum likelihood by L-BFGS; that of the last column, the bias, is free."""
    columns_GT = rows_TG.T.tocsr()
    num_texts = len(sign_T)
    penalty_G = np.full(num_grams, PENALTY)
    penalty_G[-1] = 0

    def loss(weights_G: Floats) -> tuple[float, Floats]:
        margin_T = sign_T * (rows_TG @ weights_G)
        penalised_G = penalty_G * weights_G
        value = np.logaddexp(0, -margin_T).sum() + penalised_G @ weights_G / 2
        gradient_G = penalised_G - columns_GT @ (sign_T * expit(-margin_T))
        return value / num_texts, gradient_G / num_texts

    # The likelihood has converged for any purpose of ranking long before the weights have.
    options = {"maxiter": ITERATIONS, "ftol": 1e-7, "gtol": 1e-6}
    return minimize(loss, np.zeros(num_grams), jac=True, method="L-BFGS-B", options=options).x
