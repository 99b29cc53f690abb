"""Tests, the processes that they start, and the demo run without a network."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_socket import SocketBlockedError

ROOT = Path(__file__).parents[1]
OFFLINE = ROOT / "tests" / "support" / "offline"
ELSEWHERE = "192.0.2.1"  # of the block for documentation: no such machine exists

DATAGRAM = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
REFUSED = (
    f"socket.create_connection(({ELSEWHERE!r}, 9), timeout=1)",
    f"socket.socket().connect(({ELSEWHERE!r}, 9))",
    f"socket.socket().connect_ex(({ELSEWHERE!r}, 9))",
    f"{DATAGRAM}.sendto(b'x', ({ELSEWHERE!r}, 9))",
    f"{DATAGRAM}.sendto(b'x', 0, ({ELSEWHERE!r}, 9))",
    f"{DATAGRAM}.sendmsg([b'x'], [], 0, ({ELSEWHERE!r}, 9))",
    f"socket.getaddrinfo({ELSEWHERE!r}, 80)",
    "socket.getaddrinfo(b'example.org', 80)",
    "socket.gethostbyname('example.org')",
    "socket.gethostbyname_ex('example.org')",
    "urllib.request.urlopen('http://example.org', timeout=1)",
)
ALLOWED = (
    "socket.getaddrinfo('localhost', 80)",
    "socket.getaddrinfo(None, 80)",
    "socket.getaddrinfo('127.0.0.1', 80)",
    "[(one.sendmsg([b'x']), other) for one, other in [socket.socketpair()]]",
    "socket.socket().bind(('127.0.0.1', 0))",
)


def test_a_connection_is_refused_in_the_tests():
    with pytest.raises((SocketBlockedError, UserWarning), match=r"tried to use socket\.socket"):
        socket.socket()


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    """What each call came to in a process that a test starts."""
    script = (
        "import socket, urllib.request\n"
        f"for call in {(*REFUSED, *ALLOWED)!r}:\n"
        "    try: eval(call); said = 'done'\n"
        "    except OSError as error: said = str(error)\n"
        "    print(call, said, sep='\\t')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return dict(line.split("\t") for line in done.stdout.splitlines())


@pytest.mark.parametrize("call", REFUSED)
def test_the_network_is_refused_to_processes_of_the_tests(outcomes, call):
    assert "no network here" in outcomes[call]


@pytest.mark.parametrize("call", ALLOWED)
def test_what_stays_on_this_machine_is_allowed(outcomes, call):
    assert outcomes[call] == "done"


def test_molweave_runs_with_the_network_refused():
    program = [sys.executable, "-v", "-m", "molweave", "--version"]
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=60)
    assert str(OFFLINE / "sitecustomize.py") in done.stderr
    assert done.stdout.startswith("molweave ")


def test_the_demo_runs_with_the_network_refused():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    variables = dict(re.findall(r"^(\w+) := (.*)$", makefile, re.MULTILINE))
    setting, program = variables["OFFLINE"].split()
    assert program == "$(BIN)/molweave"
    name, _, folder = setting.partition("=")
    assert (name, ROOT / folder) == ("PYTHONPATH", OFFLINE)
    demo = re.search(r"^demo:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert demo is not None
    commands = demo[1].splitlines()
    assert sum(line.startswith("\t$(OFFLINE) ") for line in commands) == 2
    assert not [line for line in commands if "$(BIN)" in line]
