"""What stands behind the "?" of the admin API: parts of long lists, and questions that it does not understand."""

import pytest

from lib.net import free_port

MANY = 60


@pytest.fixture
def many(ballast):
    """An instance with a pool of 60 backends that nobody asks, and one of 2."""
    app = ", ".join(f'"127.1.0.{i}:9"' for i in range(1, MANY + 1))
    return ballast(f'''listeners = {{ web = {{ bind = "127.0.0.1:{free_port()}", pool = "app" }} }}
        pools = {{ app = {{ backends = [ {app} ], health = {{ type = "none" }} }}
                   other = {{ backends = [ "127.2.0.1:9", "127.2.0.2:9" ], health = {{ type = "none" }} }} }}''')


def ids(rows):
    return [row["id"] for row in rows]


@pytest.mark.parametrize("path, rows, total", [("/lb/backends", "backends", "total"),
                                               ("/lb/stats", "server_details", "matching_servers")])
def test_a_long_list_comes_in_parts(many, path, rows, total):
    whole = many.admin(path)
    assert len(whole[rows]) == whole[total] == MANY + 2
    seen = []
    for offset in range(0, MANY + 2, 25):
        part = many.admin(f"{path}?limit=25&offset={offset}")
        assert part[total] == MANY + 2 and len(part[rows]) <= 25
        seen += ids(part[rows])
    assert seen == ids(whole[rows])
    assert ids(many.admin(f"{path}?pool=other")[rows]) == ["other:127.2.0.1:9", "other:127.2.0.2:9"]
    one = many.admin(f"{path}?offset=1&pool=other&limit=7")
    assert ids(one[rows]) == ["other:127.2.0.2:9"] and one[total] == 2
    for nothing in ("limit=0", "offset=62", "offset=1000000&limit=1000000"):
        assert many.admin(f"{path}?{nothing}")[rows] == []


def test_totals_do_not_depend_on_the_part(many):
    part = many.admin("/lb/stats?pool=other&limit=1")
    assert part["total_servers"] == MANY + 2 and len(part["server_details"]) == 1 and part["workers"]


def test_pools_come_in_parts(many):
    assert [p["name"] for p in many.admin("/lb/pools")["pools"]] == ["app", "other"]
    assert [p["name"] for p in many.admin("/lb/pools?pool=other")["pools"]] == ["other"]
    part = many.admin("/lb/pools?limit=1&offset=1")
    assert [p["name"] for p in part["pools"]] == ["other"] and part["total"] == 2


@pytest.mark.parametrize("query, says", [
    ("?pol=app", 'unknown query parameter "pol", did you mean "pool"?'),
    ("?limit=3&xyzzy=1", 'unknown query parameter "xyzzy": this endpoint takes pool limit offset'),
    ("?limit=-1", "limit must be a whole number from 0 to 1000000"),
    ("?limit=", "limit must be"),
    ("?limit=0x10", "limit must be"),
    ("?limit=99999999999999999999", "limit must be"),
    ("?offset=1.5", "offset must be"),
    ("?limit=1&limit=2", 'query parameter "limit" is there twice'),
    ("?%6cimit=1", "unknown query parameter"),
    ("?=1&" + "x" * 300, "unknown query parameter"),
])
def test_what_is_not_understood_is_refused(many, query, says):
    for path in ("/lb/backends", "/lb/stats", "/lb/pools"):
        answer = many.request("GET", path + query)
        assert answer.status == 400 and says in answer.json()["error"], answer.text


def test_no_such_pool(many):
    for path in ("/lb/backends", "/lb/stats", "/lb/pools"):
        assert many.request("GET", path + "?pool=nobody").status == 404


def test_endpoints_without_parameters_say_so(many):
    name = "app:127.1.0.1:9"
    for method, path in [("GET", "/lb/config"), ("GET", "/lb/events"), ("GET", f"/lb/backends/{name}"), ("GET", "/lb"),
                         ("POST", f"/lb/backends/{name}/enable"), ("DELETE", f"/lb/backends/{name}/remove")]:
        assert many.request(method, path + "?nwo=1").status == 400, path
    assert "this endpoint takes none" in many.request("GET", "/lb/config?all=1").json()["error"]
    assert 'did you mean "now"' in many.request("DELETE", f"/lb/backends/{name}/remove?nwo=1").json()["error"]
    assert many.backends()["127.1.0.1:9"]["mode"] == "enabled", "nothing was done"


def test_empty_parameters_are_no_parameters(many):
    for query in ("?", "?&", "?&&limit=1&"):
        assert many.request("GET", "/lb/backends" + query).status == 200


def test_probes_and_scrapers_may_add_what_they_like(many):
    for path in ("/health", "/health/live", "/health/ready", "/health/detailed", "/metrics", "/"):
        assert many.request("GET", path + "?cache=123&x").status == 200, path
