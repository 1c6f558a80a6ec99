"""Rates, lag and the time left are told from counters, and honestly where they are not known."""

import io
import logging
import re
from collections.abc import Sequence

import pytest

from samza_py.cli import amounts
from samza_py.cli.progress import Progress, Snapshot, closing_line, fields, lag_text, progress_line
from samza_py.cli.screen import Line, PlainScreen, Screen, styled
from samza_py.cli.showing import LINE_EVERY_S, Display, Live, display, drawn
from samza_py.runtime.statistics import (
    ContainerStatistics,
    PartitionStatistics,
    TaskCounters,
    TaskStatistics,
)


def statistics(
    at_s: float,
    received: int = 0,
    left: int | None = 0,
    unit: str = "messages",
    stalled: str | None = None,
    buffered: int = 7,
    **counters: int,
) -> ContainerStatistics:
    counted = TaskCounters(received=received, sent=received, **counters)
    partition = PartitionStatistics("kafka.orders[0]", left, unit, buffered, finished=False)
    return ContainerStatistics(
        "pricing", at_s, (TaskStatistics("price/0", counted, (partition,), 3, "running", stalled),)
    )


def after(*samples: ContainerStatistics) -> Snapshot:
    progress = Progress()
    *earlier, last = samples
    for sample in earlier:
        progress.add(sample)
    return progress.add(last)


# Numbers -----------------------------------------------------------------------------------


def test_a_rate_is_that_of_the_last_seconds() -> None:
    steady = [statistics(float(second), received=100 * second) for second in range(30)]
    faster = [statistics(30.0 + second, received=3000 + 1000 * second) for second in range(15)]
    assert after(*steady).in_rate == pytest.approx(100)
    assert after(*steady, *faster).in_rate == pytest.approx(1000)


def test_the_time_left_follows_from_how_fast_the_rest_falls() -> None:
    now = after(statistics(0, left=1000), statistics(10, 500, left=500))
    assert now.eta_s == pytest.approx(10)
    assert now.done_share == pytest.approx(0.5)
    assert "lag 500 messages, ETA 10 s" in progress_line(now)


def test_a_rest_that_grows_has_no_end_in_sight() -> None:
    now = after(statistics(0, left=100), statistics(10, 50, left=300))
    assert now.eta_s is None
    assert "lag 300 messages, ETA unknown" in progress_line(now)


def test_nothing_left_needs_no_time() -> None:
    now = after(statistics(0, left=10), statistics(1, 10, left=0))
    assert now.eta_s == 0
    assert "ETA" not in progress_line(now)


def test_a_rest_in_bytes_is_told_as_a_size() -> None:
    now = after(
        statistics(0, left=64 << 20, unit="bytes"), statistics(1, 1, left=32 << 20, unit="bytes")
    )
    assert lag_text(now) == "32.0 MiB"


def files(at_s: float, received: int, left: int, buffered: int) -> ContainerStatistics:
    return statistics(at_s, received, left, "bytes", buffered=buffered)


def test_a_small_file_that_is_read_ahead_as_a_whole_has_a_rest_a_share_and_an_end() -> None:
    now = after(files(0, 0, 0, 1000), files(10, 250, 0, 750))
    assert now.eta_s == pytest.approx(30)
    assert now.done_share == pytest.approx(0.25)
    assert "lag 750 messages, ETA 30 s" in progress_line(now)


def test_what_is_read_ahead_of_a_large_file_counts_as_not_done() -> None:
    now = after(files(0, 0, 1000, 0), files(10, 100, 500, 100))
    assert now.eta_s == pytest.approx(10 + 10)
    assert now.done_share == pytest.approx(0.25)
    assert lag_text(now) == "500 B"


def test_what_is_read_ahead_and_stands_still_has_no_end_in_sight() -> None:
    now = after(files(0, 5, 0, 10), files(10, 5, 0, 10))
    assert now.eta_s is None
    assert "lag 10 messages, ETA unknown" in progress_line(now)


def test_a_system_that_does_not_tell_leaves_the_rest_unknown() -> None:
    now = after(statistics(0, left=None), statistics(1, 5, left=None))
    assert lag_text(now) == "unknown"
    assert now.eta_s is None
    assert now.done_share is None


def test_the_first_sample_has_no_rate_yet() -> None:
    now = after(statistics(0, 100, left=10))
    assert (now.in_rate, now.eta_s) == (0, None)


def test_the_closing_line_tells_all_that_was_done() -> None:
    now = after(statistics(0), statistics(4, 1000, dead=1, skipped=2, retries=3, commits=4))
    assert closing_line(now, "finished") == (
        "finished after 4.0 s: in 1,000 (250/s), out 1,000, dead letters 1, skipped 2, retries 3, "
        "commits 4"
    )
    assert fields(now)["dead_letters"] == 1


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (12_345, "12,345"), (12_345_678, "12.3 M"), (5e9, "5.0 G")]
)
def test_counts_are_short(number: float, text: str) -> None:
    assert amounts.count(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4 s"),
        (59, "59 s"),
        (125, "2 min 05 s"),
        (7500, "2 h 05 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_times_are_short(seconds: float, text: str) -> None:
    assert amounts.duration(seconds) == text


# Lines -------------------------------------------------------------------------------------


def test_in_a_pipe_there_is_a_line_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    shown = Display()
    for second in range(35):
        shown.tick(statistics(float(second), received=second))
    assert len(caplog.records) == 35 // LINE_EVERY_S
    shown.close(statistics(35.0, 35), "finished")
    assert caplog.records[-1].getMessage().startswith("finished after 35 s: in 35")


def test_none_shows_only_the_closing_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    shown = display("none", "pricing", as_json=False)
    for second in range(35):
        shown.tick(statistics(float(second)))
    assert caplog.records == []
    shown.close(statistics(35.0), "stopped")
    assert len(caplog.records) == 1


def test_without_a_terminal_nothing_is_drawn() -> None:
    assert type(display("auto", "pricing", as_json=False)) is Display


# Drawings ----------------------------------------------------------------------------------


class Paper(Screen):
    """A screen that keeps what is drawn on it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.printed: list[str] = []
        self.closed = False

    def show(self, lines: Sequence[Line]) -> None:
        self.lines = [styled(line, colour=False) for line in lines]

    def above(self, text: str) -> None:
        self.printed.append(text)

    def close(self) -> None:
        self.closed = True


def test_a_drawing_shows_everything_that_was_asked_for() -> None:
    now = after(
        statistics(0, left=1000),
        statistics(
            10, 250, left=750, dead=1, skipped=2, retries=3, stalled="waits 41 s in `price`"
        ),
    )
    text = "\n".join(styled(line, colour=False) for line in drawn("pricing", now))
    for wanted in (
        "pricing",
        "25%",
        "left 750 messages",
        "ETA 30 s",
        "25/s",
        "dead letters 1",
        "skipped 2",
        "retries 3",
        "buffered 7",
        "unsettled 3",
        "! price/0: waits 41 s in `price`",
    ):
        assert wanted in text


@pytest.mark.parametrize("width", [200, 79, 59, 39])
def test_a_drawing_leaves_out_fields_and_cuts_none(width: int) -> None:
    now = after(
        statistics(0, left=40_000_000),
        statistics(10, 12_345_678, left=20_000_000, dead=123_456, retries=12_345, commits=123_456),
    )
    whole = ["".join(text for text, _ in line).rstrip() for line in drawn("pricing", now)]
    fitted = ["".join(text for text, _ in line).rstrip() for line in drawn("pricing", now, width)]
    for all_of_it, shown in zip(whole, fitted, strict=True):
        assert len(shown) <= width
        assert set(shown.split()) <= set(all_of_it.split())
        assert (shown == all_of_it) == (len(all_of_it) <= width)


def test_log_lines_go_above_the_drawing_while_it_is_open(
    capsys: pytest.CaptureFixture[str],
) -> None:
    paper = Paper()
    live = Live("pricing", paper)
    live.write("before")
    live.open()
    live.write("during")
    live.tick(statistics(1.0, 5))
    live.close(statistics(2.0, 9), "finished")
    live.write("after")
    assert paper.printed == ["during"]
    assert capsys.readouterr().err == "before\nafter\n"
    assert paper.closed
    assert "in            9" in paper.lines[1]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_plain_screen_draws_in_place_and_prints_above(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    screen = PlainScreen(terminal)
    screen.show([[("one", "bold")], [("two", "")]])
    screen.above("a log line")
    screen.show([[("three", "")]])
    assert terminal.getvalue() == (
        "one\ntwo\n\x1b[2F\x1b[Ja log line\none\ntwo\n\x1b[2F\x1b[Jthree\n"
    )


def test_what_the_job_prints_goes_above_the_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "dumb")
    screen = PlainScreen(terminal)
    screen.open()
    screen.show([[("drawn", "")]])
    print("by the job")
    print("unfinished", end="")
    screen.close()
    shown = re.sub(r"\x1b\[\d*[FJ]", "", terminal.getvalue()).splitlines()
    assert shown == ["drawn", "by the job", "drawn", "unfinished", "drawn"]
    print("afterwards")
    assert terminal.getvalue().endswith("afterwards\n")


def test_a_line_is_cut_to_the_width_of_the_terminal() -> None:
    line: Line = [("abc", "red"), ("defgh", "")]
    assert styled(line, colour=False, width=5) == "abcde"
    assert styled(line, colour=True, width=2) == "\x1b[31mab\x1b[0m"
