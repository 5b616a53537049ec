"""Waiting: always for a condition, always with a deadline, never for a length of time."""

import threading
import time

_NEVER_SET = threading.Event()
POLL_S = 0.01


class Deadline:
    """A point in time; `left` is what remains until it, in seconds, never negative."""

    def __init__(self, seconds):
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self):
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self):
        return self.left == 0.0


def poll(condition, seconds=10.0):
    """The first true value of condition(), or its last false one when the time is over."""
    deadline = Deadline(seconds)
    while True:
        value = condition()
        if value or deadline.over:
            return value
        _NEVER_SET.wait(POLL_S)


def wait_until(condition, seconds=30.0, what=None):
    """The first true value of condition(); an AssertionError that says what never came otherwise.

    An AssertionError, KeyError or OSError inside the condition counts as "not yet" and is shown if it stays so.
    """
    problem = []

    def once():
        problem.clear()
        try:
            return condition()
        except (AssertionError, KeyError, IndexError, OSError) as error:
            problem.append(error)
            return None

    value = poll(once, seconds)
    if not value:
        name = what or getattr(condition, "__doc__", None) or getattr(condition, "__name__", "it")
        why = f"; last: {problem[0]!r}" if problem else f"; last value: {value!r}"
        raise AssertionError(f"after {seconds:g} s still not: {name}{why}")
    return value
