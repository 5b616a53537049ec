"""The client library against a real instance and real backends: the same choices as through the proxy, while backends go
down and up, while the configuration is reloaded, and while ballast stops, is killed and comes back."""

import grp
import os
import select
import signal
import socket
import subprocess

import pytest

from lib import http
from lib.ballast import SANITIZER, binary, environment, run
from lib.net import free_port
from lib.wait import wait_until

BUILD = os.path.dirname(binary())
ANSWER_S = 60.0


class Driver:
    """tests/func/client_driver: one command, one answer."""

    def __init__(self, errors):
        self._errors = open(errors, "w+", encoding="utf-8")
        self.process = subprocess.Popen([os.path.join(BUILD, "tests/func/client_driver")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self._errors, text=True, bufsize=1, env=environment())

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        assert select.select([self.process.stdout], [], [], ANSWER_S)[0], f"no answer to {words}"
        return self.process.stdout.readline().rstrip("\n")

    def open(self, instance, stale_ms=600_000, fallback="-", flags="-"):
        return self.ask("open", instance, stale_ms, fallback, flags)

    def pick(self, pool, *key):
        return self._pick("pick", pool, *key)

    def other(self, number):
        return self._pick("other", number)

    def _pick(self, *words):
        words = self.ask(*words).replace("no pool", "no_pool").split()
        names = ["result", "number", "backend", "endpoint", "slot", "generation", "stale", "address_len"]
        return dict(zip(names, words))

    def counts(self, command, pool, n):
        answer = self.ask(command, pool, n).replace("no pool=", "no_pool=").split()
        return {k: int(v) for k, v in (word.rsplit("=", 1) for word in answer)}

    def many(self, pool="app", n=30):
        return self.counts("many", pool, n)

    def report(self, number, outcome="s", latency_us=100):
        assert self.ask("report", number, outcome, latency_us) == "reported"

    def fresh(self):
        return self.ask("fresh").startswith("1")

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(ANSWER_S)
        self._errors.seek(0)
        said = self._errors.read()
        assert status == 0 and not SANITIZER.search(said), said


@pytest.fixture
def driver(tmp_path):
    made = Driver(tmp_path / "driver.err")
    yield made
    made.close()


HEALTH = 'health = { path = "/health", interval = "100ms", timeout = "20s", healthy_threshold = 1, unhealthy_threshold = 1 }'
NO_HEALTH = 'health = { type = "none" }'


def text_of(port, origins, pool='balance = "round_robin"', health=NO_HEALTH, more=""):
    backends = ", ".join(f'{{ name = "{o.id}", address = "{o.address}" }}' for o in origins)
    return f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ {pool}, backends = ( {backends} ), {health} }} }}
{more}
"""


@pytest.fixture
def start(ballast):
    def begin(origins, *args, **options):
        port = free_port()
        b = ballast(text_of(port, origins, *args, **options))
        b.port = port
        return b

    return begin


@pytest.mark.parametrize("algorithm,key", [("consistent_hash", "uri"), ("maglev", "uri"), ("url_hash", "client_ip"),
                                           ("consistent_hash", "header:X-Tenant"), ("maglev", "host")])
def test_a_key_gets_the_backend_it_gets_through_the_proxy(start, origins, driver, algorithm, key):
    b = start(origins(5), f'balance = "{algorithm}", hash_key = "{key}"')
    assert driver.open(b.conf_path) == "opened"
    seen = set()
    for n in range(25):
        path, headers, said = "/", [], f"Tenant{n}.example"
        if key == "header:X-Tenant":
            headers = [("X-Tenant", said)]
        elif key == "host":
            headers = [("Host", said)]
        else:
            path = said = f"/x/{n}?q={n}"
        through = http.get(b.port, path, headers=headers).text
        assert driver.pick("app", said)["backend"] == through, said
        seen.add(through)
    assert len(seen) > 1


def test_client_addresses_too(start, origins, driver):
    b = start(origins(5), 'balance = "ip_hash"')
    assert driver.open(b.conf_path) == "opened"
    seen = set()
    for n in range(1, 15):
        with socket.create_connection(("127.0.0.1", b.port), 10, source_address=(f"127.0.0.{n}", 0)) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b""
            while chunk := s.recv(65536):
                answer += chunk
        through = answer.rpartition(b"\r\n\r\n")[2].decode()
        assert driver.pick("app", f"127.0.0.{n}")["backend"] == through
        seen.add(through)
    assert len(seen) > 1


def test_backends_go_down_drain_and_come_back(start, origins, driver):
    three = origins(3)
    b = start(three, health=HEALTH)
    assert driver.open(b.conf_path) == "opened"
    b.wait_healthy()  # who was not checked yet is asked when the others are out
    wait_until(lambda: set(driver.many()) == {"ok", "b1", "b2", "b3"}, what="all three")
    three[0].stop()
    b.wait_status("b1", "unhealthy")
    wait_until(lambda: set(driver.many()) == {"ok", "b2", "b3"}, what="the one that is down left out")
    b.admin("/lb/backends/b2/drain", "POST")
    wait_until(lambda: driver.many() == {"ok": 30, "b3": 30}, what="the draining one left out")
    b.admin("/lb/backends/b3/disable", "POST")
    assert driver.many() == {"none": 30}
    b.admin("/lb/backends/b2/enable", "POST")
    wait_until(lambda: driver.many() == {"ok": 30, "b2": 30}, what="the one enabled again")
    b.admin("/lb/backends/b3/enable", "POST")
    wait_until(lambda: set(driver.many()) == {"ok", "b2", "b3"}, what="both")


def test_weights_and_members_from_the_api(start, origins, driver):
    two = origins(2)
    b = start(two[:1], 'balance = "weighted_round_robin"')
    assert driver.open("pid:%d" % b.pid) == "opened"
    host, port = two[1].address.rsplit(":", 1)
    assert driver.many() == {"ok": 30, "b1": 30}
    b.admin("/lb/backends/add", "POST", {"host": host, "port": int(port), "weight": 2, "id": "late"}, status=201)
    wait_until(lambda: driver.many() == {"ok": 30, "b1": 10, "late": 20}, what="the new one, once it is known to be well")
    b.admin("/lb/backends/late/weight", "POST", {"weight": 1})
    assert driver.many() == {"ok": 30, "b1": 15, "late": 15}
    b.admin("/lb/backends/late/remove", "DELETE")
    assert driver.many() == {"ok": 30, "b1": 30}


def test_a_reload_is_followed(start, origins, driver):
    three = origins(3)
    b = start(three[:2])
    assert driver.open(b.conf_path) == "opened"
    assert driver.many() == {"ok": 30, "b1": 15, "b2": 15}
    held = driver.pick("app")
    assert held["result"] == "ok"
    b.write(text_of(b.port, three[1:], 'balance = "maglev", hash_key = "uri"'))
    b.reload()
    assert set(driver.many()) == {"ok", "b2", "b3"}
    for n in range(10):
        assert driver.pick("app", f"/{n}")["backend"] == http.get(b.port, f"/{n}").text
    driver.report(held["number"], "f")
    b.write(text_of(b.port, three[1:]).replace("app", "shop"))
    b.reload()
    assert driver.many("app") == {"no_pool": 30}
    assert driver.many("shop") == {"ok": 30, "b2": 15, "b3": 15}


def test_load_of_the_proxy_and_of_the_client_count_together(start, origins, driver):
    two = origins(2)
    b = start(two, 'balance = "least_connections"')
    assert driver.open(b.conf_path) == "opened"
    picks = [driver.pick("app") for _ in range(6)]
    assert sorted(p["backend"] for p in picks) == ["b1"] * 3 + ["b2"] * 3
    for p in picks:
        driver.report(p["number"])
    for one in two:
        one.hold()
    held = [http.Client(b.port) for _ in range(4)]

    def loads():
        return {name.split(":")[-1]: s["current_connections"] for name, s in b.servers().items()}

    for n, client in enumerate(held):
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: sum(loads().values()) == n + 1, what="the request is in flight")
    two[1].release()
    wait_until(lambda: loads() == {"b1": 2, "b2": 0}, what="two requests waiting at b1")
    assert {driver.pick("app")["backend"] for _ in range(2)} == {"b2"}
    two[0].release()
    for client in held:
        client.close()


def test_another_backend_after_a_failure(start, origins, driver):
    b = start(origins(3), 'balance = "consistent_hash", hash_key = "uri"')
    assert driver.open(b.conf_path) == "opened"
    first = driver.pick("app", "/x")
    seen = [first["backend"]]
    for _ in range(2):
        driver.report(first["number"], "f")
        seen.append(driver.other(first["number"])["backend"])
    assert sorted(seen) == ["b1", "b2", "b3"]
    driver.report(first["number"], "f")
    assert driver.other(first["number"])["result"] == "none"
    seen = []
    for _ in range(3):
        wrong = driver.pick("app", "/y")
        driver.report(wrong["number"], "f")
        seen.append(wrong["backend"])
    assert len(set(seen)) > 1, seen


def test_killed_and_started_again(start, origins, driver, ballast):
    two = origins(2)
    b = start(two)
    assert driver.open(b.conf_path, 1000, f"127.0.0.1:{b.port}") == "opened"
    assert driver.many() == {"ok": 30, "b1": 15, "b2": 15}
    b.expect_crash = True
    os.kill(b.pid, signal.SIGKILL)
    b.wait()
    pick = wait_until(lambda: (p := driver.pick("app"))["result"] == "fallback" and p, what="the fallback")
    assert pick["backend"] == "-" and int(pick["address_len"]) > 0
    assert not driver.fresh() and "no sign of life" in driver.ask("fresh")
    c = ballast(text_of(b.port, two), wait=False)
    c.wait_ready()
    assert driver.open(c.conf_path, 1000) == "opened"
    assert driver.many() == {"ok": 30, "b1": 15, "b2": 15}


def test_a_restart_is_followed_by_name(start, origins, driver, ballast, tmp_path):
    """The second instance runs with the same file: the client finds it without being told."""
    two = origins(2)
    b = start(two)
    assert driver.open(b.conf_path, 1000) == "opened"
    held = driver.pick("app")
    b.stop()
    wait_until(lambda: driver.pick("app")["result"] == "fallback", what="the fallback")
    c = ballast(argv=["run", "-c", b.conf_path], admin_port=b.admin_port)
    wait_until(lambda: driver.pick("app")["result"] == "ok", what="the new instance")
    assert driver.many() == {"ok": 30, "b1": 15, "b2": 15}
    driver.report(held["number"], "f")  # of the old one: counts for nothing
    assert driver.fresh()
    c.stop()


def test_what_was_known_last_is_kept_if_wanted(start, origins, driver):
    b = start(origins(2))
    assert driver.open(b.conf_path, 1000, "-", "k") == "opened"
    b.expect_crash = True
    os.kill(b.pid, signal.SIGKILL)
    b.wait()
    pick = wait_until(lambda: (p := driver.pick("app"))["stale"] == "1" and p, what="a stale pick")
    assert pick["result"] == "ok" and pick["backend"] in ("b1", "b2")


def test_threads_and_children(start, origins, driver):
    b = start(origins(2))
    assert driver.open(b.conf_path) == "opened"
    assert driver.counts("spin", "app", 4000)["ok"] == 4000
    assert driver.counts("fork", "app", 100)["ok"] == 100
    assert driver.many() == {"ok": 30, "b1": 15, "b2": 15}


def test_opened_before_the_instance(start, origins, driver, tmp_path):
    missing = tmp_path / "later.conf"
    assert driver.open(missing).startswith("no running instance of")
    assert driver.open(missing, 1000, "-", "a") == "opened"
    assert driver.pick("app")["result"] == "fallback"


def test_an_unreadable_table_says_what_to_do(start, origins):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    b = start(origins(1))
    done = subprocess.run([os.path.join(BUILD, "tests/func/client_driver")], input=f"open pid:{b.pid} 0 - -\n", text=True,
                          capture_output=True, timeout=ANSWER_S, env=environment(), user=65534, group=65534, extra_groups=[])
    assert "Permission denied (see table_group in the configuration)" in done.stdout


def test_table_group_lets_its_members_read(start, origins):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    name = grp.getgrgid(65534).gr_name
    b = start(origins(1), more=f'table_group = "{name}"')
    info = os.stat(f"/dev/shm/ballast.{b.pid}")
    assert (info.st_mode & 0o777, info.st_gid) == (0o640, 65534)
    done = subprocess.run([os.path.join(BUILD, "tests/func/client_driver")], input=f"open pid:{b.pid} 0 - -\npick app\n",
                          text=True, capture_output=True, timeout=ANSWER_S, env=environment(), user=65534, group=65534,
                          extra_groups=[])
    assert done.stdout.startswith("opened\nok 0 b1 "), done.stdout
    for command in (["top", "--once"], ["events"]):
        done = subprocess.run([binary(), *command, "--pid", str(b.pid)], text=True, capture_output=True, timeout=ANSWER_S,
                              stdin=subprocess.DEVNULL, env=environment(), user=65534, group=65534, extra_groups=[])
        assert done.returncode == 0, done.stderr
    refused = b.reload_refused(text_of(b.port, []).replace("backends = (  )", 'backends = [ "127.0.0.1:1" ]'))
    assert "changing table_group" in str(refused) + b.log()


def test_a_group_that_is_none_is_refused(tmp_path):
    conf = tmp_path / "bad.conf"
    conf.write_text('table_group = "no-such-group"\nlisteners = { web = { bind = "*:8080", pool = "app" } }\n'
                    'pools = { app = { backends = [ "127.0.0.1:1" ] } }\n')
    done = run("check", "-c", conf)
    assert done.returncode == 1 and 'bad.conf:1: error: table_group: there is no group "no-such-group"' in done.stdout + done.stderr


def test_the_example_asks_backends_and_falls_back(start, origins):
    b = start(origins(2), 'balance = "round_robin"')
    example = os.path.join(BUILD, "client/example")
    done = subprocess.run([example, b.conf_path, "app", "/", "4"], capture_output=True, text=True, timeout=ANSWER_S,
                          env=environment())
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n")) == ["", "ok b1: 200", "ok b1: 200", "ok b2: 200", "ok b2: 200"]
    done = subprocess.run([example, b.conf_path, "nowhere", "/", "1", f"127.0.0.1:{b.port}"], capture_output=True, text=True,
                          timeout=ANSWER_S, env=environment())
    assert done.stdout == "no pool (listener): 200\n"
