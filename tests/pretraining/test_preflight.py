"""Costs from plain arithmetic, and each warning when it is due."""

import copy

import numpy as np
import pytest
import torch

from xling.device import ChosenPrecision
from xling.model.family import parameter_counts
from xling.pretraining import preflight
from xling.pretraining.cost import training_flops_per_token
from xling.pretraining.distributed import World
from xling.pretraining.preflight import TextFacts, matmul_peak

HERE = World(0, 1, torch.device("cpu"))
FINE = TextFacts(1_000_000, 0.001, 0.05)


@pytest.fixture
def costs(maker, family):
    def measure(facts=FINE, **changes):
        module, batches = family("layers 1"), maker(**changes)
        before = copy.deepcopy(module.state_dict())
        shape = module_shape(module)
        found = preflight.preflight(
            module,
            module,
            batches,
            shape,
            batches.config,
            {"aa": facts, "bb": FINE},
            HERE,
            ChosenPrecision("fp32", "for a test"),
        )
        after = module.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
        assert all(parameter.grad is None for parameter in module.parameters())
        return found, module, shape

    return measure


def module_shape(module):
    from xling.model.architecture import ModelShape

    config = module.member("aa").config
    return ModelShape(
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        hidden=config.hidden_size,
        feed_forward=config.intermediate_size,
        dropout=0.0,
        max_length=config.max_position_embeddings,
    )


def test_costs_are_plain_arithmetic(costs):
    found, module, shape = costs(steps=100)
    tokens = 100 * 8 * 16
    size = module.member("aa").config.vocab_size
    flops = training_flops_per_token(shape, size, 16, 0.15)
    assert found["parameters"] == parameter_counts(module)
    assert found["tokens_total"] == tokens
    assert found["flops_total"] == pytest.approx(flops * tokens)
    shares = {k: v["share_of_batches"] for k, v in found["languages"].items()}
    assert found["languages"]["aa"]["passes"] == pytest.approx(shares["aa"] * tokens / 1_000_000)
    assert found["warnings"] == []
    text = preflight.preflight_text(found)
    assert f"{parameter_counts(module)['total']:,}" in text
    assert "warning" not in text


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (TextFacts(1000, 0.011, 0.0), "aa: 1.1% of the tokens are unknown"),
        (TextFacts(1000, 0.0, 0.21), "aa: 21% of its vocabulary occurs fewer than 10 times"),
    ],
)
def test_what_is_wrong_with_the_text_is_said(costs, facts, message):
    found, *_ = costs(facts)
    (warning,) = found["warnings"]
    assert warning.startswith(message)
    assert f"warning: {warning}" in preflight.preflight_text(found)


def test_a_language_that_is_hardly_drawn_is_said(costs, maker, monkeypatch):
    monkeypatch.setattr(
        "xling.pretraining.batches.language_shares", lambda *_: {"aa": 0.995, "bb": 0.005}
    )
    found, *_ = costs()
    assert [w for w in found["warnings"] if w.startswith("bb: only 0.50% of the batches")]


def test_more_memory_than_there_is_is_said(costs, monkeypatch):
    monkeypatch.setattr(preflight, "_available_bytes", lambda _: 1000)
    found, *_ = costs()
    (warning,) = found["warnings"]
    assert "and 0.0 GB are free; raise accumulation or lower rows" in warning


def test_rare_share_counts_tokens_seen_fewer_than_ten_times():
    assert preflight.rare_share(np.array([0, 9, 10, 500])) == 0.5


def test_the_peak_is_measured_even_when_there_is_no_time():
    assert 0 < matmul_peak(torch.device("cpu"), "fp32", seconds=0) < float("inf")
