"""A reload reads beside the master: however long that takes, the master goes on with its work, and whatever becomes of the
process that reads is a reload that failed, or one that came late. A pipe in place of the file is the slowest disk there is."""

import os
import signal
import threading

import pytest

from lib import http, procs
from lib.net import free_port, listening
from lib.wait import wait_until


def text(port, backends, extra=""):
    return f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} {extra} }}
pools = {{ app = {{ backends = {backends.list_text} }} }}
"""


class Reading:
    """An instance whose reload waits for a file that says nothing."""

    def __init__(self, ballast, origins):
        self.port, self.backends = free_port(), origins(1)
        self.b = ballast(text(self.port, self.backends))
        self.before = self.b.generation
        self.pipe = self.b.conf_path + ".pipe"
        os.mkfifo(self.pipe)
        os.link(self.pipe, self.b.conf_path + ".link")
        os.replace(self.b.conf_path + ".link", self.b.conf_path)
        self.b.signal(signal.SIGUSR2)
        self.reader = wait_until(lambda: self.b.table.get("reader"), what="a process that reads")

    def say(self, content):
        """What the file says at last."""
        with open(self.pipe, "w", encoding="utf-8") as f:
            f.write(self.b.full_text(content))

    def serves(self):
        return http.get(self.port).status == 200


@pytest.fixture
def reading(ballast, origins):
    return Reading(ballast, origins)


def test_the_master_goes_on(reading):
    b = reading.b
    workers = b.worker_pids
    os.kill(workers["worker 1"], signal.SIGKILL)
    wait_until(lambda: b.worker_pids.get("worker 1", workers["worker 1"]) != workers["worker 1"], what="a new worker")
    wait_until(lambda: all(w["state"] == "ready" for w in b.admin("/lb/workers")["workers"]), what="it serves")
    b.signal(signal.SIGUSR1)
    wait_until(lambda: "event=reopen" in b.log(), what="logs opened again")
    assert reading.serves()
    assert b.generation == reading.before
    assert b.table["reader"] == reading.reader, "all of that while the same process reads"
    reading.say(text(reading.port, reading.backends, 'more = { bind = "127.0.0.1:%d", pool = "app" }' % free_port()))
    wait_until(lambda: b.generation == reading.before + 1 and b.adopted(), what="the new generation")
    assert reading.serves()


def test_a_request_meanwhile_reads_the_newest_file(reading):
    b, first, second = reading.b, free_port(), free_port()
    for count, number in enumerate((signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR2)):
        b.signal(number)
        wait_until(lambda: b.log().count(": reload\n") == count + 2, what="the signal is seen")
    b.write(text(reading.port, reading.backends, 'two = { bind = "127.0.0.1:%d", pool = "app" }' % second))
    assert b.table["reader"] == reading.reader
    reading.say(text(reading.port, reading.backends, 'one = { bind = "127.0.0.1:%d", pool = "app" }' % first))
    wait_until(lambda: b.generation == reading.before + 2 and b.adopted(), what="two generations later")
    assert listening(second) and not listening(first)
    wait_until(lambda: "reader" not in b.table, what="nobody reads")


def test_a_reader_that_is_killed_is_a_reload_that_failed(reading):
    b = reading.b
    os.kill(reading.reader, signal.SIGKILL)
    wait_until(lambda: b.reloads("failed") == 1)
    wait_until(lambda: "the process that read it died: killed by signal 9" in b.log(), what="why")
    assert b.generation == reading.before
    assert reading.serves()
    b.reload(text(reading.port, reading.backends))
    assert b.generation == reading.before + 1


def test_what_is_wrong_is_told(reading):
    b = reading.b
    reading.say(text(reading.port, reading.backends, "} # one too many") + "wrokers = 3\n")
    wait_until(lambda: b.reloads("failed") == 1)
    wait_until(lambda: f"{b.conf_path}:" in b.log(), what="where")
    wait_until(lambda: "reader" not in b.table)
    assert b.generation == reading.before
    assert reading.serves()


def test_the_admin_hears_of_it(reading):
    """A reload that is asked for meanwhile by the API is answered when it is done."""
    b, answers = reading.b, []
    asking = threading.Thread(target=lambda: answers.append(b.request("POST", "/lb/reload", deadline=30.0)))
    asking.start()
    wait_until(lambda: "reload asked" in b.log(), what="it is asked")
    b.write(text(reading.port, reading.backends))
    reading.say(text(reading.port, reading.backends))
    asking.join(30)
    assert not asking.is_alive() and answers[0].status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_stop_does_not_wait_for_it(reading, number):
    reading.b.stop(number)
    assert not procs.alive(reading.reader)


def test_it_goes_with_the_master(reading):
    reading.b.expect_crash = True
    os.kill(reading.b.pid, signal.SIGKILL)
    wait_until(lambda: not procs.alive(reading.reader), what="nobody reads any more")
