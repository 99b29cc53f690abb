"""Ctrl-C that works while, and after, RDKit has put its own handler in the place of Python's."""

import _thread
import signal
import sys
import threading


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
