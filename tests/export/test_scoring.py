"""model.onnx and discriminator.onnx: what torch computes, whatever the batch, the length and the padding."""

import numpy as np
import pytest
import torch
from small_bundle import GENERATORS, traced

from gdcore.batches import make_batch
from gdcore.export.scoring import scoring_model
from gdcore.likelihood import logprobs
from gdcore.networks import latent
from gdcore.serving.runtime import Graph

VOCAB = 60
SHAPES = [(1, 2), (3, 9), (8, 30)]


def texts(batch: int, time: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(batch)
    lengths_B = torch.randint(1, time + 1, (batch,))
    lengths_B[0] = time
    tokens_BT = torch.randint(5, VOCAB, (batch, time))
    return tokens_BT.where(torch.arange(time) < lengths_B.unsqueeze(1), 0), lengths_B


@pytest.mark.parametrize("name", GENERATORS)
def test_scores(name: str):
    generator, step = traced(name)
    graph = Graph(scoring_model(step, 20).SerializeToString())
    for shape in SHAPES:
        tokens_BT, lengths_B = texts(*shape)
        nll_BT, next_BV = graph(["nll", "next_logits"], tokens=tokens_BT.numpy(), lengths=lengths_B.numpy())
        batch = make_batch(tokens_BT, lengths_B, torch.ones_like(lengths_B))
        with torch.no_grad():
            noise_BZ = latent.inferred(generator, batch)[0] if latent.noise_dim(generator) else batch.noise_BZ
            logits_BTV = generator.head(latent.hidden(generator, tokens_BT, noise_BZ))
            nll = -logprobs(generator, batch)[:, 1:]
        assert (nll_BT[:, 0] == 0).all()
        np.testing.assert_allclose(nll_BT[:, 1:], nll.numpy(), atol=3e-5, rtol=1e-5)
        np.testing.assert_allclose(
            next_BV, logits_BTV[torch.arange(shape[0]), lengths_B - 1].numpy(), atol=3e-5, rtol=1e-5
        )
