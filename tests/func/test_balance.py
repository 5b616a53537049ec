"""Every balancing algorithm through the real binary with four workers."""

import pytest

from lib import http
from lib.net import connect, free_port
from lib.wait import wait_until

CONF = """
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ balance = "{algorithm}", backends = ( {backends} ), health = {{ type = "none" }} {pool} }} }}
"""

WORKERS = 4


def group(origin, **options):
    more = "".join(f", {k} = {v}" for k, v in options.items())
    return f'{{ name = "{origin.id}", address = "{origin.address}"{more} }}'


@pytest.fixture
def balance(ballast):
    """balance(algorithm, groups, pool=...): a running instance; .port is the listener's."""

    def start(algorithm, groups, pool=""):
        port = free_port()
        text = CONF.format(port=port, algorithm=algorithm, backends=", ".join(groups), pool=pool)
        b = ballast(text, workers=WORKERS)
        b.port = port
        return b

    return start


def send_and_wait(b, origins, held):
    """One request that stays in flight; returns when it is at an origin."""
    s = connect(b.port)
    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    held.append(s)
    wait_until(lambda: sum(o.waiting for o in origins) == len(held), what="the request to arrive")


@pytest.mark.parametrize("algorithm", ["round_robin", "weighted_round_robin", "least_connections",
                                       "weighted_least_connections"])
def test_equal_backends_take_turns(balance, origins, algorithm):
    three = origins(3)
    b = balance(algorithm, [group(o) for o in three])
    for _ in range(30):
        assert http.get(b.port).status == 200
    assert sum(o.count for o in three) == 30
    assert all(9 <= o.count <= 11 for o in three)


@pytest.mark.parametrize("algorithm", ["random", "power_of_two"])
def test_draws_reach_everybody(balance, origins, algorithm):
    three = origins(3)
    b = balance(algorithm, [group(o) for o in three])
    for _ in range(120):
        assert http.get(b.port).status == 200
    assert sum(o.count for o in three) == 120
    assert all(o.count >= 15 for o in three)  # 40 each on average, 5 standard deviations


def test_random_follows_weights(balance, origins):
    two = origins(2)
    b = balance("random", [group(two[0], weight=9), group(two[1], weight=1)])
    for _ in range(200):
        assert http.get(b.port).status == 200
    assert two[0].count + two[1].count == 200
    assert two[0].count > 150 and two[1].count > 1


def test_weighted_least_connections_counts_over_all_workers(balance, origins):
    two, held = origins(2), []
    b = balance("weighted_least_connections", [group(two[0], weight=3), group(two[1], weight=1)])
    for o in two:
        o.hold()
    for _ in range(12):
        send_and_wait(b, two, held)
    assert [o.waiting for o in two] == [9, 3]
    for o in two:
        o.release()
    for s in held:
        s.close()


def test_first_fills_in_order(balance, origins):
    three, held = origins(3), []
    b = balance("first", [group(o, max_connections=2) for o in three])
    for o in three:
        o.hold()
    for n in range(6):
        send_and_wait(b, three, held)
        assert [o.waiting for o in three] == [min(max(n + 1 - 2 * i, 0), 2) for i in range(3)]
    r = http.get(b.port)
    assert r.status == 503 and "limit" in r.text
    for o in three:
        o.release()
    for s in held:
        s.close()


def test_power_of_two_keeps_away_from_the_busy_one(balance, origins):
    two, held = origins(2), []
    b = balance("power_of_two", [group(o) for o in two])
    two[0].hold()
    while two[0].waiting < 3:
        s = connect(b.port)
        before = two[0].waiting + two[1].count
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        held.append(s)
        wait_until(lambda: two[0].waiting + two[1].count > before, what="the request to arrive")
    served = two[1].count
    while two[1].count < served + 8:
        s = connect(b.port)
        before = two[0].waiting + two[1].count
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        held.append(s)
        wait_until(lambda: two[0].waiting + two[1].count > before, what="the request to arrive")
    assert two[0].waiting < 16
    two[0].release()
    for s in held:
        s.close()
