"""Signals that ask a command to end: what they raise, and what puts them off."""

import os
import signal

import pytest

from pipelines.console import one_line_errors
from pipelines.runs.interruption import Interruption, deferred, interruptible

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(autouse=True)
def heeded_hangup():
    """Takes SIGHUP as a terminal's commands do, where `nohup` started the tests to ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_command_with_a_line_and_its_status(number, capsys):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as end, one_line_errors():
        send(number)
    assert end.value.code == SIGNALS[number]
    output = capsys.readouterr().err
    assert output.endswith(": the same command goes on from here\n")
    assert output.count("\n") == 1
    assert signal.getsignal(number) is before


def under(body) -> Interruption:
    """What a command ends with whose body is not to be interrupted."""
    with pytest.raises(Interruption) as end:
        commanded(body)
    return end.value


def commanded(body) -> None:
    with interruptible(), deferred() as stopping:
        body(stopping)


def test_a_first_signal_is_put_off_and_then_raised():
    done = []

    def body(stopping):
        done.append(stopping())
        send(signal.SIGTERM)
        done.append(stopping())

    assert under(body).status == 143
    assert done == [False, True]


def test_what_stops_because_of_a_signal_ends_with_that_signal():
    def body(stopping):
        send(signal.SIGTERM)
        if stopping():
            raise KeyboardInterrupt

    assert under(body).status == 143


def test_a_second_signal_is_not_put_off():
    def body(stopping):
        send(signal.SIGINT)
        send(signal.SIGTERM)
        raise AssertionError("the second one was put off, too")

    assert under(body).status in (130, 143)


def test_an_error_is_not_hidden_by_a_signal():
    def body(stopping):
        send(signal.SIGTERM)
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        commanded(body)


def test_a_signal_that_was_to_be_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            send(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
