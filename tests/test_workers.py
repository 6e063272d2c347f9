"""The bounded, ordered map. Tasks are expressions, since workers cannot import a test module."""

import os
import threading
from functools import partial

import pytest
from threadpoolctl import threadpool_info

from xling.workers import in_threads, ordered_map

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


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_from_threads(threads):
    together = threading.Barrier(threads)

    def work(number):
        together.wait(timeout=60)  # so many work at once, or none goes on
        return number**2, threading.current_thread().name

    results = list(in_threads(work, range(12), threads))
    assert [square for square, _ in results] == [number**2 for number in range(12)]
    assert len({name for _, name in results}) == threads


def test_products_take_one_thread_where_threads_share_the_processor():
    pools = [info for info in threadpool_info() if info["user_api"] == "blas"]

    def used(_):
        return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}

    assert pools
    assert set().union(*in_threads(used, range(4), 2)) == {1}
    assert [info for info in threadpool_info() if info["user_api"] == "blas"] == pools


def test_an_error_in_a_thread_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda number: 6 // (3 - number), range(9), 2))
