"""What is special about each architecture, worked by hand; and that each is a classifier too."""

import pytest
import torch
from test_plugins import batch_of
from toy import JUDGES, VOCAB

from gdcore import plugins
from gdcore.adversarial.verdicts import loss_of
from gdcore.discriminators import mlp, relgan, transformer
from gdcore.networks.layers import BidirectionalLSTM, Convolutions, average, strongest


def test_a_bidirectional_layer_is_torchs_on_each_text_by_itself() -> None:
    torch.manual_seed(0)
    ours, theirs = BidirectionalLSTM(3, 4, 2), torch.nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True)
    for layer, (forwards, backwards) in enumerate(zip(ours.forwards, ours.backwards)):
        for suffix, part in (("", forwards), ("_reverse", backwards)):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(theirs, f"{name}_l{layer}{suffix}").data.copy_(getattr(part, f"{name}_l0"))
    x_BTD, lengths = torch.randn(3, 6, 3), (6, 2, 1)
    features_BTH = ours(x_BTD, torch.arange(6) < torch.tensor(lengths)[:, None])
    for b, length in enumerate(lengths):
        torch.testing.assert_close(features_BTH[b, :length], theirs(x_BTD[b : b + 1, :length])[0][0])


def test_pooling_by_hand() -> None:
    features_BTD = torch.tensor([[[1.0, -5.0], [3.0, -7.0], [9.0, 9.0]]])
    mask_BT = torch.tensor([[True, True, False]])
    assert strongest(features_BTD, mask_BT).tolist() == [[3.0, -5.0]]
    assert average(features_BTD, mask_BT).tolist() == [[2.0, -6.0]]


def test_a_filter_answers_to_its_ngram_wherever_it_stands() -> None:
    convolutions = Convolutions(2, 1, [2])
    with torch.no_grad():
        convolutions[0].weight.copy_(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]))  # first token (1, 0), then (0, 1)
        convolutions[0].bias.fill_(-1.5)
    a, b = [1.0, 0.0], [0.0, 1.0]
    texts_BTD = torch.tensor([[a, b, b, b], [b, b, a, b], [b, a, a, b]])
    mask_BT = torch.tensor([[True] * 4, [True] * 4, [True] * 3 + [False]])
    assert convolutions(texts_BTD, mask_BT).tolist() == [[0.5], [0.5], [0.0]]


def test_a_bag_does_not_see_the_order_and_the_others_do() -> None:
    one, other = torch.tensor([[1, 5, 6, 7, 8, 2]]), torch.tensor([[1, 8, 6, 5, 7, 2]])
    mask_BT = torch.ones_like(one, dtype=torch.bool)
    for name in JUDGES:
        torch.manual_seed(0)
        judge = plugins.load("discriminators", name).Discriminator(JUDGES[name], VOCAB).eval()
        same = torch.allclose(judge(one, mask_BT), judge(other, mask_BT), atol=1e-6)
        assert same == (name == "mlp"), name


def test_the_mean_embedding_goes_through_the_perceptron() -> None:
    judge = mlp.Discriminator(mlp.Config(embedding_dim=2, hidden_dim=1, dropout=0), VOCAB)
    with torch.no_grad():
        judge.embedding.weight[5], judge.embedding.weight[6] = torch.tensor([1.0, 3.0]), torch.tensor([3.0, -1.0])
        judge.hidden[0][1].weight.copy_(torch.tensor([[2.0, 1.0]]))
        judge.hidden[0][1].bias.fill_(-1.0)
        judge.verdict.weight.fill_(3.0)
        judge.verdict.bias.fill_(0.5)
    # The mean is (2, 1); 2·2 + 1 − 1 = 4; 3·4 + .5.
    assert judge(torch.tensor([[5, 6, 0]]), torch.tensor([[True, True, False]])).tolist() == [12.5]


def test_each_view_is_judged_by_the_same_network() -> None:
    torch.manual_seed(0)
    judge = relgan.Discriminator(relgan.Config(num_views=3, view_dim=2, num_filters=4, dropout=0), VOCAB).eval()
    batch = batch_of(5)
    views_BW = judge.view_logits(batch.tokens_BT, batch.mask_BT).squeeze(-1)
    torch.testing.assert_close(judge(batch.tokens_BT, batch.mask_BT), views_BW.mean(1))
    single = relgan.Discriminator(relgan.Config(num_views=1, view_dim=2, num_filters=4, dropout=0), VOCAB).eval()
    shared = {name: value for name, value in judge.state_dict().items() if not name.startswith("embedding")}
    for view in range(3):
        columns_VD = judge.embedding.weight[:, 2 * view : 2 * view + 2]
        single.load_state_dict(shared | {"embedding.weight": columns_VD})
        torch.testing.assert_close(single(batch.tokens_BT, batch.mask_BT), views_BW[:, view])


def test_attention_is_torchs() -> None:
    """One layer against `nn.TransformerEncoderLayer` with the same weights."""
    torch.manual_seed(0)
    config = transformer.Config(hidden_dim=8, num_heads=2, dropout=0)
    ours = transformer.Layer(config)
    theirs = torch.nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
    pairs = {
        "self_attn.in_proj_weight": ours.query_key_value.weight,
        "self_attn.in_proj_bias": ours.query_key_value.bias,
        **{f"self_attn.out_proj.{name}": value for name, value in ours.output.named_parameters()},
        **{f"linear1.{name}": value for name, value in ours.perceptron[0].named_parameters()},
        **{f"linear2.{name}": value for name, value in ours.perceptron[2].named_parameters()},
        **{f"norm1.{name}": value for name, value in ours.attention_norm.named_parameters()},
        **{f"norm2.{name}": value for name, value in ours.perceptron_norm.named_parameters()},
    }
    theirs.load_state_dict(pairs)
    x_BTD, mask_BT = torch.randn(2, 5, 8), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    torch.testing.assert_close(ours(x_BTD, mask_BT)[mask_BT], theirs(x_BTD, src_key_padding_mask=~mask_BT)[mask_BT])


def test_positions_are_waves_of_growing_length() -> None:
    waves_TD = transformer.positions(torch.zeros(1, 3, 4))
    assert waves_TD[2].tolist() == pytest.approx([0.9092974, -0.4161468, 0.0199987, 0.9998000], abs=1e-6)


def test_heads_of_broken_width_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of num_heads"):
        transformer.Config(hidden_dim=10, num_heads=4)


@pytest.mark.parametrize("name", plugins.names("discriminators"))
def test_a_classifier_has_a_logit_a_class_and_learns(name: str) -> None:
    torch.manual_seed(0)
    made = plugins.load("discriminators", name).Discriminator(JUDGES[name], VOCAB, num_classes=3)
    classes_B = torch.arange(24) % 3
    tokens_BT = torch.cat([torch.ones(24, 1).long(), 5 + 4 * classes_B[:, None] + torch.randint(4, (24, 3))], dim=1)
    mask_BT = torch.ones_like(tokens_BT, dtype=torch.bool)
    optimizer = torch.optim.Adam(made.parameters(), 0.05)
    for _ in range(25):
        logits_BK = made(tokens_BT, mask_BT)
        optimizer.zero_grad()
        loss_of(made, logits_BK, classes_B).backward()
        optimizer.step()
    assert logits_BK.shape == (24, 3)
    first = next(made.parameters())  # the embedding, or the machine's weights
    assert first.grad is not None
    assert first.grad.abs().sum() > 0
    right_B = made.eval()(tokens_BT, mask_BT).argmax(-1) == classes_B
    assert right_B.float().mean() > 0.9
    rows_BTV = torch.nn.functional.one_hot(tokens_BT, VOCAB).float()
    torch.testing.assert_close(made(rows_BTV, mask_BT), made(tokens_BT, mask_BT), atol=1e-4, rtol=1e-4)
