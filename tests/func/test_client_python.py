"""The Python binding of the client library (client/ballast_client.py)."""

import http.client
import importlib.util
import os

import pytest

from lib.ballast import ROOT, binary, sanitized
from lib.net import free_port
from lib.wait import wait_until

pytestmark = pytest.mark.skipif(sanitized(), reason="a sanitized library cannot be loaded into this interpreter")


@pytest.fixture
def binding(monkeypatch):
    monkeypatch.setenv("BALLAST_CLIENT_LIBRARY", os.path.join(os.path.dirname(binary()), "libballast-client.so"))
    spec = importlib.util.spec_from_file_location("ballast_client", os.path.join(ROOT, "client", "ballast_client.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def instance(ballast, origins):
    port = free_port()
    b = ballast(f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ balance = "round_robin", backends = {origins(2).list_text}, health = {{ type = "none" }} }} }}
""")
    b.port = port
    return b


def get(pick):
    connection = http.client.HTTPConnection(*pick.address, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer


def test_requests_go_to_the_backends(binding, instance):
    with binding.Client(instance.conf_path) as client:
        answers = []
        for _ in range(4):
            with client.request("app", key="/x") as pick:
                assert pick.result == binding.OK and pick.endpoint == "%s:%d" % pick.address
                answers.append(get(pick))
        assert sorted(answers) == ["b1", "b1", "b2", "b2"]
        assert client.why_stale() is None
    with pytest.raises(binding.Error, match="closed"):
        client.pick("app")


def test_failures_count_and_interruptions_do_not(binding, instance):
    with binding.Client(instance.conf_path, max_fails=1, fail_timeout=3600) as client:
        for error in (KeyboardInterrupt, ValueError):
            with pytest.raises(error):
                with client.request("app") as pick:
                    raise error()
        assert {client.pick("app").backend for _ in range(6)} == {b for b in names(instance) if b != pick.backend}


def names(instance):
    return {b["name"] for b in instance.admin("/lb/backends")["backends"]}


def test_another_one(binding, instance):
    with binding.Client(instance.conf_path) as client:
        pick = client.pick("app")
        first = pick.backend
        pick.report(binding.FAILURE)
        assert pick.other().result == binding.OK and pick.backend != first
        assert pick.other().result == binding.NONE and pick.address is None and pick.slot is None


def test_nobody_to_ask(binding, instance):
    with binding.Client(instance.conf_path) as client:
        with pytest.raises(binding.Error, match="pool nowhere: no pool"):
            with client.request("nowhere"):
                pass
    with binding.Client(instance.conf_path, fallback=f"127.0.0.1:{instance.port}") as client:
        with client.request("nowhere") as pick:
            assert pick.result == binding.NO_POOL and get(pick) in ("b1", "b2")
    with pytest.raises(binding.Error, match="no running instance of"):
        binding.Client("/nowhere/at-all.conf")
    with pytest.raises(binding.Error, match="stale_ms"):
        binding.Client(instance.conf_path, stale=0.5)


def test_fallbacks_of_all_families(binding, instance):
    for text, address in (("[::1]:80", ("::1", 80)), ("unix:/run/x.sock", "/run/x.sock"), ("10.0.0.1:81", ("10.0.0.1", 81))):
        with binding.Client(instance.conf_path, fallback=text) as client:
            assert client.pick("nowhere").address == address


def test_a_stopped_instance(binding, instance):
    with binding.Client(instance.conf_path, stale=1) as client:
        assert client.pick("app").result == binding.OK
        instance.stop()
        wait_until(lambda: client.pick("app").result == binding.FALLBACK, what="the fallback")
        assert "no sign of life" in client.why_stale()


@pytest.mark.parametrize("uncounted,leases", [(False, 1), (True, 0)])
def test_it_may_go_without_a_lease(binding, ballast, origins, uncounted, leases):
    b = ballast(f"""
client_leases = 4
listeners = {{ web = {{ bind = "127.0.0.1:{free_port()}", pool = "app" }} }}
pools = {{ app = {{ backends = {origins(1).list_text}, health = {{ type = "none" }} }} }}
""")
    with binding.Client(b.conf_path, uncounted=uncounted) as client:
        pick = wait_until(lambda: [p for p in [client.pick("app")] if p.result == binding.OK], what="a pick")[0]
        assert b.admin("/lb/leases")["total"] == leases
        pick.report(binding.SUCCESS)
