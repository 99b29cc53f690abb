"""What worker processes are given to do; they import it by this name."""

import os
import signal


def double(number: int) -> int:
    return 2 * number


def vanish(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def interrupted(number: int) -> int:
    """What Ctrl-C in a terminal sends to every process of the group."""
    os.kill(os.getpid(), signal.SIGINT)
    return number
