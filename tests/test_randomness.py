"""Draws are pure functions of (seed, purpose, numbers)."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from xling.randomness import derive_seed, generator, permuted


@given(st.integers(0, 2**63), st.text(max_size=8), st.lists(st.integers(0, 10**6), max_size=3))
def test_the_same_question_has_the_same_answer(seed, purpose, numbers):
    first, second = (generator(seed, purpose, *numbers).random(4) for _ in range(2))
    assert np.array_equal(first, second)


def test_it_is_philox_under_a_hash_of_the_question():
    digest = hashlib.blake2b(b"3:mask:7:1", digest_size=16).digest()
    assert derive_seed(3, "mask", 7, 1) == int.from_bytes(digest, "little")
    wanted = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    assert np.array_equal(generator(3, "mask", 7, 1).random(9), wanted.random(9))


def test_different_questions_have_different_answers():
    questions = [(s, p, n) for s in range(5) for p in ("mask", "order") for n in range(50)]
    drawn = {generator(*question).integers(2**63) for question in questions}
    assert len(drawn) == len(questions)


def test_global_state_neither_matters_nor_changes():
    wanted = generator(1, "mask").random()
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    assert generator(1, "mask").random() == wanted
    assert np.array_equal(np.random.get_state()[1], before)


def test_every_process_draws_the_same():
    code = "from xling.randomness import generator; print(generator(1, 'mask', 2).integers(2**62))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(run.stdout) == generator(1, "mask", 2).integers(2**62)


@given(n=st.integers(1, 3000), key=st.integers(0, 2**128))
def test_every_number_occurs_once(n, key):
    order = permuted(np.arange(n), n, key)
    assert np.array_equal(np.sort(order), np.arange(n))


@pytest.mark.parametrize("n", [2**20, 2**31 + 3, 2**61 + 1])
def test_large_ranges_need_no_memory_and_stay_injective(n):
    order = permuted(np.arange(n - 5000, n), n, key=7)
    assert len(np.unique(order)) == 5000
    assert order.min() >= 0
    assert order.max() < n
    assert abs(order.mean() / n - 0.5) < 0.05


def test_positions_may_come_in_any_order_and_shape():
    whole = permuted(np.arange(100), 100, key=1)
    positions = np.array([[5, 99], [0, 5]])
    assert np.array_equal(permuted(positions, 100, key=1), whole[positions])


def test_keys_give_different_orders():
    orders = {tuple(permuted(np.arange(50), 50, key)) for key in range(200)}
    assert len(orders) == 200


@pytest.mark.parametrize("n", [37, 300])
def test_every_place_holds_every_number_equally_often(n):
    places = np.array([0, 1, n // 2])
    held = np.array([permuted(places, n, key * 2**64 + key * 77) for key in range(2000)])
    for column in (0, 2):
        assert chisquare(np.bincount(held[:, column], minlength=n)).pvalue > 1e-4
    # Neighbours do not stay neighbours: the second is uniform over the n - 1 others
    gap = (held[:, 1] - held[:, 0]) % n
    assert chisquare(np.bincount(gap, minlength=n)[1:]).pvalue > 1e-4
