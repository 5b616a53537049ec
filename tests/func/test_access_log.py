"""Access logs: formats, targets, reopening, reloads, and readers and disks that do not keep up."""

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading

import pytest

from lib import h2client, http, tls
from lib.ballast import binary
from lib.net import connect, free_port
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", access_log = {log} }} }}
pools = {{ app = {{ backends = {backends}, health = {{ type = "none" }} }} }}
"""
KEYS = ("time request_id client listener method host path protocol status bytes_in bytes_out duration_ms pool backend backend_ms "
        "attempts termination tls user_agent referer").split()


@pytest.fixture
def web(ballast, origin):
    def start(log, backends=None, **options):
        port = free_port()
        o = origin() if backends is None else None
        text = CONF.format(port=port, log=log, backends=backends or f'( {{ name = "one", address = "{o.address}" }} )')
        instance = ballast(text, **options)
        instance.port, instance.text, instance.origin = port, text, o
        return instance

    return start


def lines(path):
    return path.read_text(errors="surrogateescape").splitlines() if path.exists() else []


def wait_lines(path, count):
    wait_until(lambda: len(lines(path)) >= count, 20, f"{count} lines in {path}")
    return lines(path)


def dropped(instance):
    return instance.metrics()["ballast_access_log_dropped_total"]


def test_json(web, tmp_path):
    path = tmp_path / "access.log"
    b = web(f'{{ target = "{path}" }}')
    r = http.request(b.port, "POST", "/a?b=1", [("User-Agent", "test/1"), ("Referer", "http://r/"), ("X-Request-ID", "mine")], b"body")
    assert r.status == 200
    line = json.loads(wait_lines(path, 1)[0])
    assert list(line) == KEYS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert (line["request_id"], line["client"], line["listener"], line["method"]) == ("mine", "127.0.0.1", "web", "POST")
    assert (line["host"], line["path"], line["protocol"], line["status"]) == ("test.local", "/a?b=1", "HTTP/1.1", 200)
    assert line["bytes_in"] > 50 and line["bytes_out"] == len(r.raw)
    assert 0 <= line["backend_ms"] <= line["duration_ms"] < 60000
    assert (line["pool"], line["backend"], line["attempts"], line["termination"]) == ("app", "one", 1, "finished")
    assert (line["tls"], line["user_agent"], line["referer"]) == (None, "test/1", "http://r/")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640


def test_the_request_id_is_the_one_that_the_backend_sees(web, tmp_path):
    path = tmp_path / "access.log"
    b = web(f'{{ target = "{path}" }}')
    http.get(b.port)
    assert json.loads(wait_lines(path, 1)[0])["request_id"] == b.origin.requests[-1].header("X-Request-ID")


def test_the_client_that_a_trusted_proxy_names(ballast, origin, tmp_path):
    path, port = tmp_path / "access.log", free_port()
    ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", trusted = [ "127.0.0.0/8" ], access_log = {{ target = "{path}" }} }} }}
pools = {{ app = {{ backends = [ "{origin().address}" ], health = {{ type = "none" }} }} }}
""")
    http.get(port, "/", [("X-Forwarded-For", "192.0.2.66, 192.0.2.7, 127.0.0.9")])
    assert json.loads(wait_lines(path, 1)[0])["client"] == "192.0.2.7"


@pytest.mark.parametrize("name, tail", [("combined", r' "http://r/" "a\\x22b\\x5cc"'), ("common", "")])
def test_combined_and_common(web, tmp_path, name, tail):
    path = tmp_path / "access.log"
    b = web(f'{{ target = "{path}", format = "{name}" }}')
    http.get(b.port, "/x", [("Referer", "http://r/"), ("User-Agent", 'a"b\\c')])
    line = wait_lines(path, 1)[0]
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /x HTTP/1.1" 200 \d+' + tail, line), line


def test_no_client_forges_a_line(web, tmp_path):
    path = tmp_path / "access.log"
    b = web(f'{{ target = "{path}" }}')
    evil = ['a", "status": 500, "x": "', "\\", "\\\"}", "\x80\xff", "\xc3\xa9", "}\x0b{"]
    sent = 0
    for text in evil:
        raw = b"GET /?" + re.sub(rb"[^!-~]", b"", text.encode("latin-1")) + b" HTTP/1.1\r\nHost: t\r\nUser-Agent: " + text.encode("latin-1") \
            + b"\r\nX-Request-ID: " + text.encode("latin-1") + b"\r\nConnection: close\r\n\r\n"
        http.exchange(b.port, raw)
        sent += 1
    for raw in (b"GET /\n{\"forged\":1}\r\n\r\n", b"\x16\x03\x01\r\n{}\r\n\r\n", b"GET / HTTP/1.1\r\nHost: t\r\nA\rB: x\r\n\r\n"):
        http.exchange(b.port, raw)
        sent += 1
    found = wait_lines(path, sent)
    assert len(found) == sent
    for line in found:
        assert list(json.loads(line)) == KEYS and json.loads(line)["status"] in (200, 400)


def test_what_fails_says_why(web, tmp_path):
    path = tmp_path / "access.log"
    b = web(f'{{ target = "{path}" }}', backends=f'[ "127.0.0.1:{free_port()}" ]')
    assert http.get(b.port, "/dead").status == 502
    http.exchange(b.port, b"nonsense\r\n\r\n")
    bad, dead = sorted((json.loads(line) for line in wait_lines(path, 2)), key=lambda line: line["status"])  # of two workers
    assert dead["status"] == 502 and dead["attempts"] >= 1 and dead["backend_ms"] is None
    assert bad["status"] == 400 and bad["method"] is None and bad["termination"] != "finished"


def test_a_client_that_leaves(web, tmp_path, tcp_origin):
    path = tmp_path / "access.log"
    silent = socket.create_server(("127.0.0.1", 0))
    b = web(f'{{ target = "{path}" }}', backends=f'[ "127.0.0.1:{silent.getsockname()[1]}" ]')
    with connect(b.port) as s:
        s.sendall(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
        backend = silent.accept()[0]
        backend.recv(1000)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line = json.loads(wait_lines(path, 1)[0])
    assert line["path"] == "/slow" and line["status"] == 0 and "client" in line["termination"]
    backend.close()
    silent.close()


def test_tcp_connections(ballast, tcp_echo, tmp_path):
    path, port = tmp_path / "access.log", free_port()
    ballast(f"""
listeners = {{ db = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "p", access_log = {{ target = "{path}" }} }} }}
pools = {{ p = {{ backends = [ "{tcp_echo().address}" ], health = {{ type = "none" }} }} }}
""")
    with connect(port) as s:
        s.sendall(b"hello")
        assert s.recv(10) == b"hello"
    line = json.loads(wait_lines(path, 1)[0])
    assert (line["protocol"], line["bytes_in"], line["bytes_out"], line["pool"], line["method"]) == ("tcp", 5, 5, "p", None)


def test_tls_and_http2(ballast, origin, tmp_path):
    path, port, ca = tmp_path / "access.log", free_port(), tls.Authority(tmp_path / "ca")
    cert, key = ca.issue("a", ["a.test"])
    ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }},
    access_log = {{ target = "{path}" }} }} }}
pools = {{ app = {{ backends = [ "{origin().address}" ], health = {{ type = "none" }} }} }}
""", workers=1)
    with h2client.Client(tls.connect(port, ca.context(alpn=["h2"]))) as c:
        assert c.request("GET", "/two").status == 200
    with tls.connect(port, ca.context(alpn=["http/1.1"])) as sock:
        sock.sendall(b"GET /one HTTP/1.1\r\nHost: t\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    found = [json.loads(line) for line in wait_lines(path, 2)]
    assert [(f["path"], f["protocol"], f["tls"]) for f in found] == [("/two", "HTTP/2.0", "TLSv1.3"), ("/one", "HTTP/1.1", "TLSv1.3")]


def test_every_request_of_every_worker_once(web, tmp_path):
    path = tmp_path / "access.log"
    b = web(f'{{ target = "{path}" }}', workers=4)

    def run(n):
        with http.Client(b.port) as c:
            for i in range(200):
                assert c.get(f"/{n}/{i}").status == 200

    threads = [threading.Thread(target=run, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    paths = [json.loads(line)["path"] for line in wait_lines(path, 1200)]
    assert sorted(paths) == sorted(f"/{n}/{i}" for n in range(6) for i in range(200))


def files_of(b):
    """Every file that a worker has open."""
    open_now = []
    for pid in b.worker_pids.values():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                open_now.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return open_now


def test_reopened_on_usr1_and_nothing_is_lost_at_the_end(web, tmp_path):
    path, old = tmp_path / "access.log", tmp_path / "access.log.1"
    b = web(f'{{ target = "{path}" }}', workers=2)
    http.get(b.port, "/one")
    wait_lines(path, 1)
    path.rename(old)
    b.signal(signal.SIGUSR1)
    wait_until(path.exists, what="the new file")
    wait_until(lambda: str(old) not in files_of(b), what="every worker to write into the new file")
    wait_until(lambda: http.get(b.port, "/two").status == 200 and "/two" in path.read_text(), what="lines in the new file")
    assert len(lines(old)) >= 1 and "/one" in lines(old)[0]
    count = len(lines(old)) + len(lines(path))
    with http.Client(b.port) as c:
        assert [c.get("/last").status for _ in range(5)] == [200] * 5
    b.stop()
    assert sum("/last" in line for line in lines(path)) == 5 and len(lines(old)) + len(lines(path)) >= count + 5


def test_a_worker_that_starts_later_logs_too(web, tmp_path):
    path = tmp_path / "access.log"
    b = web(f'{{ target = "{path}" }}', workers=1)
    before = dict(b.worker_pids)
    os.kill(next(iter(before.values())), signal.SIGKILL)
    wait_until(lambda: b.worker_pids and b.worker_pids != before, what="a successor")
    http.get(b.port, "/after")
    assert "/after" in wait_lines(path, 1)[0]


def test_reload_changes_target_and_format(web, tmp_path):
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    b = web(f'{{ target = "{one}" }}', workers=2)
    http.get(b.port, "/first")
    wait_lines(one, 1)
    b.reload(b.text.replace("one.log", "two.log").replace('two.log"', 'two.log", format = "common"'))
    http.get(b.port, "/second")
    assert '"GET /second HTTP/1.1" 200' in wait_lines(two, 1)[0] and len(lines(one)) == 1
    b.reload(re.sub(r"access_log = \{[^}]*\}", 'access_log = "off"', b.text))
    http.get(b.port, "/third")
    wait_until(lambda: str(one) not in files_of(b), what="the first file closed")
    assert len(lines(two)) == 1
    new = b.reload_refused(b.text.replace(str(one), str(tmp_path / "no" / "such" / "x.log")))
    assert "listeners.web.access_log: cannot open" in new and "No such file" in new
    assert http.get(b.port).status == 200


def test_a_full_disk_hurts_nobody(web):
    b = web('{ target = "/dev/full" }', workers=1)
    with http.Client(b.port) as c:
        for i in range(300):
            assert c.get(f"/{i}").status == 200
    wait_until(lambda: dropped(b) == 300, 20, "all lines counted as lost")
    assert b.log().count("access log: lines are lost: No space left on device") == 1


def test_a_slow_reader_hurts_nobody(web, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    b = web(f'{{ target = "{fifo}" }}', workers=1)
    total = 3000
    with http.Client(b.port) as c:
        for _ in range(total):
            assert c.get("/" + "x" * 300).status == 200
    wait_until(lambda: dropped(b) > 0, 20, "lines dropped")
    text = b""

    def drain():
        nonlocal text
        try:
            while True:
                more = os.read(reader, 65536)
                if not more:
                    return
                text += more
        except BlockingIOError:
            pass

    def complete():
        drain()
        return text.count(b"\n") + dropped(b) == total

    wait_until(complete, 20, "all lines read or counted")
    assert all(list(json.loads(line)) == KEYS for line in text.splitlines())
    os.close(reader)
    assert http.get(b.port).status == 200


def test_the_default_is_a_file_where_its_directory_is(tmp_path):
    conf = tmp_path / "t.conf"
    conf.write_text('listeners = { web = { bind = "127.0.0.1:1", pool = "p" } }\npools = { p = { backends = [ "127.0.0.1:2" ] } }\n')
    shown = subprocess.run([binary(), "show", "-c", str(conf)], capture_output=True, text=True, timeout=60).stdout
    assert re.search(r'access_log = \{\s*target = "auto"\s*format = "json"\s*\}', shown)


@pytest.mark.parametrize("log, problem", [
    ('"on"', 'access_log: wants a group { } or "off", found "on"'),
    ('true', 'wants a group { } or "off"'),
    ('{ target = "stdot" }', '"stdot" is not auto, stdout, stderr, syslog or a path, did you mean "stdout"?'),
    ('{ target = "" }', "target: cannot be empty"),
    ('{ target = 5 }', "target: wants a string"),
    ('{ format = "clf" }', '"clf" is not one of: json, combined, common'),
    ('{ file = "/x" }', 'did you mean "target"?'),
])
def test_mistakes(tmp_path, log, problem):
    conf = tmp_path / "bad.conf"
    conf.write_text(CONF.format(port=1, log=log, backends='[ "127.0.0.1:1" ]'))
    done = subprocess.run([binary(), "check", "-c", str(conf)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and problem in done.stderr
