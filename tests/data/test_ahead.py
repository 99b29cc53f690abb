"""Worker processes: order, Ctrl-C and a kill."""

import pytest
from jobs import double, interrupted, vanish

from molweave.data.ahead import Ahead
from molweave.errors import UserError


def test_results_come_in_the_order_of_the_jobs():
    with Ahead(2) as ahead:
        assert list(ahead.map(double, range(30))) == [2 * number for number in range(30)]


def test_a_killed_worker_is_told():
    with Ahead(1) as ahead, pytest.raises(UserError, match="a worker process was killed"):
        list(ahead.map(vanish, range(10)))


def test_workers_leave_interrupts_to_the_one_who_takes_the_results():
    with Ahead(1) as ahead:
        assert list(ahead.map(interrupted, range(3))) == [0, 1, 2]
