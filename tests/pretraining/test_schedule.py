"""Schedules against their closed forms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from xling.pretraining.config import OptimizerConfig, PretrainingConfig
from xling.pretraining.optimizer import learning_rate_factor

KINDS = ["inverse-square-root", "cosine", "linear"]


def factor(kind, step, steps, warmup):
    return learning_rate_factor(OptimizerConfig(schedule=kind, warmup_steps=warmup), step, steps)


@pytest.mark.parametrize("kind", KINDS)
def test_warm_up_is_a_line_that_ends_at_the_peak(kind):
    assert [factor(kind, k, 100, 4) for k in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_the_paper_s_decay_is_the_inverse_square_root_of_the_step():
    # Step 30,000 is the 30,001st; four times as many steps, half the rate
    assert factor("inverse-square-root", 30_000, 10**6, 30_000) == pytest.approx(
        math.sqrt(30_000 / 30_001)
    )
    assert factor("inverse-square-root", 119_999, 10**6, 30_000) == pytest.approx(0.5)


def test_cosine_and_line_at_their_quarter_points():
    # Decay over 80 steps after 20 of warm-up
    linear = [factor("linear", 20 + k, 100, 20) for k in (0, 20, 40, 60)]
    assert linear == pytest.approx([1.0, 0.75, 0.5, 0.25])
    cosine = [factor("cosine", 20 + k, 100, 20) for k in (0, 20, 40, 60)]
    half = math.sqrt(0.5)
    assert cosine == pytest.approx([1.0, (1 + half) / 2, 0.5, (1 - half) / 2])


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_a_run_that_ends_with_its_warm_up_stays_at_the_peak_after_it(kind):
    # A longer run of the same schedule falls from there
    assert [factor(kind, step, 20, 20) for step in (19, 20)] == [1.0, 1.0]
    assert [factor(kind, step, 21, 20) for step in (19, 20)] == [1.0, 1.0]
    assert factor(kind, 21, 22, 20) == pytest.approx(0.5)


@given(
    kind=st.sampled_from(KINDS),
    warmup=st.integers(0, 50),
    steps=st.integers(1, 200),
)
def test_a_schedule_rises_to_at_most_one_and_then_falls_but_not_to_zero(kind, warmup, steps):
    factors = [factor(kind, k, steps, warmup) for k in range(steps)]
    assert all(0 < f <= 1 for f in factors)
    peak = min(warmup, steps)
    assert factors[:peak] == sorted(factors[:peak])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": {"name": "adam", "weight_decay": 0.1}}, "weight_decay needs name: adamw"),
        ({"parallel": "fsdp", "optimizer": {"name": "muon"}}, "Muon needs whole ones"),
        ({"batch": 3}, "Extra inputs"),
        ({"predicted_share": 1.0}, "less than 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        PretrainingConfig(steps=1, **settings)
