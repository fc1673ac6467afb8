"""Monte-Carlo rewards land on their own text and position, and estimate what they should."""

from dataclasses import replace

import pytest
import torch
from judge import NamingJudge
from toy import CONTEXT, TINY, VOCAB

from gdcore import plugins
from gdcore.adversarial.rollouts import rollout_rewards
from gdcore.batches import Batch
from gdcore.decoding import Decoding
from gdcore.networks import latent
from gdcore.objectives import seqgan
from gdcore.sampling import complete
from gdcore.tokenizer import EOS
from gdcore.uniforms import row_seeds


def test_every_prefix_is_completed_behind_its_own_words(generator, batch, monkeypatch):
    monkeypatch.setattr("gdcore.adversarial.rollouts.ROWS", 7)  # pieces that divide nothing
    seen: list[Batch] = []

    def judge(texts: Batch):
        seen.append(texts)
        return torch.arange(len(texts)).float()

    rollout_rewards(generator, batch, judge, 3)
    prefixes = [(b, t) for t in range(1, CONTEXT) for b in range(6) if t < batch.mask_BT[b].sum() - 1]
    written = [row[mask].tolist() for texts in seen[1:] for row, mask in zip(texts.tokens_BT, texts.mask_BT)]
    assert len(written) == 3 * len(prefixes)
    for p, (text, t) in enumerate(prefixes):
        for row in written[3 * p : 3 * p + 3]:
            assert row[: t + 1] == batch.tokens_BT[text, : t + 1].tolist()
            assert len(row) > t + 1
            assert EOS not in row[:-1]
            assert row[-1] == EOS or len(row) == CONTEXT


@pytest.mark.parametrize("name", plugins.names("generators"))
def test_any_generator_writes_on_from_a_prefix(name, batch):
    """The likeliest completion of what was read so far, whatever the generator remembers of it."""
    torch.manual_seed(0)
    writer = plugins.load("generators", name).Generator(TINY[name], VOCAB, CONTEXT)
    with torch.no_grad():
        for parameter in writer.parameters():
            parameter.mul_(1e4)  # next to no choice is left
    texts: list[Batch] = []
    batch = replace(batch, noise_BZ=torch.zeros(6, latent.noise_dim(writer)))
    rollout_rewards(writer, batch, lambda each: texts.append(each) or torch.zeros(len(each)), 1)
    written = {tuple(row[mask].tolist()) for each in texts[1:] for row, mask in zip(each.tokens_BT, each.mask_BT)}
    greedy = set()
    for row, end in zip(batch.tokens_BT, batch.mask_BT.sum(1).tolist()):
        for t in range(2, end):
            drawn = complete(
                writer,
                row[None, :t],
                torch.tensor([t]),
                max_tokens=CONTEXT,
                decoding=Decoding(temperature=0),
                seeds_B=row_seeds(0, 1),
                noise_BZ=torch.zeros(1, latent.noise_dim(writer)),
            )
            greedy.add(tuple(drawn.tokens_BT[0].tolist()))
    assert len(written & greedy) > 0.9 * len(greedy)


def test_rewards_land_on_their_text_and_position(generator, batch):
    """The judge names the text and its length; with the first token kept, only the completion's length varies."""

    def judge(texts: Batch):
        return texts.tokens_BT[:, 1].float()

    rewards_BT = rollout_rewards(generator, batch, judge, 2)
    expected = batch.tokens_BT[:, 1:2] * batch.target_BT
    assert torch.equal(rewards_BT, expected.float())
    by_hand = NamingJudge()(batch.tokens_BT, batch.mask_BT)
    last = seqgan.Objective(seqgan.Config(rollouts=2), generator, NamingJudge()).rewards(batch)
    for text in range(6):
        assert last[text, batch.mask_BT[text].sum() - 1].item() == pytest.approx(torch.sigmoid(by_hand[text]).item())


def test_it_estimates_the_mean_over_completions(generator, batch):
    def length(texts: Batch):
        return texts.mask_BT.sum(1).float()

    torch.manual_seed(0)
    estimated = rollout_rewards(generator, batch, length, 400)[2, 2].item()
    given = batch.tokens_BT[2:3, :3].expand(4000, 3)
    drawn = complete(
        generator,
        given,
        torch.full((4000,), 3),
        max_tokens=CONTEXT,
        decoding=Decoding(),
        seeds_B=row_seeds(1, 4000),
    )
    lengths = length(drawn)
    error = 4 * lengths.std().item() * (1 / 400 + 1 / 4000) ** 0.5
    assert estimated == pytest.approx(lengths.mean().item(), abs=error)
