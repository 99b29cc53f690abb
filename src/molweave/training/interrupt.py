"""Ctrl-C that waits until the work is where it can be taken up again."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def hold_interrupts() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a question: gives a function that says whether it was asked for.

    RDKit may leave a handler of its own behind, which loses the next Ctrl-C (rdkit/rdkit#9381);
    every question puts this one back in its place. Does nothing outside of the main thread, or
    where somebody else handles interrupts.
    """
    asked = threading.Event()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield asked.is_set
        return

    def note(*_: object) -> None:
        asked.set()

    def was_asked() -> bool:
        signal.signal(signal.SIGINT, note)
        return asked.is_set()

    was_asked()
    try:
        yield was_asked
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
