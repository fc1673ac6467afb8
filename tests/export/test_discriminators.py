"""Every discriminator's graph says what torch says: of texts, prefixes, tokens and classes, whatever the length."""

from typing import Any

import numpy as np
import pytest
import torch
from toy import JUDGES, VOCAB

from gdcore import plugins
from gdcore.export.discriminators import classifier_model, discriminator_model
from gdcore.serving.runtime import Graph


def built(name: str, num_classes: int = 1):
    torch.manual_seed(0)
    judge = plugins.load("discriminators", name).Discriminator(JUDGES[name], VOCAB, num_classes)
    with torch.no_grad():
        for parameter in judge.parameters():
            parameter.mul_(2).add_(0.05 * torch.randn_like(parameter))
    return judge.eval()


def texts(num: int, longest: int) -> tuple[torch.Tensor, torch.Tensor]:
    lengths_B = torch.arange(num) % longest + 1
    lengths_B[-1] = longest
    tokens_BT = torch.randint(5, VOCAB, (num, longest)) * (torch.arange(longest) < lengths_B[:, None])
    return tokens_BT, lengths_B


OF_ITS_KIND = {"crf"}
"""A graph partly made by hand. Those that torch alone makes take seconds each; that of the cnn other tests trace."""


def named(quick: set[str]) -> list[Any]:
    """Every discriminator; all but the quick ones are left for when there is time."""
    return [
        name if name in quick else pytest.param(name, marks=pytest.mark.slow)
        for name in plugins.names("discriminators")
    ]


@pytest.mark.parametrize("name", named(OF_ITS_KIND))
def test_the_graph_says_what_torch_says(name: str) -> None:
    judge = built(name)
    graph = Graph(discriminator_model(judge, 20).SerializeToString())
    per_token = {"token_logits": "token_logits", "token_probabilities": "marginals"}
    for shape in ((5, 9), (1, 2), (3, 17), (2, 1)):
        tokens_BT, lengths_B = texts(*shape)
        mask_BT = torch.arange(shape[1]) < lengths_B[:, None]
        padded_BT = np.pad(tokens_BT.numpy(), ((0, 0), (0, 7)), constant_values=9)  # even by words
        wider = graph(tokens=padded_BT, lengths=lengths_B.numpy())
        values = dict(zip(graph.outputs, graph(tokens=tokens_BT.numpy(), lengths=lengths_B.numpy())))
        for value, other in zip(values.values(), wider):
            np.testing.assert_allclose(other[:, : shape[1]] if other.ndim == 2 else other, value, atol=1e-5)
        with torch.no_grad():
            np.testing.assert_allclose(values.pop("logits"), judge(tokens_BT, mask_BT).numpy(), atol=2e-5)
            for output, value_BT in values.items():
                torchs_BT = getattr(judge, per_token[output])(tokens_BT, mask_BT)
                np.testing.assert_allclose(value_BT, torchs_BT.numpy(), atol=2e-5)


@pytest.mark.parametrize("name", named(set()))
def test_so_does_a_classifiers(name: str) -> None:
    classifier = built(name, num_classes=4)
    graph = Graph(classifier_model(classifier, 20).SerializeToString())
    tokens_BT, lengths_B = texts(5, 9)
    (logits_BK,) = graph(tokens=tokens_BT.numpy(), lengths=lengths_B.numpy())
    with torch.no_grad():
        expected_BK = classifier(tokens_BT, torch.arange(9) < lengths_B[:, None])
    assert expected_BK.shape == (5, 4)
    np.testing.assert_allclose(logits_BK, expected_BK.numpy(), atol=2e-5)
