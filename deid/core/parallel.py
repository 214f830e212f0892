"""Mapping a function over batches of work, in this process or in several, with a bounded queue."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for_end
from typing import TypeVar

from deid.core.noise import NoiseCounter

Task = TypeVar("Task")
Result = TypeVar("Result")

_QUEUED_PER_JOB = 2
_ALLOCATIONS = 200_000


def map_batches(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    jobs: int,
    split: Callable[[Task], Sequence[Task]],
    on_lost: Callable[[Task], Result],
) -> Generator[Result, None, None]:
    """Apply a function to every task; results come as they are ready.

    A process that dies (killed for memory, crashed in a codec) takes the tasks in flight with it. They are
    done again, one at a time in a process of their own; a task that kills this one too is split and its
    parts are tried, so that only what cannot be done is lost. The function must bear being called again.

    Args:
        function: A module-level function; runs in this process where ``jobs`` is 1, else in others.
        tasks: The work; taken only as fast as it is done, so an endless stream needs no memory.
        jobs: Number of processes.
        split: Cuts a task into its smallest parts.
        on_lost: Makes the result of a part whose process died.

    Yields:
        One result a task or part, in any order. Close the iterator when it is left early: that waits for the
        processes.
    """
    # What is loaded stays loaded: the collector need not look at it again, nor a forked process copy it.
    # The walk makes many objects and no cycles, so looking for cycles can be rare.
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 100)
    if jobs == 1:
        yield from map(function, tasks)
        return
    source = iter(tasks)
    while True:
        pending: dict[Future[Result], Task] = {}
        try:
            yield from _in_pool(function, source, jobs, pending)
            return
        except BrokenProcessPool:
            yield from _alone(function, pending.values(), split, on_lost)


def _in_pool(
    function: Callable[[Task], Result], source: Iterator[Task], jobs: int, pending: dict[Future[Result], Task]
) -> Iterator[Result]:
    """Results of one pool; what was in flight when it broke is left in ``pending``."""
    with _pool(jobs) as pool:
        try:
            for task in source:
                _submit_to(pool, function, task, pending)
                if len(pending) >= jobs * _QUEUED_PER_JOB:
                    yield from _finished(pending)
            while pending:
                yield from _finished(pending)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # the tasks at hand are finished
            raise


def _submit_to(
    pool: ProcessPoolExecutor,
    function: Callable[[Task], Result],
    task: Task,
    pending: dict[Future[Result], Task],
) -> None:
    try:
        pending[_submit(pool, function, task)] = task
    except BrokenProcessPool:
        pending[Future()] = task  # taken from the source already, so it must not be forgotten
        raise


def _finished(pending: dict[Future[Result], Task]) -> Iterator[Result]:
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        result = future.result()
        del pending[future]
        yield result


def _alone(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    split: Callable[[Task], Sequence[Task]],
    on_lost: Callable[[Task], Result],
) -> Iterator[Result]:
    """Do tasks whose process died once more, one at a time, and in parts where they kill it again."""
    left = deque(tasks)
    while left:
        with _pool(1) as pool:
            try:
                while left:
                    result = _submit(pool, function, left[0]).result()
                    left.popleft()
                    yield result
            except BrokenProcessPool:
                task = left.popleft()
                parts = split(task)
                if len(parts) > 1:
                    left.extendleft(reversed(parts))
                else:
                    yield on_lost(task)


def _submit(pool: ProcessPoolExecutor, function: Callable[[Task], Result], task: Task) -> Future[Result]:
    """Submit a task with SIGINT blocked: a new process takes the mask over, so Ctrl-C does not reach it.

    Only this process decides what an interrupt means; a child would print a traceback.
    """
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(function, task)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def _pool(jobs: int) -> ProcessPoolExecutor:
    # A fork starts at once with all modules loaded, but is only safe where no other thread holds a lock.
    forks = sys.platform == "linux" and threading.active_count() == 1
    context = multiprocessing.get_context("fork" if forks else "spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin)


def _begin() -> None:
    """Let this process end when its parent does: one that was killed cannot tell its children to stop."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent's answer to a signal is not this one's
    NoiseCounter.installed().take()  # what the parent has counted is the parent's
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait_for_end([sentinel])
    os._exit(1)
