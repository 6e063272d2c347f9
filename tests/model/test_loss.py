"""The chunked loss against torch's cross-entropy of all logits."""

import pytest
import torch
import torch.nn.functional as F

from xling.model import loss
from xling.model.loss import chunked_cross_entropy


def inputs(positions, vocabulary=50, width=8):
    draws = torch.Generator().manual_seed(1)
    hidden = torch.randn(positions, width, generator=draws).requires_grad_()
    weight = torch.randn(vocabulary, width, generator=draws).requires_grad_()
    return hidden, weight, torch.randint(vocabulary, (positions,), generator=draws)


@pytest.mark.parametrize("rows", [1, 7, 30, 31, 1000])
@pytest.mark.parametrize("scale", [1.0, 40.0])  # logits of about 100 would overflow as powers
def test_loss_and_gradients_are_torch_s(rows, scale, monkeypatch):
    monkeypatch.setattr(loss, "_FEWEST_ROWS", rows)
    monkeypatch.setattr(loss, "logits_at_once", lambda _: 0)
    hidden, weight, labels = inputs(31)
    expected = F.cross_entropy(scale * hidden @ weight.T, labels, reduction="sum")
    wanted = torch.autograd.grad(expected / 3, (hidden, weight))
    found = chunked_cross_entropy(scale * hidden, weight, labels)
    gradients = torch.autograd.grad(found / 3, (hidden, weight))
    torch.testing.assert_close(found, expected)
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5 * scale, rtol=1e-5)


def test_without_gradients_the_loss_is_the_same():
    hidden, weight, labels = inputs(20)
    with torch.no_grad():
        found = chunked_cross_entropy(hidden, weight, labels)
    assert not found.requires_grad
    assert torch.equal(found, chunked_cross_entropy(hidden, weight, labels).detach())
    with torch.no_grad():
        assert chunked_cross_entropy(hidden[:0], weight, labels[:0]) == 0


def test_a_tied_weight_gets_both_gradients():
    """The table of tokens is what it begins and ends with."""
    _, weight, labels = inputs(20)
    ids = labels.roll(1)
    F.cross_entropy(weight[ids] @ weight.T, labels, reduction="sum").backward()
    wanted, weight.grad = weight.grad, None
    chunked_cross_entropy(weight[ids], weight, labels).backward()
    torch.testing.assert_close(weight.grad, wanted, atol=1e-5, rtol=1e-5)


def test_logits_are_never_all_there(monkeypatch):
    monkeypatch.setattr(loss, "_FEWEST_ROWS", 4)
    monkeypatch.setattr(loss, "logits_at_once", lambda _: 0)
    hidden, weight, labels = inputs(64, vocabulary=999)
    with torch.profiler.profile(profile_memory=True) as profile:
        chunked_cross_entropy(hidden, weight, labels).backward()
    largest = max(abs(event.cpu_memory_usage) for event in profile.events())
    assert 4 * 999 * 8 <= largest < 4 * 64 * 999 / 2  # the weight's gradient


def test_autocast_takes_products_in_half_precision_only():
    hidden, weight, labels = inputs(200, width=32)
    wanted = torch.autograd.grad(chunked_cross_entropy(hidden, weight, labels), (hidden, weight))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = chunked_cross_entropy(hidden, weight, labels)
    gradients = torch.autograd.grad(found, (hidden, weight))
    assert found.dtype == torch.float32
    for one, other in zip(gradients, wanted, strict=True):
        assert one.dtype == torch.float32
        assert 0 < (one - other).norm() / other.norm() < 0.02


def test_ids_that_are_no_candidates_have_no_probability_and_no_gradient():
    hidden, weight, labels = inputs(40)
    labels %= 20
    others = torch.arange(50) >= 20
    expected = F.cross_entropy(hidden @ weight[:20].T, labels, reduction="sum")
    wanted = torch.autograd.grad(expected, (hidden, weight))
    found = chunked_cross_entropy(hidden, weight, labels, others)
    torch.testing.assert_close(found, expected)
    for one, other in zip(torch.autograd.grad(found, (hidden, weight)), wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
