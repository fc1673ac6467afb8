"""The CRF against brute force: every labelling of short texts, summed and compared one by one."""

import itertools
import math
import random

import pytest
import torch
from toy import JUDGES, VOCAB

from gdcore.discriminators import crf
from gdcore.networks import chains

LENGTHS = (5, 3, 1, 4)


def chain(num_labels: int):
    torch.manual_seed(num_labels)
    emissions_BTS = torch.randn(len(LENGTHS), 6, num_labels, dtype=torch.float64) * 2
    transitions_SS = torch.randn(num_labels, num_labels, dtype=torch.float64)
    mask_BT = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    return emissions_BTS, transitions_SS, mask_BT


def labellings(b: int, emissions_BTS, transitions_SS) -> dict[tuple[int, ...], float]:
    """Every labelling of one text with its probability, by the definition."""
    scores = {}
    for labels in itertools.product(range(len(transitions_SS)), repeat=LENGTHS[b]):
        here = sum(emissions_BTS[b, t, label].item() for t, label in enumerate(labels))
        scores[labels] = here + sum(transitions_SS[pair].item() for pair in itertools.pairwise(labels))
    total = sum(math.exp(score) for score in scores.values())
    return {labels: math.exp(score) / total for labels, score in scores.items()} | {(): math.log(total)}


@pytest.mark.parametrize("num_labels", [2, 3])
def test_sums_and_the_likeliest_labelling_by_brute_force(num_labels: int) -> None:
    parts = emissions_BTS, transitions_SS, mask_BT = chain(num_labels)
    log_z_B, marginals_BTS, best_BT = (f(*parts) for f in (chains.log_partition, chains.marginals, chains.likeliest))
    odds_B = chains.log_odds_of_constant(emissions_BTS, transitions_SS, 1, mask_BT)
    for b, length in enumerate(LENGTHS):
        all_of = labellings(b, emissions_BTS, transitions_SS)
        assert log_z_B[b].item() == pytest.approx(all_of.pop(()), abs=1e-9)
        assert best_BT[b, :length].tolist() == list(max(all_of, key=all_of.__getitem__))
        for t, label in itertools.product(range(length), range(num_labels)):
            expected = sum(p for labels, p in all_of.items() if labels[t] == label)
            assert marginals_BTS[b, t, label].item() == pytest.approx(expected, abs=1e-9)
        p = all_of[(1,) * length]
        assert odds_B[b].item() == pytest.approx(math.log(p / (1 - p)), abs=1e-9)
        labels_BT = torch.randint(num_labels, (len(LENGTHS), 6))
        score = chains.score(emissions_BTS, transitions_SS, labels_BT, mask_BT)[b] - log_z_B[b]
        assert score.exp().item() == pytest.approx(all_of[tuple(labels_BT[b, :length].tolist())], abs=1e-9)
        for start, end in itertools.combinations(range(length + 1), 2):
            expected = sum(p for labels, p in all_of.items() if set(labels[start:end]) == {0})
            (run,) = chains.run_probabilities(*parts, 0, [(b, start, end)])
            assert run == pytest.approx(expected, abs=1e-9)


def test_the_odds_of_a_sure_text_are_not_lost_to_rounding() -> None:
    emissions_BTS = torch.zeros(1, 4, 2)
    emissions_BTS[..., 1] = 30.0
    odds = chains.log_odds_of_constant(emissions_BTS, torch.zeros(2, 2), 1, torch.ones(1, 4, dtype=torch.bool))
    # Four labellings with one token otherwise, each e⁻³⁰ as likely; 1 − p itself is 0 in single precision.
    assert odds.item() == pytest.approx(30 - math.log(4), abs=1e-5)


def judge(num_classes: int = 1) -> crf.Discriminator:
    torch.manual_seed(0)
    made = crf.Discriminator(JUDGES["crf"], VOCAB, num_classes).eval()
    torch.nn.init.normal_(made.transitions)
    torch.nn.init.normal_(made.embedding.weight, std=3)
    torch.nn.init.normal_(made.emission.weight, std=2)
    return made


def test_the_verdict_is_that_all_tokens_are_real_and_the_loss_is_the_labels_likelihood() -> None:
    made = judge()
    tokens_BT, mask_BT = torch.randint(5, VOCAB, (4, 6)), torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    emissions_BTS, labels_BT = made.emissions(tokens_BT, mask_BT).detach(), torch.randint(2, (4, 6))
    logits_B, total = made(tokens_BT, mask_BT), 0.0
    for b, length in enumerate(LENGTHS):
        all_of = labellings(b, emissions_BTS, made.transitions.detach())
        assert torch.sigmoid(logits_B[b]).item() == pytest.approx(all_of[(1,) * length], rel=1e-4)
        total -= math.log(all_of[tuple(labels_BT[b, :length].tolist())])
    loss = made.loss(tokens_BT, labels_BT, mask_BT)
    assert loss.item() == pytest.approx(total / sum(LENGTHS), rel=1e-4)
    loss.backward()
    assert made.embedding.weight.grad.abs().sum() > 0
    assert made.transitions.grad.abs().sum() > 0


def test_a_class_is_what_all_tokens_agree_on() -> None:
    made = judge(3)
    tokens_BT, mask_BT = torch.randint(5, VOCAB, (4, 6)), torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    emissions_BTS, probabilities_BK = made.emissions(tokens_BT, mask_BT), made(tokens_BT, mask_BT).softmax(-1)
    for b, length in enumerate(LENGTHS):
        all_of = labellings(b, emissions_BTS, made.transitions)
        agreed = [all_of[(k,) * length] for k in range(3)]
        assert probabilities_BK[b].tolist() == pytest.approx([p / sum(agreed) for p in agreed], rel=1e-4)


def test_spans_are_the_fake_runs_of_the_likeliest_labelling() -> None:
    made = judge()
    tokens_BT, mask_BT = torch.randint(5, VOCAB, (4, 6)), torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    found, emissions_BTS = made.spans(tokens_BT, mask_BT), made.emissions(tokens_BT, mask_BT)
    for b, length in enumerate(LENGTHS):
        all_of = labellings(b, emissions_BTS, made.transitions)
        del all_of[()]
        labels = max(all_of, key=all_of.__getitem__)
        marked = [0 if any(start <= t < end for start, end, _ in found[b]) else 1 for t in range(length)]
        assert marked == list(labels)
        for start, end, probability in found[b]:
            assert probability == pytest.approx(
                sum(p for each, p in all_of.items() if set(each[start:end]) == {0}), rel=1e-4
            )
    assert any(found)


def test_corrupted_texts_are_labelled_where_the_generator_wrote() -> None:
    from test_plugins import batch_of, build_generator

    from gdcore.adversarial.corruption import corrupt

    torch.manual_seed(0)
    real, changed = batch_of(40), 0
    fake, labels_BT = corrupt(build_generator("lstm"), real, share=0.5)
    for b in range(len(real)):
        before = real.tokens_BT[b][real.mask_BT[b]].tolist()
        after, labels = fake.tokens_BT[b][fake.mask_BT[b]].tolist(), labels_BT[b][fake.mask_BT[b]].tolist()
        wrong = [t for t, label in enumerate(labels) if label == 0]
        if not wrong:
            assert after == before
            continue
        changed += 1
        start, end = wrong[0], wrong[-1] + 1
        assert wrong == list(range(start, end)), "one span"
        assert after[:start] == before[:start]
        behind = len(after) - end
        assert behind >= 1, "EOS stays"
        assert after[end:] == before[len(before) - behind :]
        assert start >= 1
        assert end - start <= max(1, (len(before) - 2) // 2)
    assert changed > 20


@pytest.mark.slow
def test_it_learns_to_find_what_was_put_in() -> None:
    """Texts that count upwards, in which a few tokens were replaced by noise."""
    torch.manual_seed(0)
    rng = random.Random(0)
    made = crf.Discriminator(crf.Config(embedding_dim=16, hidden_dim=16, dropout=0), 40)
    optimizer = torch.optim.Adam(made.parameters(), 1e-2)

    def drawn(num: int):
        rows, labels = [], []
        for _ in range(num):
            first, at, size = rng.randrange(5, 25), rng.randrange(1, 9), rng.randrange(1, 4)
            rows.append([first + t for t in range(12)])
            labels.append([1] * 12)
            rows[-1][at : at + size] = [rng.randrange(5, 40) for _ in range(size)]
            labels[-1][at : at + size] = [0] * size
        return torch.tensor(rows), torch.tensor(labels), torch.ones(num, 12, dtype=torch.bool)

    for _ in range(300):
        tokens_BT, labels_BT, mask_BT = drawn(64)
        loss = made.loss(tokens_BT, labels_BT, mask_BT)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    tokens_BT, labels_BT, mask_BT = drawn(200)
    found_BT = made.eval().marginals(tokens_BT, mask_BT) < 0.5
    assert ((found_BT == (labels_BT == 0)).float().mean()) > 0.95
