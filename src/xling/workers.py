"""Ordered maps over worker processes, and over threads."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

Task = TypeVar("Task")
Result = TypeVar("Result")

_work: Callable[[Any], Any]


def ordered_map(
    make: Callable[[], Callable[[Task], Result]], tasks: Iterable[Task], workers: int
) -> Iterator[Result]:
    """Yield the results of the tasks in their order, with few tasks in memory at once.

    Args:
        make: Makes the function to apply, once in each worker; must be picklable.
        tasks: Taken from the iterator only as workers come free.
        workers: Processes; with 1 the work is done in this one.
    """
    if workers == 1:
        yield from map(make(), tasks)
        return
    # Spawned, not forked: the parent may hold threads (torch, tokenizers) that a fork would break.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start, (make,)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(_call, task))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def in_threads(
    work: Callable[[Task], Result], tasks: Sequence[Task], threads: int
) -> Iterator[Result]:
    """Yield the results of the tasks in their order, from threads that share the processor.

    For work in numpy, which lets other threads run while it computes. Meanwhile each matrix product
    uses one thread: otherwise BLAS would start as many again for each.

    Args:
        work: Applied to each task.
        tasks: Not many: finished results wait in memory for earlier ones.
        threads: With 1 the work is done in this one, and BLAS keeps its threads.
    """
    if min(threads, len(tasks)) <= 1:
        yield from map(work, tasks)
        return
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        yield from pool.map(work, tasks)


def _start(make: Callable[[], Callable[[Any], Any]]) -> None:
    global _work
    _work = make()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End with the parent when it is killed: a pool's workers would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(task: Any) -> Any:
    return _work(task)
