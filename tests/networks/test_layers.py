"""Layers: two ways to the same numbers."""

import torch

from gdcore.networks import layers
from gdcore.networks.layers import Convolutions


def test_the_best_window_first_gives_the_same_answers_and_gradients(monkeypatch):
    torch.manual_seed(0)
    convolutions = Convolutions(1, 6, (2, 3, 5))
    assert convolutions.by_window
    monkeypatch.setattr(layers, "PIECE", 100)  # more than one piece
    embedded_BTD = torch.randn(7, 9, 1, requires_grad=True)
    mask_BT = torch.arange(9) < torch.tensor([9, 1, 2, 5, 9, 3, 8]).unsqueeze(1)
    found = []
    for convolutions.by_window in (False, True):
        features_BC = convolutions(embedded_BTD, mask_BT)
        learnt = torch.autograd.grad(features_BC.square().sum(), [embedded_BTD, *convolutions.parameters()])
        found.append([features_BC, *learnt])
    for whole, by_window in zip(*found, strict=True):
        torch.testing.assert_close(by_window, whole, rtol=1e-4, atol=1e-5)
