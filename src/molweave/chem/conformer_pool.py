"""Worker processes that embed conformers, where no molecule can hang or end the run."""

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from molweave.chem.conformer_worker import PATIENCE, read_answer, write_request
from molweave.chem.conformers import CRASHED, Conformer, ConformerSettings
from molweave.errors import MolweaveError, UserError

_START_SECONDS = 120.0
_POLL_SECONDS = 0.5
_JOIN_SECONDS = 5.0
_TRIES = 2
_STARTS = 3
_PROGRAM = (
    "import sys; sys.path.extend(sys.argv[1:]); "
    "from molweave.chem.conformer_worker import main; main()"
)


class _Worker:
    """One worker process and the pipe to it; used by one thread."""

    def __init__(self) -> None:
        try:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise UserError(
                f"conformers need a temporary file: {error.strerror}; make room or set TMPDIR"
            ) from error
        package = str(Path(__file__).parents[2])
        try:
            self.process = subprocess.Popen(  # noqa: S603 - this Python, this package
                [sys.executable, "-P", "-c", _PROGRAM, *sys.path, package],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        except OSError as error:
            self._errors.close()
            raise MolweaveError(
                f"a conformer worker process could not be started with {sys.executable}: {error}"
            ) from error
        self._requests = cast(BinaryIO, self.process.stdin)
        self._answers = cast(BinaryIO, self.process.stdout)

    def wait_ready(self) -> bool:
        """Whether the worker has imported what it needs; False when something killed it first.

        Raises:
            MolweaveError: when it ends of its own, with the last line that it wrote.
        """
        answer, _ = self._read(_START_SECONDS)
        if answer is not None:
            return True
        if self.process.wait() < 0:
            return False
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        raise MolweaveError(
            f"a conformer worker process did not start: {lines[-1] if lines else 'no message'}"
        )

    def ask(self, canonical: str, settings: ConformerSettings) -> Conformer | None:
        """The conformer, perhaps a failed one after the time limit; None when the worker died."""
        try:
            write_request(self._requests, canonical, settings)
        except OSError:
            return None
        answer, late = self._read(PATIENCE * settings.timeout)
        if answer is None and (late or self._ran_out_of_time()):
            return Conformer.failed(f"timed out after {settings.timeout:g} s")
        return answer

    def _ran_out_of_time(self) -> bool:
        """Whether the worker, whose pipe has ended, ended itself at the limit."""
        return sys.platform != "win32" and self.process.wait() == -signal.SIGPROF

    def _read(self, seconds: float) -> tuple[Conformer | None, bool]:
        """The next answer, or None, and whether the worker was killed for being late."""
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self.process.kill()

        watchdog = threading.Timer(seconds, give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            return read_answer(self._answers), late.is_set()
        finally:
            watchdog.cancel()

    def close(self) -> None:
        """End the process at once and release what belongs to it."""
        self.process.kill()
        self.process.wait()
        for stream in (self._requests, self._answers, self._errors):
            try:
                stream.close()
            except OSError:
                continue


class ConformerPool:
    """Some worker processes; each is replaced when it dies or exceeds the time limit.

    A context manager: leaving it kills the workers, whatever they are doing.

    Args:
        workers: how many processes.

    Raises:
        UserError: when ``workers`` is below 1.
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise UserError(f"workers is {workers}: use 1 or more")
        self._size = workers
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._threads: list[threading.Thread] = []
        self._closed = False

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers that run now."""
        with self._lock:
            return tuple(worker.process.pid for worker in self._workers)

    def run(
        self, canonical: Sequence[str], settings: ConformerSettings
    ) -> Iterator[tuple[str, Conformer]]:
        """One conformer for every molecule, in the order in which they are done.

        A molecule that exceeds ``settings.timeout`` fails with ``timed out``; one that is being
        worked on when its worker dies is tried once more, then fails with ``worker crashed``.

        Raises:
            UserError: when there is no room for a temporary file, or something kills the workers.
            MolweaveError: when a worker process cannot be started.
        """
        todo = iter(canonical)
        done: queue.SimpleQueue[tuple[str, Conformer] | BaseException] = queue.SimpleQueue()
        for _ in range(min(self._size, len(canonical))):
            thread = threading.Thread(
                target=self._supervise, args=(todo, settings, done), daemon=True
            )
            self._threads.append(thread)
            thread.start()
        for _ in range(len(canonical)):
            result = self._next(done)
            if isinstance(result, BaseException):
                raise result
            yield result

    @staticmethod
    def _next(
        done: "queue.SimpleQueue[tuple[str, Conformer] | BaseException]",
    ) -> tuple[str, Conformer] | BaseException:
        while True:
            try:
                return done.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue

    def _supervise(
        self,
        todo: Iterator[str],
        settings: ConformerSettings,
        done: "queue.SimpleQueue[tuple[str, Conformer] | BaseException]",
    ) -> None:
        """Keep one worker busy until nothing is left; runs in a thread of its own."""
        worker: _Worker | None = None
        try:
            while not self._closed:
                with self._lock:
                    canonical = next(todo, None)
                if canonical is None:
                    return
                for _ in range(_TRIES):
                    worker = worker or self._start()
                    answer = worker.ask(canonical, settings)
                    if answer is None or worker.process.poll() is not None:
                        self._stop(worker)
                        worker = None
                    if answer is not None or self._closed:
                        break
                done.put((canonical, answer or Conformer.failed(CRASHED)))
        except BaseException as error:
            done.put(error)
        finally:
            if worker is not None:
                self._stop(worker)

    def _start(self) -> _Worker:
        for _ in range(_STARTS):
            with self._lock:
                if self._closed:
                    break
                worker = _Worker()
                self._workers.append(worker)
            try:
                if worker.wait_ready():
                    return worker
            except BaseException:
                self._stop(worker)
                raise
            self._stop(worker)
        raise UserError(
            f"conformer worker processes were killed {_STARTS} times while they started: "
            "there may be too little memory; use fewer with --workers (workers= in Python)"
        )

    def _stop(self, worker: _Worker) -> None:
        with self._lock:
            if worker in self._workers:
                self._workers.remove(worker)
        worker.close()

    def close(self) -> None:
        """Kill the workers; `run` must not be used any more."""
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.process.kill()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def __enter__(self) -> Self:
        """The pool itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill the workers."""
        self.close()
