"""Refuses every network connection of a Python process that finds this on its path.

``PYTHONPATH=tests/support/offline molweave ...`` shows that a command works without a network.
"""

import socket


def _refuse(self: socket.socket, address: object) -> None:
    if self.family != getattr(socket, "AF_UNIX", None):
        raise OSError(f"no network here, but something connects to {address!r}")
    _connect(self, address)


_connect = socket.socket.connect
socket.socket.connect = _refuse  # type: ignore[method-assign]
socket.socket.connect_ex = _refuse  # type: ignore[method-assign, assignment]
