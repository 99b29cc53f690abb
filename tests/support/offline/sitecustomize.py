"""Refuses the network to every Python process that finds this on its path.

``PYTHONPATH=tests/support/offline molweave ...`` shows that a command works without a network:
connections, datagrams and the names of other machines are refused.
"""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

_OURS = (None, "", "localhost")


def _without_addresses(name: str) -> Callable[..., Any]:
    """A method of a socket that reaches nothing but sockets of this machine's file system."""
    known = getattr(socket.socket, name)

    def refuse(self: socket.socket, *arguments: Any) -> Any:
        if self.family != getattr(socket, "AF_UNIX", None):
            raise OSError(f"no network here, but something calls {name} with {arguments[-1]!r}")
        return known(self, *arguments)

    return refuse


def _of_this_machine(name: str) -> Callable[..., Any]:
    """A function that looks up hosts, for this machine only."""
    known = getattr(socket, name)

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        if not _is_local(host.decode() if isinstance(host, bytes) else host):
            raise socket.gaierror(f"no network here, but something looks up {host!r}")
        return known(host, *arguments, **options)

    return look_up


def _is_local(host: str | None) -> bool:
    if host in _OURS or host == socket.gethostname():
        return True
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


for _name in ("connect", "connect_ex", "sendto", "sendmsg"):
    setattr(socket.socket, _name, _without_addresses(_name))
for _name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    setattr(socket, _name, _of_this_machine(_name))
