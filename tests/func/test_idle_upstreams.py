"""Idle connections to backends: those of a backend that was removed go, the others stay."""

from lib import http
from lib.net import free_port
from lib.wait import wait_until


def start(ballast, two):
    port = free_port()
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {two.list_text}, keepalive = 100, health = {{ type = "none" }} }} }}
""", workers=1)
    b.port = port
    return b


def fill(b, two, each):
    """So many idle connections to each."""
    for o in two:
        o.hold()
    made = [http.Client(b.port) for _ in range(2 * each)]
    for c in made:
        c.send(http.build_request("GET", "/"))
    wait_until(lambda: [o.waiting for o in two] == [each, each], what="requests at the origins")
    for o in two:
        o.release()
    for c in made:
        assert c.read().status == 200
        c.close()
    assert [o.open for o in two] == [each, each]


def test_of_a_removed_backend(ballast, origins):
    two = origins(2)
    b = start(ballast, two)
    fill(b, two, 8)
    b.admin(f"/lb/backends/{two[0].address}/remove", "DELETE")
    wait_until(lambda: two[0].open == 0, what="none to the removed one")
    assert two[1].open == 8
    http.get(b.port)
    assert two[1].accepted == 8, "kept, and used"


def test_that_becomes_idle_after_the_removal(ballast, origins):
    two = origins(2)
    b = start(ballast, two)
    name = two[0].address
    two[0].hold()
    with http.Client(b.port) as one, http.Client(b.port) as other:
        one.send(http.build_request("GET", "/"))
        other.send(http.build_request("GET", "/"))
        wait_until(lambda: two[0].waiting == 1, what="a request at the origin")
        b.admin(f"/lb/backends/{name}/remove", "DELETE")
        wait_until(lambda: name not in b.backends())
        two[0].release()
        assert one.read().status == 200 and other.read().status == 200
        wait_until(lambda: two[0].open == 0, what="its connection is closed")
        assert two[1].open == 1
