"""Three layers of truth: what the file says, what the API overrode, what is observed; and what survives."""

import os
import signal

import pytest

from lib import http
from lib.net import free_port, listening
from lib.wait import wait_until


def conf(port, backends, weight=1, extra=""):
    rows = ", ".join(f'{{ name = "b{i + 1}", address = "{o.address}", weight = {weight} }}' for i, o in enumerate(backends))
    return f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = ( {rows} ) }} }}
{extra}
"""


def restart(ballast, old, text):
    """Another instance with the state file of the old one."""
    old.stop()
    return ballast(text + f'\nstate_file = "{old.state_path}"\n')


def saved(b, word):
    return wait_until(lambda: word in open(b.state_path, encoding="utf-8").read(), what=f"{word} in the state file")


def test_three_layers(ballast, origins):
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two, weight=3))
    one = b.admin("/lb/backends/b1")
    assert one["configured"]["weight"] == 3 and one["configured"]["mode"] == "enabled" and one["override"] == {}
    one = b.admin("/lb/backends/b1/weight", "POST", {"weight": 7})
    assert (one["weight"], one["configured"]["weight"]) == (7, 3)
    one = b.admin("/lb/backends/b1/drain", "POST")
    assert one["override"]["weight"]["value"] == 7 and one["override"]["weight"]["call"] == "weight"
    assert one["override"]["mode"]["value"] == "draining" and one["override"]["mode"]["call"] == "drain"
    assert "127.0.0.1:" in one["override"]["mode"]["by"] and one["override"]["mode"]["at"].endswith("Z")
    assert one["observed"]["status"] == "draining" and not one["observed"]["takes_requests"]
    one = b.admin("/lb/backends/b1/overrides", "DELETE")
    assert one["override"] == {} and one["weight"] == 3 and one["mode"] == "enabled"
    assert [e["to"] for e in b.events() if e["kind"] == "admin"][-1] == "configured"


def test_if_match(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one))
    tag = b.request("GET", "/lb/backends/b1").header("ETag")
    assert b.request("GET", "/lb/backends/b1").header("ETag") == tag, "the same while nothing changes"

    def weight(n, match):
        return b.request("POST", "/lb/backends/b1/weight", {"weight": n}, {"If-Match": match})

    first = weight(5, tag)
    assert first.status == 200 and first.header("ETag") != tag
    stale = weight(6, tag)
    assert stale.status == 412 and stale.header("ETag") == first.header("ETag") and "error" in stale.json()
    assert b.backends()["b1"]["weight"] == 5
    assert weight(6, f'"other", {first.header("ETag")}').status == 200
    assert weight(7, "*").status == 200
    assert weight(8, f'W/{b.request("GET", "/lb/backends/b1").header("ETag")}').status == 412, "a weak tag proves nothing"
    assert weight(8, "").status == 412
    for path, method in (("disable", "POST"), ("overrides", "DELETE"), ("remove", "DELETE")):
        assert b.request(method, f"/lb/backends/b1/{path}", headers={"If-Match": '"x"'}).status == 412, path
    config = b.request("GET", "/lb/config").header("ETag")
    assert b.request("POST", "/lb/reload", headers={"If-Match": '"g0"'}).status == 412
    assert b.request("POST", "/lb/reload", headers={"If-Match": config}).status == 200


def test_overrides_and_added_backends_survive_a_restart(ballast, origins):
    port, three = free_port(), origins(3)
    two = three[:2]
    b = ballast(conf(port, two))
    b.admin("/lb/backends/b1/weight", "POST", {"weight": 9})
    b.admin("/lb/backends/b2/disable", "POST")
    b.admin("/lb/backends/add", "POST", {"host": "127.0.0.1", "port": three[2].port, "id": "b9", "weight": 4}, status=201)
    b.admin("/lb/backends/b9/weight", "POST", {"weight": 2})
    before = b.backends()
    saved(b, "b9 weight 2")
    assert os.stat(b.state_path).st_mode & 0o777 == 0o600
    b = restart(ballast, b, conf(port, two))
    after = b.backends()
    assert list(after) == list(before)
    for name, backend in after.items():
        assert backend["override"] == before[name]["override"], "who, when and by what call included"
        assert backend["configured"] == before[name]["configured"]
        assert backend["origin"] == before[name]["origin"]
    assert after["b9"]["weight"] == 2 and after["b9"]["configured"]["weight"] == 4
    wait_until(lambda: all(b.backends()[name]["health"] == "healthy" for name in ("b1", "b9")), what="their first checks")
    assert {http.get(port).text for _ in range(20)} == {"b1", "b3"}
    assert "brought back" in b.log()


def test_what_changed_just_before_the_stop_is_kept(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one))
    b.admin("/lb/backends/b1/weight", "POST", {"weight": 9})
    b = restart(ballast, b, conf(port, one))
    assert b.backends()["b1"]["weight"] == 9


def test_a_killed_master_has_written_it(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one))
    b.admin("/lb/backends/b1/drain", "POST")
    saved(b, "draining")
    b.expect_crash = True
    os.kill(b.pid, signal.SIGKILL)
    b.wait()
    wait_until(lambda: not listening(port), what="its workers to leave the port")
    again = ballast(conf(port, one) + f'\nstate_file = "{b.state_path}"\n')
    assert again.backends()["b1"]["mode"] == "draining"


def test_the_file_wins_where_it_changed_while_nobody_ran(ballast, origins):
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two))
    b.admin("/lb/backends/b1/weight", "POST", {"weight": 9})
    b.admin("/lb/backends/b1/disable", "POST")
    saved(b, "maintenance")
    b = restart(ballast, b, conf(port, two, weight=5))
    one = b.backends()["b1"]
    assert one["weight"] == 5 and "weight" not in one["override"]
    assert one["mode"] == "maintenance", "the file says nothing of it"
    assert "the file says something else" in b.log()


def test_a_reload_says_who_wins(ballast, origins):
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two))
    b.admin("/lb/backends/b1/weight", "POST", {"weight": 9})
    b.admin("/lb/backends/b2/drain", "POST")
    answer = b.admin("/lb/reload", "POST")
    assert answer["changes"] == []
    assert answer["overrides"] == ["pool app: backend b1: weight: the override 9 stays, the file says 1",
                                   "pool app: backend b2: mode: the override draining stays"]
    assert b.backends()["b1"]["weight"] == 9
    b.write(conf(port, two, weight=4))
    answer = b.admin("/lb/reload", "POST")
    assert "pool app: backend b1: weight: 1 -> 4" in answer["changes"]
    assert answer["overrides"][0] == "pool app: backend b1: weight: the file changes it from 1 to 4: the override 9 ends"
    assert b.backends()["b1"]["weight"] == 4 and b.backends()["b1"]["override"] == {}
    assert b.backends()["b2"]["mode"] == "draining"


def test_a_removed_backend_of_the_file_comes_back_and_is_told(ballast, origins):
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two))
    b.admin("/lb/backends/b1/remove", "DELETE")
    answer = b.admin("/lb/reload", "POST")
    assert answer["overrides"] == ["pool app: backend b1: the API removed it, the file has it: it comes back"]
    assert sorted(b.backends()) == ["b1", "b2"]


DAMAGED = [b"", b"garbage\n", b"ballast-state 1\n", b"ballast-state 1\nend 0 0000000000000000\n", b"\0" * 100, b"ballast-state 2\nend 0 0\n"]


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_set_aside(ballast, origins, tmp_path, content):
    path = tmp_path / "state"
    path.write_bytes(content)
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one, extra=f'state_file = "{path}"'))
    assert http.get(port).status == 200
    assert "damaged and was set aside" in b.log() and not path.exists()
    assert (tmp_path / "state.damaged").read_bytes() == content
    b.admin("/lb/backends/b1/weight", "POST", {"weight": 3})
    wait_until(path.exists)


@pytest.mark.parametrize("kind", ["directory", "fifo", "missing directory"])
def test_a_file_that_cannot_be_used_is_one_warning(ballast, origins, tmp_path, kind):
    path = tmp_path / ("gone/state" if kind == "missing directory" else "state")
    if kind == "directory":
        path.mkdir()
        (path / "full").touch()
    if kind == "fifo":
        os.mkfifo(path)
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one, extra=f'state_file = "{path}"'))
    for n in range(1, 4):
        b.admin("/lb/backends/b1/weight", "POST", {"weight": n})
    if kind != "fifo":  # which is replaced
        wait_until(lambda: "cannot write the state file" in b.log())
        wait_until(lambda: any(e["kind"] == "state" and e["to"] == "unwritable" for e in b.events()))
    assert http.get(port).status == 200
    assert b.log().count("cannot write the state file") == (kind != "fifo")


def test_no_state_file(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one, extra='state_file = ""'))
    b.admin("/lb/backends/b1/weight", "POST", {"weight": 3})
    b.reload()
    assert not os.path.exists(b.state_path)


def test_nothing_to_keep_makes_no_file(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one))
    b.reload()
    b.stop()
    assert not os.path.exists(b.state_path)
