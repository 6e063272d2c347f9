"""The bounded, ordered map. Tasks are expressions, since workers cannot import a test module."""

import os
from functools import partial

import pytest

from xling.workers import ordered_map

EVALUATE = partial(partial, eval)


def test_results_come_in_order_from_other_processes():
    tasks = [f"({number} ** 2, __import__('os').getpid())" for number in range(20)]
    results = list(ordered_map(EVALUATE, tasks, 2))
    assert [square for square, _ in results] == [number**2 for number in range(20)]
    assert os.getpid() not in {process for _, process in results}


def test_few_tasks_are_taken_ahead():
    taken = []

    def tasks():
        for number in range(50):
            taken.append(number)
            yield str(number)

    for done, _ in enumerate(ordered_map(EVALUATE, tasks(), 2)):
        assert len(taken) <= done + 6


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_reach_the_caller(workers):
    tasks = [f"6 // (3 - {number})" for number in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(EVALUATE, tasks, workers))
