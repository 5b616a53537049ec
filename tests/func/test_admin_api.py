"""The admin API end to end: what it says about a running balancer, and what its changes do to traffic in all workers."""

import json
import os
from signal import SIGCONT, SIGKILL, SIGSTOP
import subprocess

import pytest

from lib import http
from lib.net import free_port
from lib.wait import wait_until

STATS = {"total_requests", "successful_requests", "failed_requests", "success_rate", "active_connections",
         "average_response_time", "response_time", "requests_per_second", "total_servers", "healthy_servers",
         "server_details", "rate_limits", "workers"}
SERVER = {"id", "pool", "endpoint", "url", "status", "weight", "current_connections", "max_connections",
          "connection_utilization", "average_response_time", "response_time", "total_requests", "failed_requests",
          "circuit_breaker", "last_health_check"}


def conf(port, backends, extra=""):
    return f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {backends.list_text}, health = {{ interval = "200ms" }} }} }}
{extra}
"""


@pytest.fixture
def started(ballast, origins):
    """(instance, traffic port, origins): two backends, both checked."""
    port, two = free_port(), origins(2)
    b = ballast(conf(port, two))
    wait_until(lambda: b.admin("/lb/stats")["healthy_servers"] == 2)
    return b, port, two


def traffic(port, two, n=12):
    """How many of n requests each origin got; checks are told apart by their path."""
    before = [sum(r.path == "/x" for r in o.requests) for o in two]
    for _ in range(n):
        assert http.get(port, "/x").status == 200
    return [sum(r.path == "/x" for r in o.requests) - was for o, was in zip(two, before)]


def test_curl_understands_every_reading_endpoint(started):
    b, _, _ = started
    for path in ["/lb", "/lb/health", "/lb/stats", "/lb/backends", "/lb/config", "/lb/events", "/lb/pools", "/lb/listeners",
                 "/lb/workers", "/health", "/health/live", "/health/ready", "/health/detailed"]:
        done = subprocess.run(["curl", "-sS", "--fail", "--max-time", "10", f"http://127.0.0.1:{b.admin_port}{path}"],
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, (path, done.stderr)
        assert isinstance(json.loads(done.stdout), dict), path


def test_no_answer_says_a_name_twice(started):
    """JSON with the same name twice means whatever its reader likes."""
    b, port, _ = started
    http.get(port)

    def once(pairs):
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), (path, names)
        return dict(pairs)

    for e in b.admin("/lb")["endpoints"]:
        path = e["path"].replace("{id}", "app:" + b.admin("/lb/backends")["backends"][0]["name"])
        if e["method"] == "GET" and "{" not in path and path not in ("/", "/metrics"):
            json.loads(b.request("GET", path).text, object_pairs_hook=once)
    path = "problem"
    json.loads(b.request("POST", "/lb/backends/add", "{}").text, object_pairs_hook=once)


def test_stats_count_what_happened(started):
    b, port, two = started
    assert sum(traffic(port, two, 10)) == 10
    stats = wait_until(lambda: (s := b.admin("/lb/stats"))["total_requests"] == 10 and s)
    assert STATS <= set(stats)
    assert stats["successful_requests"] == 10 and stats["failed_requests"] == 0 and stats["success_rate"] == 1
    assert stats["total_servers"] == stats["healthy_servers"] == 2
    assert len(stats["workers"]) == 2 and all(w["state"] == "ready" for w in stats["workers"])
    for server in stats["server_details"]:
        assert SERVER <= set(server)
        assert server["total_requests"] == 5, "round robin is exact across workers"
        assert server["status"] == "healthy" and server["id"] == f"app:{server['name']}"
        assert 0 < server["response_time"]["p50"] <= server["response_time"]["p99"] < 5
        assert 0 < server["average_response_time"] < 5
    assert 0 < stats["average_response_time"] < 5
    wait_until(lambda: b.admin("/lb/stats")["requests_per_second"] > 0, what="the next sample of the totals")


def test_failures_are_counted_as_failures(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(port, one))
    one[0].stop()
    assert http.get(port).status in (502, 503)
    stats = wait_until(lambda: (s := b.admin("/lb/stats"))["failed_requests"] == 1 and s)
    assert stats["successful_requests"] == 0 and stats["success_rate"] == 0


def test_disable_enable_drain_act_in_all_workers(started):
    b, port, two = started
    first = b.admin("/lb/backends")["backends"][0]
    for verb, status in [("disable", "maintenance"), ("drain", "draining")]:
        assert b.admin(f"/lb/backends/{first['id']}/{verb}", "POST")["status"] == status
        assert traffic(port, two) == [0, 12]
        assert b.admin("/lb/stats")["healthy_servers"] == 1
    assert b.admin(f"/lb/backends/{first['name']}/enable", "POST")["status"] == "healthy"
    assert traffic(port, two) == [6, 6]


def test_the_last_backend_in_maintenance_makes_the_pool_unhealthy(started):
    b, port, _ = started
    for backend in b.admin("/lb/backends")["backends"]:
        b.admin(f"/lb/backends/{backend['id']}/disable", "POST")
    assert b.admin("/lb/health", status=503)["status"] == "unhealthy"
    assert b.admin("/health/ready", status=503)["checks"]["backends"]["status"] == "fail"
    assert http.get(port).status == 503


def test_added_backends_serve_and_removed_ones_stop(started, origin):
    b, port, two = started
    third = origin("b3")
    host, _, number = third.address.rpartition(":")
    response = b.request("POST", "/lb/backends/add", {"host": host, "port": int(number), "id": "b3"})
    assert response.status == 201
    made = response.json()
    assert made["id"] == "app:b3" and made["origin"] == "api" and response.header("Location") == "/lb/backends/app:b3"
    assert b.request("POST", "/lb/backends/add", {"host": host, "port": int(number), "id": "b3"}).status == 409
    assert b.request("POST", "/lb/backends/add", {"host": host, "port": int(number)}).status == 409
    b.wait_status("b3", "healthy")
    assert traffic(port, [*two, third]) == [4, 4, 4]
    generation = b.generation
    assert b.admin("/lb/backends/b3/remove", "DELETE")["removed"]
    assert traffic(port, [*two, third]) == [6, 6, 0]
    assert b.request("GET", "/lb/backends/b3").status == 404
    assert b.generation == generation, "membership is no generation"


def test_a_removed_backend_finishes_what_is_in_flight(started):
    b, port, two = started
    name, other = two[0].address, two[1].address
    b.admin(f"/lb/backends/{other}/disable", "POST")
    two[0].hold()
    with http.Client(port) as client:
        client.send(http.build_request("GET", "/held"))
        wait_until(lambda: b.backends()[name]["current_connections"] == 1)
        b.admin(f"/lb/backends/{other}/enable", "POST")
        assert b.admin(f"/lb/backends/{name}/remove", "DELETE")["in_flight"] == 1
        assert traffic(port, two[1:]) == [12]
        two[0].release()
        assert client.read().status == 200


def test_weights_change_the_split(ballast, origins):
    port, two = free_port(), origins(2)
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ balance = "weighted_round_robin", backends = {two.list_text} }} }}
""")
    for one in two:
        b.wait_status(one.address, "healthy")
    answer = b.admin(f"/lb/backends/{two[0].address}/weight", "POST", {"weight": 3})
    assert (answer["weight"], answer["configured_weight"]) == (3, 1)
    assert traffic(port, two) == [9, 3]
    b.admin(f"/lb/backends/{two[0].address}/weight", "POST", {"weight": None})
    assert traffic(port, two) == [6, 6]


@pytest.mark.parametrize("body, status", [
    ("", 400), ("{", 400), ("[]", 400), ('{"host":"127.0.0.1"}', 400), ('{"host":"127.0.0.1","port":"80"}', 400),
    ('{"host":"127.0.0.1","port":80,"port":81}', 400), ('{"host":"127.0.0.1","port":80,"colour":"red"}', 400),
    ('{"host":"127.0.0.1","port":80,"pool":"none"}', 404), ('{"host":"no-such-host.invalid","port":80}', 422)])
def test_bad_bodies_are_refused_with_a_reason(started, body, status):
    b, _, _ = started
    response = b.request("POST", "/lb/backends/add", body)
    assert response.status == status
    problem = response.json()
    assert response.header("Content-Type") == "application/problem+json"
    assert problem["status"] == status and problem["error"] and problem["type"].startswith("urn:ballast:problem:")
    assert b.admin("/lb/stats")["total_servers"] == 2


def test_events_tell_who_did_what(started):
    b, _, two = started
    last = b.admin("/lb/events?since=-1")["newest"]
    b.admin(f"/lb/backends/{two[0].address}/disable", "POST")
    event, = b.events(last)
    assert (event["kind"], event["object"], event["from"], event["to"]) == ("admin", f"app:{two[0].address}", "enabled", "maintenance")
    assert event["seq"] == last + 1 and "127.0.0.1" in event["reason"]


def test_events_can_be_waited_for(started):
    b, _, two = started
    last = b.admin("/lb/events?since=-1")["newest"]
    with http.Client(b.admin_port, host="127.0.0.1") as waiting:
        waiting.send(http.build_request("GET", f"/lb/events?since={last}&wait=30s", host="127.0.0.1"))
        b.admin(f"/lb/backends/{two[0].address}/drain", "POST")
        events = waiting.read().json()["events"]
        assert [e["to"] for e in events] == ["draining"]
        assert waiting.get(f"/lb/events?since={last + 1}&wait=50ms").json() == {"events": [], "last": last + 1, "newest": last + 1}


def test_reload_reports_changes_and_errors(started, origins):
    b, port, two = started
    generation = b.generation
    b.write(conf(port, type(two)(two[:1])))
    answer = b.admin("/lb/reload", "POST")
    assert answer["generation"] == generation + 1
    assert any(two[1].address in change for change in answer["changes"])
    assert list(b.backends()) == [two[0].address]
    b.write(conf(port, two, extra="nonsense = 1"))
    refused = b.admin("/lb/reload", "POST", status=422)
    assert any("nonsense" in error and "ballast.conf:" in error for error in refused["errors"])
    assert b.generation == generation + 1


def test_everybody_who_asks_for_a_reload_is_answered(started):
    b, _, _ = started
    clients = [http.Client(b.admin_port, host="127.0.0.1") for _ in range(8)]
    os.kill(b.pid, SIGSTOP)  # so that they meet each other
    try:
        for client in clients:
            client.send(http.build_request("POST", "/lb/reload", body=b"", host="127.0.0.1"))
        assert b.admin("/health/live")["status"] == "alive"  # behind all of them
    finally:
        os.kill(b.pid, SIGCONT)
    answers = [client.read() for client in clients]
    for client in clients:
        client.close()
    assert [a.status for a in answers] == [200] * 8
    assert len({a.json()["generation"] for a in answers}) <= 3, "those who wait share a reload"


def test_the_api_lives_while_workers_are_dead(started):
    b, _, _ = started
    for pid in b.worker_pids.values():
        os.kill(pid, SIGKILL)
    assert b.admin("/lb/stats")["total_servers"] == 2
    assert b.admin("/health/live")["status"] == "alive"
    wait_until(lambda: b.admin("/lb/health")["workers"] == 2)
    wait_until(lambda: sum(w["restarts"] for w in b.admin("/lb/workers")["workers"]) == 2)


def test_the_api_survives_its_own_death(started):
    b, port, two = started
    b.admin(f"/lb/backends/{two[0].address}/disable", "POST")
    os.kill(b.table["admin"], SIGKILL)
    wait_until(lambda: b.admin("/health/live")["status"] == "alive")
    assert b.backends()[two[0].address]["status"] == "maintenance", "what was said is in the table"
    assert traffic(port, two) == [0, 12]


def test_the_configuration_hides_the_token(ballast, origins, tmp_path):
    port, admin_port, one = free_port(), free_port(), origins(1)
    token_file = tmp_path / "token"
    token_file.write_text("a-secret-token\n")
    b = ballast(conf(port, one, f'admin = {{ bind = "127.0.0.1:{admin_port}", token_file = "{token_file}" }}'),
                admin_port=admin_port)
    assert "a-secret-token" not in b.request("GET", "/lb/config").text
    assert b.admin("/lb/config")["pools"]["app"]["balance"] == "round_robin"
    assert b.request("POST", f"/lb/backends/{one[0].address}/disable").status == 401
    b.token = "wrong"
    assert b.request("POST", f"/lb/backends/{one[0].address}/disable").header("WWW-Authenticate").startswith("Bearer")
    b.token = "a-secret-token"
    assert b.admin(f"/lb/backends/{one[0].address}/disable", "POST")["status"] == "maintenance"
