"""The process that embeds conformers for `molweave.chem.conformer_pool`, one molecule at a time.

It speaks frames over its standard input and output: four bytes of length (little-endian), then the
bytes. A request is one frame of JSON; an answer is one frame of JSON and one of float32
coordinates, empty when there are none. The first answer, before any request, says that the worker
is ready. It imports RDKit and numpy only, so that it starts in a fraction of a second.
"""

import faulthandler
import json
import os
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import numpy as np

from molweave.chem.conformers import Conformer, ConformerSettings, embed_conformer

_LENGTH = struct.Struct("<I")

PATIENCE = 1.0 if sys.platform == "win32" else 10.0
"""Wall-clock seconds that the parent waits for each second of the time limit.

More than one where a worker limits its own processor time, which Windows does not offer.
"""


def write_frame(stream: BinaryIO, content: bytes) -> None:
    """Write one frame; the caller flushes."""
    stream.write(_LENGTH.pack(len(content)) + content)


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame; None when the other side is gone, even in the middle of one."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    content = stream.read(length)
    return content if len(content) == length else None


def write_request(stream: BinaryIO, canonical: str, settings: ConformerSettings) -> None:
    """Ask a worker for the conformer of a molecule."""
    write_frame(stream, json.dumps([canonical, asdict(settings)]).encode())
    stream.flush()


def read_request(stream: BinaryIO) -> tuple[str, ConformerSettings] | None:
    """The next question; None when the parent has closed the stream or died."""
    content = read_frame(stream)
    if content is None:
        return None
    canonical, settings = json.loads(content)
    return canonical, ConformerSettings(**settings)


def write_answer(stream: BinaryIO, conformer: Conformer) -> None:
    """Send a conformer back."""
    write_frame(stream, json.dumps([conformer.origin, conformer.failure]).encode())
    points = conformer.coordinates
    write_frame(stream, b"" if points is None else points.astype("<f4").tobytes())
    stream.flush()


def read_answer(stream: BinaryIO) -> Conformer | None:
    """The next conformer; None when the worker died before it had written all of it."""
    head = read_frame(stream)
    body = read_frame(stream)
    if head is None or body is None:
        return None
    origin, failure = json.loads(head)
    points = np.frombuffer(body, dtype="<f4").reshape(-1, 3).astype(np.float32) if body else None
    return Conformer(coordinates=points, origin=origin, failure=failure)


def main() -> None:
    """Answer requests until the parent closes the stream.

    Interrupts are the parent's business. A molecule that exceeds the time limit ends the process by
    ``SIGPROF``; where there is no such signal, the parent ends it, or a watchdog if that is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
        write_answer(answers, Conformer.failed("ready"))
        while (request := read_request(requests)) is not None:
            canonical, settings = request
            with _limited(settings.timeout, nowhere):
                conformer = embed_conformer(canonical, settings)
            write_answer(answers, conformer)


@contextmanager
def _limited(seconds: float, nowhere: BinaryIO) -> Iterator[None]:
    faulthandler.dump_traceback_later(2 * PATIENCE * seconds + 1, exit=True, file=nowhere)
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
