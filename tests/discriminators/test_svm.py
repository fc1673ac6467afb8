"""The machine of margins: its objective by hand, its optimum where the hand finds it and where liblinear does."""

import numpy as np
import pytest
import torch
from toy import VOCAB, toy_rows

from gdcore.adversarial.verdicts import loss_of
from gdcore.discriminators import svm
from gdcore.tokenizer import PAD


def machine(num_classes: int = 1, **config: object) -> svm.Discriminator:
    torch.manual_seed(0)
    return svm.Discriminator(svm.Config(**{"num_buckets": 50} | config), VOCAB, num_classes)


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    tokens_BT = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], True, PAD)
    return tokens_BT, tokens_BT != PAD


def features(made: svm.Discriminator, tokens_BT: torch.Tensor, mask_BT: torch.Tensor) -> np.ndarray:
    """What the machine sees of each text `(N,F)`: the derivative of its margin by the weights."""
    rows = []
    for n in range(len(tokens_BT)):
        margin = made(tokens_BT[n : n + 1], mask_BT[n : n + 1]).reshape(-1)[0]
        rows.append(torch.autograd.grad(margin, made.weight)[0][:, 0])
    return torch.stack(rows).double().numpy()


def optimise(made: svm.Discriminator, tokens_BT: torch.Tensor, mask_BT: torch.Tensor, targets: torch.Tensor) -> None:
    """To the optimum: the whole sum at once, by L-BFGS."""
    made.double()
    optimizer = torch.optim.LBFGS(made.parameters(), max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = made.verdict_loss(made(tokens_BT, mask_BT), targets)
        loss.backward()
        return loss

    optimizer.step(closure)


def test_the_objective_by_hand() -> None:
    made = machine(C=0.5)
    with torch.no_grad():
        made.weight.fill_(0.1)
        made.bias.fill_(2.0)
    # Violations of real −0.5: 1.5; of real 3: none; of fake 0.25: 1.25; of fake −1: exactly none.
    loss = loss_of(made, torch.tensor([-0.5, 3.0, 0.25, -1.0]), torch.tensor([1.0, 1.0, 0.0, 0.0]))
    norm = (made.weight.numel() * 0.01 + 4) / 2
    assert loss.item() == pytest.approx(norm + 0.5 * (1.5**2 + 1.25**2), rel=1e-5)
    loss = made.verdict_loss(torch.tensor([[2.0, -3.0], [0.0, 0.5]]), torch.tensor([0, 1]))
    assert torch.isclose(loss - made.verdict_loss(torch.tensor([[2.0, -3.0]]), torch.tensor([0])), torch.tensor(0.625))


def test_ngrams_are_counted_within_the_text() -> None:
    made = machine(longest=3)
    (row,) = features(made, *padded([[5, 6, 7, 6]]))
    # Four tokens, three pairs, two triples: nine n-grams, each 1/√9; token 6 twice.
    assert row[[5, 6, 7]].tolist() == pytest.approx([1 / 3, 2 / 3, 1 / 3])
    assert row[VOCAB:].sum() == pytest.approx(5 / 3)
    (longer,) = features(made, torch.tensor([[5, 6, 7, 6, 9, 9]]), torch.tensor([[True] * 4 + [False] * 2]))
    np.testing.assert_allclose(longer, row)
    assert not np.allclose(features(made, *padded([[6, 7, 6, 5]]))[0], row), "order is seen"


def test_the_optimum_of_two_texts_by_hand() -> None:
    """One token each, a real and a fake text: ±w on the tokens and no bias; w = 2C / (1 + 2C), for the margin is w."""
    made = machine(C=3.0, longest=1)
    optimise(made, torch.tensor([[5], [6]]), torch.ones(2, 1, dtype=torch.bool), torch.tensor([1.0, 0.0]))
    assert made.weight[[5, 6], 0].tolist() == pytest.approx([6 / 7, -6 / 7], abs=1e-4)
    assert made.bias.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("C", [0.1, 10.0])
def test_it_finds_what_liblinear_finds(C: float) -> None:
    classes = pytest.importorskip("sklearn.svm")
    rows = toy_rows(60, 0)
    tokens_BT, mask_BT = padded(rows)
    targets = torch.tensor([row[0] % 3 for row in rows])
    made = machine(3, C=C)
    optimise(made, tokens_BT, mask_BT, targets)
    reference = classes.LinearSVC(C=C, loss="squared_hinge", dual=False, tol=1e-10, max_iter=100_000)
    reference.fit(features(made, tokens_BT, mask_BT), targets.numpy())
    np.testing.assert_allclose(made.weight.detach().numpy().T, reference.coef_, atol=1e-4)
    np.testing.assert_allclose(made.bias.detach().numpy(), reference.intercept_, atol=1e-4)
