"""Soft texts: a draw from the generator whatever the temperature, prompts kept, ends kept, gradients that arrive."""

import pytest
import torch
from toy import CONTEXT, TINY, VOCAB, toy_rows

from gdcore import plugins
from gdcore.adversarial.soft_sampling import sample_soft
from gdcore.batches import make_batch
from gdcore.sampling import FORBIDDEN
from gdcore.tokenizer import BOS, EOS, PAD, SEP

GENERATORS = plugins.names("generators")


def build(name: str):
    torch.manual_seed(0)
    module = plugins.load("generators", name)
    return module.Generator(TINY.get(name) or module.Config(), VOCAB, CONTEXT)


def prompted(num: int):
    """Prompts of one to three tokens, each with an answer."""
    rows = [[BOS, *row[: 1 + i % 3], SEP, *row[1:3], EOS] for i, row in enumerate(toy_rows(num, 0))]
    tokens_BT = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    lengths_B = torch.tensor([len(row) for row in rows])
    return make_batch(tokens_BT, lengths_B, torch.tensor([3 + i % 3 for i in range(num)]))


def unprompted(num: int):
    return make_batch(torch.full((num, 1), BOS), torch.ones(num, dtype=torch.long), torch.ones(num, dtype=torch.long))


@pytest.mark.parametrize("feed", ["soft", "drawn"])
@pytest.mark.parametrize("name", GENERATORS)
def test_gradients_reach_the_generator(name, feed):
    generator = build(name)
    soft = sample_soft(generator, prompted(6), 2.0, feed)
    (soft.rows_BTV[..., 7] * soft.batch.mask_BT).sum().backward()
    grads = {label: p.grad for label, p in generator.named_parameters() if p.grad is not None}
    assert all(grad.isfinite().all() for grad in grads.values())
    assert sum(grad.abs().sum() for grad in grads.values()) > 0
    # An encoder, if there is one, takes no part in writing.
    reading = ("encoder.", "mean.", "log_variance.")
    written = [label for label, _ in generator.named_parameters() if not label.removeprefix("vae.").startswith(reading)]
    assert grads.keys() >= set(written)


def test_gradient_flows_through_time_only_where_the_soft_row_is_read():
    generator = build("lstm")
    grads = {}
    for feed in ("soft", "drawn"):
        torch.manual_seed(1)
        soft = sample_soft(generator, unprompted(8), 1.0, feed)
        rows = soft.rows_BTV
        rows.retain_grad()
        generator.zero_grad()
        rows[:, 3, 9].sum().backward()
        grads[feed] = {name: p.grad.clone() for name, p in generator.named_parameters()}
    assert not torch.equal(grads["soft"]["embedding.weight"], grads["drawn"]["embedding.weight"])


def test_a_cold_row_is_the_one_hot_row_of_the_token_drawn():
    soft = sample_soft(build("lstm"), prompted(16), 1e5)
    one_hot = torch.nn.functional.one_hot(soft.batch.tokens_BT, VOCAB) * soft.batch.mask_BT.unsqueeze(-1)
    torch.testing.assert_close(soft.rows_BTV.detach(), one_hot.float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("inverse_temperature", [0.1, 3.0])
def test_texts_are_drawn_from_the_generator_whatever_the_temperature(inverse_temperature):
    generator, num = build("lstm"), 20_000
    with torch.no_grad():
        generator.output.bias.normal_(generator=torch.Generator().manual_seed(0))
        generator.context = 2
        torch.manual_seed(5)
        soft = sample_soft(generator, unprompted(num), inverse_temperature)
        logits_V = generator.logits(torch.tensor([[BOS]]))[0, 0]
    logits_V[list(FORBIDDEN)] = -torch.inf
    share_V = torch.bincount(soft.batch.tokens_BT[:, 1], minlength=VOCAB) / num
    torch.testing.assert_close(share_V, logits_V.softmax(-1), atol=0.015, rtol=0)


def test_prompts_stay_and_nothing_follows_the_end():
    batch = prompted(40)
    soft = sample_soft(build("gru"), batch, 1.0)
    tokens_BT, mask_BT = soft.batch.tokens_BT, soft.batch.mask_BT
    for text, given in enumerate(batch.prompt_lengths_B.tolist()):
        assert tokens_BT[text, :given].tolist() == batch.tokens_BT[text, :given].tolist()
        assert soft.rows_BTV[text, range(given), tokens_BT[text, :given]].eq(1).all()
        new = tokens_BT[text, given:][mask_BT[text, given:]].tolist()
        assert EOS not in new[:-1]
        assert not set(new) & set(FORBIDDEN)
    assert (tokens_BT[~mask_BT] == PAD).all()
    assert (soft.rows_BTV[~mask_BT] == 0).all()
    assert mask_BT.sum(1).unique().numel() > 1
    torch.testing.assert_close(soft.rows_BTV.sum(-1), mask_BT.float())


def test_a_seed_fixes_the_draw():
    generator = build("lstm")
    torch.manual_seed(3)
    first = sample_soft(generator, unprompted(4), 1.0)
    torch.manual_seed(3)
    assert torch.equal(sample_soft(generator, unprompted(4), 1.0).rows_BTV, first.rows_BTV)
