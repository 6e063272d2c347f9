"""The bounded, ordered map."""

import os
from collections.abc import Callable

import pytest

from xling.tokens.parallel import ordered_map


def make_square() -> Callable[[int], tuple[int, int]]:
    return lambda number: (number * number, os.getpid())


def make_failing() -> Callable[[int], int]:
    def fail_at_three(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    return fail_at_three


def test_results_come_in_order_from_other_processes():
    results = list(ordered_map(make_square, range(20), 2))
    assert [square for square, _ in results] == [number * number for number in range(20)]
    assert os.getpid() not in {process for _, process in results}


def test_few_tasks_are_taken_ahead():
    taken = []

    def tasks():
        for number in range(50):
            taken.append(number)
            yield number

    for done, _ in enumerate(ordered_map(make_square, tasks(), 2)):
        assert len(taken) <= done + 6


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_reach_the_caller(workers):
    with pytest.raises(ValueError, match="three"):
        list(ordered_map(make_failing, range(20), workers))
