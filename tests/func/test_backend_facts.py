"""What the API says about one backend beyond counts: since when it is there, and what its last check met."""

from datetime import datetime, timezone

from lib.net import free_port
from lib.origin import reply
from lib.wait import wait_until

CONF = """listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{backend}" ], health = {{ type = "{type}", interval = "100ms", timeout = "1s" }} }} }}"""


def only(b):
    return b.admin("/lb/backends")["backends"][0]


def seconds(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()


def test_what_the_last_check_met(ballast, origin):
    o, port, before = origin(), free_port(), datetime.now(timezone.utc).timestamp()
    b = ballast(CONF.format(port=port, backend=o.address, type="http"))
    fine = wait_until(lambda: (x := only(b))["last_health_check_status"] == 200 and x, what="a check")
    assert fine["last_health_check_error"] is None
    assert before - 1 <= seconds(fine["created_at"]) <= datetime.now(timezone.utc).timestamp() + 1
    o.script["/health"] = reply(503, "no")
    wait_until(lambda: (x := only(b))["last_health_check_status"] == 503 and x["status"] == "unhealthy", what="a failure")
    o.stop()
    gone = wait_until(lambda: (x := only(b))["last_health_check_error"] and x, what="a refusal")
    assert gone["last_health_check_error"] == "Connection refused" and gone["last_health_check_status"] is None
    assert b.admin("/lb/stats")["server_details"][0]["last_health_check_error"] == "Connection refused"
    b.admin("/lb/reload", "POST")
    assert only(b)["created_at"] == fine["created_at"], "a reload makes no new backend"


def test_without_checks_nothing_is_claimed(ballast):
    b = ballast(CONF.format(port=free_port(), backend="127.0.0.1:9", type="none"))
    x = only(b)
    assert x["last_health_check"] is x["last_health_check_status"] is x["last_health_check_error"] is None


def test_the_host_is_looked_at(ballast):
    b = ballast(CONF.format(port=free_port(), backend="127.0.0.1:9", type="none"))
    checks = b.admin("/health/detailed")["checks"]
    for name in ("memory", "disk"):
        assert checks[name]["status"] in ("pass", "fail") and checks[name]["time_ms"] >= 0
        assert ("error" in checks[name]) == (checks[name]["status"] == "fail")
