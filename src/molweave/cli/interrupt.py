"""Ctrl-C that works while, and after, RDKit has put its own handler in the place of Python's."""

import _thread
import os
import signal
import sys
import threading
from types import FrameType

_terminated = threading.Event()


def relay_interrupts() -> None:
    """Let a thread wait for Ctrl-C and hand it to the main thread as a KeyboardInterrupt.

    RDKit (2026.03) leaves a handler of its own behind whenever it matches a substructure or embeds
    a conformer (rdkit/rdkit#9381): the next Ctrl-C is lost, and the one after that kills the
    process without any cleaning up. A signal that is blocked everywhere and waited for never gets
    to that handler. To be called once, from the main thread, before there are other threads. Does
    nothing on Windows, and where the process was started with interrupts ignored.
    """
    if sys.platform == "win32" or signal.getsignal(signal.SIGINT) != signal.default_int_handler:
        return
    # Its only purpose is to end a system call that the main thread waits in.
    signal.signal(signal.SIGURG, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_relay, args=(threading.get_ident(),), daemon=True).start()


def _relay(main_thread: int) -> None:
    while sys.platform != "win32":
        signal.sigwait({signal.SIGINT})
        _thread.interrupt_main()
        signal.pthread_kill(main_thread, signal.SIGURG)


def relay_termination() -> None:
    """Make SIGTERM, which batch systems and ``timeout`` send, do in this process what Ctrl-C does.

    The first one alone: ``timeout`` sends two, and the second must not disturb the cleaning up. To
    be called once, from the main thread. Does nothing on Windows, and where the process was started
    with the signal ignored.
    """
    if sys.platform == "win32" or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return
    signal.signal(signal.SIGTERM, _terminate)
    # A forked worker is ended by this signal and has nothing to clean up.
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))


def was_terminated() -> bool:
    """Whether SIGTERM came."""
    return _terminated.is_set()


def _terminate(_: int, frame: FrameType | None) -> None:
    if _terminated.is_set():
        return
    _terminated.set()
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)
