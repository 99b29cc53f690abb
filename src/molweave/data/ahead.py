"""Worker processes that stay a few jobs ahead of the one who takes the results."""

import itertools
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import Self, TypeVar

from molweave.errors import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")

_QUEUED = 4


class Ahead:
    """A context manager with ``workers`` processes; results come in the order of the jobs."""

    def __init__(self, workers: int) -> None:
        """Start them when the first job comes."""
        self._depth = _QUEUED * workers
        self._pool = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_leave_interrupts
        )

    def __enter__(self) -> Self:
        """Nothing to start yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the processes; jobs that wait are forgotten."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def map(self, function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """The result of every job, in order; few jobs are read ahead.

        Raises:
            UserError: a process was killed.
        """
        try:
            yield from self._map(function, iter(jobs))
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process was killed, perhaps because memory ran out; use fewer workers"
            ) from error

    def _map(self, function: Callable[[Job], Result], source: Iterator[Job]) -> Iterator[Result]:
        waiting: deque[Future[Result]] = deque(
            self._pool.submit(function, job) for job in itertools.islice(source, self._depth)
        )
        while waiting:
            result = waiting.popleft().result()
            for job in itertools.islice(source, 1):
                waiting.append(self._pool.submit(function, job))
            yield result


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the one that uses the results ends these."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
