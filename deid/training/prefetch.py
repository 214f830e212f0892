"""Batches made ahead of time, and the random numbers of each step."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from deid.training.task import Batch, Task

_AHEAD = 2  # batches that wait, for each thread


def step_generator(*parts: int | str) -> torch.Generator:
    """A CPU generator whose stream depends on run seed, purpose, step and process, and on nothing else."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest) >> 1)


class Prefetch:
    """Makes the batches of the coming steps in threads; use it as a context manager.

    Args:
        task: Whose batches.
        seed: Of the run.
        rank: Number of this process; each draws other batches.
        first: The step to begin with.
        last: The step before which to end; no batch beyond is made.
        threads: How many.
    """

    def __init__(self, task: Task, seed: int, rank: int, first: int, last: int, threads: int) -> None:
        self._task, self._seed, self._rank = task, seed, rank
        self._next, self._last = first, last
        self._ahead = threads * _AHEAD
        self._pool = ThreadPoolExecutor(threads, "batches")
        self._waiting: deque[Future[Batch]] = deque()

    def __enter__(self) -> Prefetch:
        self._fill()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def take(self) -> Batch:
        """The batch of the next step; waits until it is made, and raises what its making raised."""
        batch = self._waiting.popleft().result()
        self._fill()
        return batch

    def _fill(self) -> None:
        while len(self._waiting) < self._ahead and self._next < self._last:
            self._waiting.append(self._pool.submit(self._make, self._next))
            self._next += 1

    def _make(self, step: int) -> Batch:
        return self._task.batch(step, step_generator(self._seed, "batch", step, self._rank))
