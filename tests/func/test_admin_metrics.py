"""GET /metrics as Prometheus' own parsers read it."""

import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from lib import http, tls
from lib.net import free_port
from lib.wait import wait_until

OPENMETRICS = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
PROMISED = {
    "ballast_up": set(), "ballast_build_info": {"version"}, "ballast_generation": set(), "ballast_workers": set(),
    "ballast_connections": {"listener"}, "ballast_requests_total": {"listener", "code"},
    "ballast_request_duration_seconds_bucket": {"listener", "le"}, "ballast_backend_up": {"pool", "backend"},
    "ballast_backend_connections": {"pool", "backend"}, "ballast_backend_requests_total": {"pool", "backend", "code"},
    "ballast_backend_response_seconds_bucket": {"pool", "backend", "le"}, "ballast_backend_retries_total": {"pool", "backend"},
    "ballast_backend_health_checks_total": {"pool", "backend", "result"}, "ballast_worker_restarts_total": set(),
    "ballast_reloads_total": {"result"},
}


@pytest.fixture
def started(ballast, origins):
    port, two = free_port(), origins(2)
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = ( {{ name = "b1", address = "{two[0].address}" }}, {{ name = "b2", address = "{two[1].address}" }} ) }} }}
""")
    wait_until(lambda: b.admin("/lb/stats")["healthy_servers"] == 2)  # before that, who is checked first gets all
    for _ in range(10):
        assert http.get(port).status == 200
    wait_until(lambda: b.metrics()['ballast_request_duration_seconds_count{listener="web"}'] == 10, what="all of them in the books")
    wait_until(lambda: b.metrics()['ballast_connections{listener="web"}'] == 0, what="their connections closed")
    return b, port


def samples(b, accept):
    response = b.request("GET", "/metrics", headers={"Accept": accept})
    assert response.status == 200
    openmetrics = response.header("Content-Type").startswith("application/openmetrics-text")
    families = list((parse_openmetrics if openmetrics else parse_classic)(response.text))
    assert len({f.name for f in families}) == len(families), "one family each"
    assert all(f.documentation for f in families) and all(f.type in ("gauge", "counter", "histogram") for f in families)
    return [s for f in families for s in f.samples], openmetrics


def value(found, name, **labels):
    matching = [s.value for s in found if s.name == name and labels.items() <= s.labels.items()]
    return sum(matching) if matching else None


@pytest.mark.parametrize("accept, openmetrics", [("*/*", False), ("text/plain;version=0.0.4", False), (OPENMETRICS, True)])
def test_both_formats_parse_and_hold_what_is_promised(started, accept, openmetrics):
    b, _ = started
    found, got = samples(b, accept)
    assert got == openmetrics
    for name, labels in PROMISED.items():
        matching = [s for s in found if s.name == name]
        assert matching, name
        assert all(set(s.labels) == labels for s in matching), name
    assert value(found, "ballast_requests_total", listener="web", code="2xx") == 10
    assert value(found, "ballast_backend_requests_total", pool="app", backend="b1") == 5
    assert value(found, "ballast_workers") == 2


def test_histograms_add_up(started):
    b, _ = started
    found, _ = samples(b, "*/*")
    for name, total, labels in [("ballast_request_duration_seconds", 10, {"listener": "web"}),
                                ("ballast_backend_response_seconds", 5, {"pool": "app", "backend": "b2"})]:
        buckets = [(float(s.labels["le"]), s.value) for s in found if s.name == name + "_bucket" and labels.items() <= s.labels.items()]
        assert [le for le, _ in buckets] == [.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, float("inf")]
        assert [n for _, n in buckets] == sorted(n for _, n in buckets)
        assert buckets[-1][1] == value(found, name + "_count", **labels) == total
        assert value(found, name + "_sum", **labels) > 0


def test_metrics_follow_what_happens(started):
    b, port = started
    b.admin("/lb/backends/b1/disable", "POST")
    found, _ = samples(b, "*/*")
    assert value(found, "ballast_backend_up", backend="b1") == 0 and value(found, "ballast_backend_up", backend="b2") == 1
    assert value(found, "ballast_pool_backends", pool="app", status="maintenance") == 1
    with http.Client(port) as client:
        assert client.get().status == 200
        found, _ = samples(b, "*/*")
        assert value(found, "ballast_connections", listener="web") == 1
    before = value(found, "ballast_reloads_total", result="ok")
    b.reload()
    assert value(samples(b, "*/*")[0], "ballast_reloads_total", result="ok") == before + 1


def test_strange_names_stay_one_label(started):
    b, _ = started
    name = "a{b}=c,d'#"
    assert b.request("POST", "/lb/backends/add", {"host": "127.0.0.1", "port": 1, "id": name}).status == 201
    for accept in ["*/*", OPENMETRICS]:
        found, _ = samples(b, accept)
        assert value(found, "ballast_backend_weight", backend=name) == 1


def test_certificates_say_when_they_expire(ballast, origins, tmp_path):
    ca, one, ports = tls.Authority(tmp_path / "ca"), origins(1), [free_port(), free_port()]
    soon, later = ca.issue("soon", ["soon.test"], days=3), ca.issue("later", ["later.test"], days=100)
    long = tmp_path / ("d" * 120) / "it's \"x\".crt"
    long.parent.mkdir()
    long.write_bytes(open(soon[0], "rb").read())

    def text(*pairs):
        certificates = ", ".join(f"""{{ cert = "{str(c).replace('"', chr(92) + '"')}", key = "{k}" }}""" for c, k in pairs)
        return f"""
listeners = {{ plain = {{ bind = "127.0.0.1:{ports[0]}", pool = "app" }}
  safe = {{ bind = "127.0.0.1:{ports[1]}", pool = "app", tls = {{ certificates = ( {certificates} ) }} }} }}
pools = {{ app = {{ backends = {one.list_text} }} }}
"""

    def days():
        found = [f for f in parse_classic(b.request("GET", "/metrics").text)
                 if f.name == "ballast_certificate_expires_seconds"]
        return {s.labels["certificate"]: round((s.value - time.time()) / 86400) for f in found for s in f.samples}

    b = ballast(text(soon, later, (str(long), soon[1])))
    seen = days()
    assert seen == {soon[0][-90:]: 3, later[0][-90:]: 100, str(long)[-90:]: 3}
    b.reload(text(later))
    assert days() == {later[0][-90:]: 100}
    b.reload(text(later, later))
    assert days() == {later[0][-90:]: 100}, "one series each"
