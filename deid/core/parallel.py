"""Mapping a function over batches of work, in this process or in several, with a bounded queue."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_QUEUED_PER_JOB = 2


def map_batches(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    jobs: int,
    on_lost: Callable[[Task], Result],
) -> Iterator[Result]:
    """Apply a function to every task; results come as they are ready.

    Args:
        function: A module-level function; runs in this process where ``jobs`` is 1, else in spawned ones.
        tasks: The work; taken only as fast as it is done, so an endless stream needs no memory.
        jobs: Number of processes.
        on_lost: Makes the result of a task whose process died (killed for memory, crashed in a codec).

    Yields:
        One result a task, in any order.
    """
    if jobs == 1:
        yield from map(function, tasks)
        return
    source = iter(tasks)
    exhausted = False
    while not exhausted:
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            pending: dict[Future[Result], Task] = {}
            try:
                while True:
                    while not exhausted and len(pending) < jobs * _QUEUED_PER_JOB:
                        try:
                            task = next(source)
                        except StopIteration:
                            exhausted = True
                            break
                        pending[pool.submit(function, task)] = task
                    if not pending:
                        return
                    done, _ = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        result = future.result()
                        del pending[future]
                        yield result
            except BrokenProcessPool:
                # the tasks in flight are lost with the pool; a new one goes on with the rest
                yield from map(on_lost, pending.values())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
