import io

import pytest
from rich.console import Console

from molweave.cli import progress
from molweave.events import Epoch


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when it is told to."""

    class Clock:
        now = 100.0

        def monotonic(self) -> float:
            return self.now

    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def make_epoch(number: int, total: int) -> Epoch:
    record = {"epoch": number - 1.0, "loss": 0.5, "kl": 0.1, "valid_roc_auc": 0.87654}
    return Epoch(number, total, record, 1)


def test_lines_tell_of_long_stages_only(capsys, clock):
    lines = progress.Lines()
    lines.message("hello")
    lines.stage("conformers", 2000)
    lines.advance(2000, 2000)
    lines.stage("conformers", 2000)
    clock.now += 10
    lines.advance(1000, 2000)
    lines.advance(2000, 2000)
    assert capsys.readouterr().err == "hello\nconformers: 2,000 of 2,000 in 10 s (200/s)\n"


def test_lines_give_a_sign_of_life_every_minute(capsys, clock):
    lines = progress.Lines()
    lines.stage("predicting")
    for rows in range(1, 131):
        clock.now += 1
        lines.advance(rows, 0)
    assert capsys.readouterr().err.splitlines() == [
        "predicting: 60 in 1 min (1.0/s)",
        "predicting: 120 in 2 min (1.0/s)",
    ]
    lines.stage("preparing")
    clock.now += 100
    lines.advance(500, 2000)
    assert capsys.readouterr().err == "preparing: 500 of 2,000 in 1 min 40 s (5.0/s, 5 min left)\n"


def test_lines_tell_how_long_a_pre_training_will_take(capsys):
    lines = progress.Lines()
    lines.stage("pre-training", 400)
    record = {"valid_loss": 0.5, "seconds": 60.0, "molecules_per_second": 10.0}
    for step in (100.0, 400.0):
        lines.record({"step": step, **record}, 400)
    first, last = capsys.readouterr().err.splitlines()
    assert first.endswith("step 100/400, valid loss 0.5, 10 molecules/s, 3 min left")
    assert last.endswith("step 400/400, valid loss 0.5, 10 molecules/s")


def test_lines_show_about_ten_epochs(capsys, clock):
    lines = progress.Lines()
    lines.stage("training 1/1", 100)
    for number in range(1, 101):
        lines.epoch(0, make_epoch(number, 100))
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 11
    assert shown[0] == ("training 1/1: epoch 1/100, loss 0.5, valid_roc_auc 0.8765 (best epoch 2)")
    assert "epoch 100/100" in shown[-1]


def test_bars_show_count_rate_and_time_left(clock, monkeypatch):
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, width=150, color_system=None, _environ={"TERM": "xterm"}
    )
    monkeypatch.setattr("rich.console.Console", lambda stderr: console)
    with progress.Bars() as bars:
        bars.message("[not] markup")
        bars.stage("conformers", 2000)
        clock.now += 10
        bars.advance(500, 2000)
        bars._progress.refresh()
        bars.stage("training 1/2", 50)
        clock.now += 100
        bars.epoch(0, make_epoch(10, 50))
        bars._progress.refresh()
        bars.stage("predicting")
        clock.now += 2
        bars.advance(7, 0)
        bars._progress.refresh()
    text = screen.getvalue()
    assert "[not] markup" in text
    assert "500/2,000 50/s, 30 s left" in text
    assert "epoch 10/50 loss 0.5, valid_roc_auc 0.8765 (best epoch 2), 6 min 40 s left" in text
    assert "7 3.5/s" in text


def test_bars_draw_ten_times_a_second_at_most(clock, monkeypatch):
    bars = progress.Bars()
    drawn = []
    monkeypatch.setattr(bars, "_update", lambda *values: drawn.append(values[0]))
    bars.stage("featurising", 1000)
    for done in range(1, 1001):
        clock.now += 0.01
        bars.advance(done, 1000)
    assert 95 <= len(drawn) <= 105
    assert drawn[-1] == 1000


@pytest.mark.parametrize(
    ("quiet", "terminal", "kind"),
    [
        (True, True, progress.Display),
        (False, True, progress.Bars),
        (False, False, progress.Lines),
    ],
)
def test_the_display_fits_the_place(monkeypatch, quiet, terminal, kind):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    assert type(progress.open_display(quiet)) is kind


def test_quiet_shows_nothing(capsys):
    with progress.Display() as display:
        display.message("text")
        display.stage("name", 3)
        display.advance(1, 3)
        display.epoch(0, make_epoch(1, 2))
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
