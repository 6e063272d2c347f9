"""Draws are pure functions of (seed, purpose, numbers)."""

import hashlib
import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xling.randomness import derive_seed, generator


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
