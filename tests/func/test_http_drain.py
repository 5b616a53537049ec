"""What a graceful stop does to clients: nobody is reset, everybody is told."""

import os
import signal

from lib import http
from lib.net import connect, free_port
from lib.wait import Deadline, wait_until


def start(ballast, origin, **options):
    port = free_port()
    instance = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{origin.address}" ], health = {{ type = "none" }} }} }}
""", **options)
    instance.port = port
    return instance


def test_a_kept_connection_gets_one_more_answer(ballast, origin):
    b = start(ballast, origin(), workers=1)
    with http.Client(b.port) as c:
        assert c.get("/").header("Connection") is None
        b.signal(signal.SIGTERM)
        end, said = Deadline(10), None
        while not said and not end.over:
            r = c.get("/")
            assert r.status == 200
            said = r.header("Connection")
        assert said == "close" and c.eof()
    assert b.wait() == 0


def test_an_idle_kept_connection_does_not_hold_the_stop_up(ballast, origin):
    b = start(ballast, origin(), workers=1)
    with http.Client(b.port) as c:
        assert c.get("/").status == 200
        b.signal(signal.SIGTERM)
        assert c.eof()
    assert b.wait() == 0


def test_a_request_in_flight_is_finished(ballast, origin):
    o = origin()
    b = start(ballast, o, workers=1)
    o.hold()
    with http.Client(b.port) as c:
        c.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: o.waiting == 1, what="the request at the origin")
        b.signal(signal.SIGTERM)
        wait_until(lambda: "to=draining" in b.log(), what="draining")
        o.release()
        r = c.read()
        assert r.status == 200 and r.text == "b1"
    assert b.wait() == 0


def test_connections_in_the_queue_are_answered(ballast, origin):
    """A stopped worker leaves them in the kernel's queue; TERM comes before it can take them."""
    b = start(ballast, origin(), workers=1)
    worker = list(b.worker_pids.values())[0]
    os.kill(worker, signal.SIGSTOP)
    socks = [connect(b.port) for _ in range(20)]
    for s in socks:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    b.signal(signal.SIGTERM)
    wait_until(lambda: "to=draining" in b.log(), what="draining")
    os.kill(worker, signal.SIGCONT)
    for s in socks:
        s.settimeout(10)
        assert http.read_response(s).status == 200
        s.close()
    assert b.wait() == 0
