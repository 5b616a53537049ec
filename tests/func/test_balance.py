"""Every balancing algorithm through the real binary with four workers."""

import math

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


@pytest.mark.parametrize("algorithm", ["least_response_time", "fastest_response"])
def test_the_fastest_gets_the_requests_and_one_that_was_slow_is_asked_again(balance, origins, algorithm):
    three = origins(3, delay_s=0.1)
    three[1].delay_s = 0
    b = balance(algorithm, [group(o) for o in three])

    def each_was_asked():
        assert http.get(b.port).status == 200
        return all(o.count for o in three)

    wait_until(each_was_asked, what="all of them to be measured")
    before = three[1].count
    for _ in range(60):
        assert http.get(b.port).status == 200
    assert three[1].count - before >= 40
    for o in three:
        o.delay_s = 0
    seen = three[0].count

    def asked_again():
        assert http.get(b.port).status == 200
        return three[0].count >= seen + 3

    wait_until(asked_again, 30, what="the backend that was slow to get requests again")


def test_least_response_time_by_connect_time_with_tcp(ballast, tcp_echo):
    two = [tcp_echo(), tcp_echo()]
    port = free_port()
    ballast(f"""
listeners = {{ db = {{ bind = "127.0.0.1:{port}", protocol = "tcp", pool = "db" }} }}
pools = {{ db = {{ balance = "least_response_time", backends = [ "{two[0].address}", "{two[1].address}" ],
                  health = {{ type = "none" }} }} }}
""", workers=WORKERS)
    for _ in range(10):
        with connect(port) as s:
            s.sendall(b"x")
            assert s.recv(1) == b"x"
    assert all(o.accepted >= 1 for o in two)


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


def ask(b, path="/", headers=()):
    """Who answered."""
    r = http.get(b.port, path, headers=list(headers))
    assert r.status == 200
    return r.text


@pytest.mark.parametrize("algorithm", ["ip_hash", "consistent_hash", "maglev"])
def test_a_client_keeps_its_backend(balance, origins, algorithm):
    three = origins(3)
    b = balance(algorithm, [group(o) for o in three])
    assert len({ask(b, f"/{n}") for n in range(20)}) == 1
    assert sorted(o.count for o in three) == [0, 0, 20]


def test_url_hash_goes_by_path_and_query(balance, origins):
    three = origins(3)
    b = balance("url_hash", [group(o) for o in three])
    first = [ask(b, f"/page?n={n}") for n in range(40)]
    assert len(set(first)) == 3
    assert [ask(b, f"/page?n={n}") for n in range(40)] == first


@pytest.mark.parametrize("algorithm", ["consistent_hash", "maglev"])
@pytest.mark.parametrize("key, of", [
    ("uri", lambda n: (f"/?{n}", [])),
    ("path", lambda n: (f"/{n}?{n % 7}", [])),
    ("host", lambda n: ("/", [("Host", f"h{n}.Example")])),
    ("header:X-Tenant", lambda n: ("/", [("x-tenant", f"t{n}")])),
    ("cookie:sid", lambda n: ("/", [("Cookie", f"a=b; sid=s{n}; c=d")])),
])
def test_hash_key(balance, origins, algorithm, key, of):
    three = origins(3)
    b = balance(algorithm, [group(o) for o in three], pool=f', hash_key = "{key}"')
    first = [ask(b, *of(n)) for n in range(40)]
    assert len(set(first)) == 3
    assert [ask(b, *of(n)) for n in range(40)] == first


def test_a_part_that_is_not_the_key_moves_nobody(balance, origins):
    three = origins(3)
    b = balance("maglev", [group(o) for o in three], pool=', hash_key = "cookie:sid"')
    assert len({ask(b, f"/{n}", [("Cookie", f"other=s{n}; sid=1; xsid=s{n}")]) for n in range(20)}) == 1
    assert len({ask(b, f"/{n}", [("Cookie", f"other=s{n}")]) for n in range(20)}) == 1  # by the address


@pytest.mark.parametrize("algorithm", ["consistent_hash", "maglev"])
def test_keys_of_a_backend_out_of_service_return(balance, origins, algorithm):
    three = origins(3)
    b = balance(algorithm, [group(o) for o in three], pool=', hash_key = "uri"')
    before = [ask(b, f"/{n}") for n in range(60)]
    out = three[1].id
    b.admin(f"/lb/backends/{out}/disable", "POST")
    during = [ask(b, f"/{n}") for n in range(60)]
    assert out not in during and set(during) == {three[0].id, three[2].id}
    assert all(d == w for d, w in zip(during, before) if w != out)
    b.admin(f"/lb/backends/{out}/enable", "POST")
    assert [ask(b, f"/{n}") for n in range(60)] == before


def test_a_removed_backend_moves_only_its_own_keys(balance, origins):
    three = origins(3)
    b = balance("consistent_hash", [group(o) for o in three], pool=', hash_key = "uri"')
    before = [ask(b, f"/{n}") for n in range(60)]
    b.admin(f"/lb/backends/{three[0].id}/remove", "DELETE")
    after = [ask(b, f"/{n}") for n in range(60)]
    assert three[0].id not in after
    assert all(a == w for a, w in zip(after, before) if w != three[0].id)


@pytest.mark.parametrize("algorithm", ["consistent_hash", "maglev", "url_hash", "ip_hash"])
def test_max_load_bounds_a_hot_key_over_all_workers(balance, origins, algorithm):
    three, held = origins(3), []
    b = balance(algorithm, [group(o) for o in three], pool=", max_load = 1.25")
    for o in three:
        o.hold()
    for n in range(1, 25):  # one client, one path: one key
        send_and_wait(b, three, held)
        most = math.ceil(1.25 * n / 3)
        assert max(o.waiting for o in three) <= most
    assert min(o.waiting for o in three) >= 4
    for o in three:
        o.release()
    for s in held:
        s.close()


def test_max_load_is_exact_when_many_come_at_once(balance, origins):
    three = origins(3)
    b = balance("consistent_hash", [group(o) for o in three], pool=", max_load = 1.25")
    for o in three:
        o.hold()
    socks = [connect(b.port) for _ in range(60)]
    for s in socks:
        s.sendall(b"GET /hot HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: sum(o.waiting for o in three) == 60, what="all requests to arrive")
    assert max(o.waiting for o in three) <= math.ceil(1.25 * 60 / 3)
    for o in three:
        o.release()
    for s in socks:
        s.close()


@pytest.mark.parametrize("algorithm", ["weighted_round_robin", "least_connections", "weighted_least_connections"])
def test_slow_start_gives_a_returning_backend_little_at_first(balance, origins, algorithm):
    two = origins(2)
    groups = [group(o) for o in two]
    b = balance(algorithm, groups)

    def reload(pool=""):
        b.reload(CONF.format(port=b.port, algorithm=algorithm, backends=", ".join(groups), pool=pool))

    reload(', slow_start = "1h"')  # of those that serve already nobody begins again
    for _ in range(20):
        assert http.get(b.port).status == 200
    assert [o.count for o in two] == [10, 10]
    b.admin(f"/lb/backends/{two[0].id}/disable", "POST")
    b.admin(f"/lb/backends/{two[0].id}/enable", "POST")
    for _ in range(66):
        assert http.get(b.port).status == 200
    assert 11 <= two[0].count <= 13  # 1/32 against 1: two of 66
    reload()
    counts = [o.count for o in two]
    for _ in range(20):
        assert http.get(b.port).status == 200
    assert [o.count - c for o, c in zip(two, counts)] == [10, 10]


def test_a_slow_start_ends(balance, origins):
    two = origins(2)
    b = balance("weighted_round_robin", [group(o) for o in two], pool=', slow_start = "500ms"')
    b.admin(f"/lb/backends/{two[0].id}/disable", "POST")
    b.admin(f"/lb/backends/{two[0].id}/enable", "POST")

    def equal():
        counts = [o.count for o in two]
        for _ in range(8):
            assert http.get(b.port).status == 200
        return [o.count - c for o, c in zip(two, counts)] == [4, 4]

    wait_until(equal, what="equal shares")


def test_a_reload_changes_the_algorithm(balance, origins):
    three = origins(3)
    groups = [group(o) for o in three]
    b = balance("round_robin", groups)

    def reload(algorithm):
        b.reload(CONF.format(port=b.port, algorithm=algorithm, backends=", ".join(groups), pool=', hash_key = "uri"'))

    assert len({ask(b, "/x") for _ in range(6)}) == 3
    for algorithm in ("consistent_hash", "maglev"):
        reload(algorithm)
        placed = [ask(b, f"/{n}") for n in range(30)]
        assert len(set(placed)) == 3
        assert [ask(b, f"/{n}") for n in range(30)] == placed
    reload("round_robin")
    assert len({ask(b, "/x") for _ in range(6)}) == 3
