"""Dropout by random bytes, and attention against torch's own."""

import copy

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForMaskedLM, BertModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from xling.device import autocast
from xling.model import dropout
from xling.model.dropout import ByteDropout, attention, byte_dropout, make_quick

CPU = torch.device("cpu")


@pytest.mark.parametrize("p", [0.1, 0.33, 0.5, 0.9])
def test_the_rate_is_a_whole_number_of_bytes_values(p):
    torch.manual_seed(0)
    count = 1_000_003
    rate = round(256 * p) / 256
    found = byte_dropout(torch.ones(count), p)
    kept = found[found != 0]
    assert kept.unique().tolist() == pytest.approx([1 / (1 - rate)])
    deviation = (rate * (1 - rate) / count) ** 0.5
    assert abs((found == 0).double().mean().item() - rate) < 5 * deviation
    # Expected value and variance of what dropout gives for ones
    assert abs(found.double().mean().item() - 1) < 5 * deviation / (1 - rate)
    assert found.double().var().item() == pytest.approx(rate / (1 - rate), rel=0.02)


def test_places_are_dropped_independently():
    torch.manual_seed(1)
    zero = (byte_dropout(torch.ones(400_000), 0.5) == 0).double()
    for lag in (1, 2, 7, 8, 9, 64):
        together = (zero[lag:] * zero[:-lag]).mean().item()
        assert together == pytest.approx(0.25, abs=0.005)


def test_the_gradient_passes_where_the_value_did():
    torch.manual_seed(2)
    x = torch.randn(1000, requires_grad=True)
    y = byte_dropout(x, 0.3)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x, y)


def test_draws_are_those_of_the_global_generator():
    x = torch.ones(1000)
    torch.manual_seed(3)
    one = byte_dropout(x, 0.1)
    torch.manual_seed(3)
    assert torch.equal(one, byte_dropout(x, 0.1))
    assert not torch.equal(one, byte_dropout(x, 0.1))


@pytest.mark.parametrize("p", [0.999, 1.0])
def test_a_rate_that_rounds_to_1_leaves_no_nan(p):
    found = byte_dropout(torch.ones(100), p)
    assert found.isfinite().all()
    assert p < 1 or not found.any()


def test_nothing_is_dropped_in_evaluation_or_at_rate_0():
    x = torch.randn(10)
    assert ByteDropout(0.5).eval()(x) is x
    assert ByteDropout(0.0).train()(x) is x


def inputs(mask):
    draws = torch.Generator().manual_seed(4)
    q, k, v = (torch.randn(2, 3, 5, 8, generator=draws).requires_grad_() for _ in range(3))
    open_ = torch.ones(2, 1, 5, 5, dtype=torch.bool)
    open_[1, :, :, 3:] = False
    if mask == "none":
        return (q, k, v), None
    if mask == "bool":
        return (q, k, v), open_
    return (q, k, v), torch.zeros(2, 1, 5, 5).masked_fill(~open_, torch.finfo(torch.float32).min)


@pytest.mark.parametrize("mask", ["none", "bool", "float"])
@pytest.mark.parametrize("drops", [False, True])
def test_attention_is_torchs(mask, drops, monkeypatch):
    monkeypatch.setattr(dropout, "byte_dropout", lambda x, p: x)
    module = nn.Module()
    module.is_causal = False
    (q, k, v), allowed = inputs(mask)
    expected, _ = sdpa_attention_forward(module, q, k, v, allowed, scaling=0.3)
    wanted = torch.autograd.grad(expected.sin().sum(), (q, k, v))
    found, _ = attention(module, q, k, v, allowed, dropout=0.1 * drops, scaling=0.3)
    gradients = torch.autograd.grad(found.sin().sum(), (q, k, v))
    for one, other in zip((found, *gradients), (expected, *wanted), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
        assert drops or torch.equal(one, other)


def test_attention_drops_weights_in_expectation():
    module = nn.Module()
    module.is_causal = False
    (q, k, v), _ = inputs("none")
    expected, _ = sdpa_attention_forward(module, q, k, v, None, scaling=0.3)
    torch.manual_seed(5)
    draws = [attention(module, q, k, v, None, dropout=0.25, scaling=0.3)[0] for _ in range(2000)]
    assert not torch.equal(draws[0], draws[1])
    error = torch.stack(draws).std(0) / 2000**0.5
    assert ((torch.stack(draws).mean(0) - expected).abs() < 5 * error).all()


def bert(p):
    torch.manual_seed(6)
    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=16,
        hidden_dropout_prob=p,
        attention_probs_dropout_prob=p,
    )
    return BertForMaskedLM(config)


def test_a_model_without_dropout_is_bit_for_bit_what_it_was():
    plain, quick = bert(0.0).train(), bert(0.0).train()
    make_quick(quick)
    ids = torch.randint(0, 50, (4, 12))
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    for model in (plain, quick):
        model(ids, attention_mask=mask, labels=ids).loss.backward()
    for (name, one), other in zip(plain.named_parameters(), quick.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad), name


def test_all_dropout_of_a_model_is_cheap_and_none_in_evaluation():
    plain, quick = bert(0.1).eval(), bert(0.1).eval()
    make_quick(quick)
    assert not any(type(module) is nn.Dropout for module in quick.modules())
    ids = torch.randint(0, 50, (4, 12))
    assert torch.equal(plain(ids).logits, quick(ids).logits)
    quick.train()
    assert not torch.equal(quick(ids).logits, quick(ids).logits)


def test_one_step_in_bf16_is_as_near_to_fp32_as_that_of_the_plain_model():
    ids = torch.randint(0, 50, (8, 16), generator=torch.Generator().manual_seed(7))

    def gradients(model, precision):
        with autocast(CPU, precision):
            loss = model.train()(ids, labels=ids).loss
        loss.backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])

    exact, plain, quick = bert(0.0), bert(0.0), bert(0.0)
    make_quick(quick)
    wanted = gradients(exact, "fp32")
    theirs = (gradients(plain, "bf16") - wanted).norm() / wanted.norm()
    ours = (gradients(quick, "bf16") - wanted).norm() / wanted.norm()
    assert 0 < ours < 1.2 * theirs < 0.1


def test_the_folder_of_a_model_says_nothing_of_it(tmp_path):
    model = bert(0.1)
    make_quick(model)
    model.save_pretrained(tmp_path)
    assert "xling" not in (tmp_path / "config.json").read_text()
    opened = BertModel.from_pretrained(tmp_path, add_pooling_layer=False)
    assert opened.config._attn_implementation == "sdpa"


def test_a_copy_is_quick_too():
    model = bert(0.1)
    make_quick(model)
    again = BertModel(copy.deepcopy(model.config))
    assert again.config._attn_implementation == dropout.ATTENTION
