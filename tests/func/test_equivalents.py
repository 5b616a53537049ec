"""The configurations of the docs: each of them loads, and does what stands beside it."""

import os
import re
import subprocess

import pytest

from lib import http
from lib.ballast import run
from lib.net import free_port
from lib.wait import wait_until

DOCS = os.path.join(os.path.dirname(__file__), "..", "..", "docs")


def blocks(name):
    """(heading, configuration) of every block that is a whole configuration."""
    with open(os.path.join(DOCS, name), encoding="utf-8") as f:
        text = f.read()
    found = []
    for heading, rest in re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", text, re.S | re.M):
        found += [(f"{name}: {heading}", block) for block in re.findall(r"^```\n(.*?)^```$", rest, re.S | re.M)]
    head = text.split("\n## ", 1)[0]
    found += [(name, block) for block in re.findall(r"^```\n(.*?)^```$", head, re.S | re.M)]
    return [(h, b) for h, b in found if "listeners" in b]


BLOCKS = blocks("equivalents.md") + blocks("routing.md") + blocks("cache.md")


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """What the configurations name."""
    path = tmp_path_factory.mktemp("site")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=api.example.com", "-addext", "subjectAltName=DNS:api.example.com", "-keyout", path / "site.key",
                    "-out", path / "site.crt"], check=True, capture_output=True)
    (path / "haproxy.pem").write_text((path / "site.crt").read_text() + (path / "site.key").read_text())
    (path / "50x.html").write_text("<p>sorry</p>\n")
    (path / "htpasswd").write_text("ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")  # "password"
    (path / "keys.json").write_text('{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}')
    return path


def test_there_are_some():
    assert len(BLOCKS) >= 6


@pytest.mark.parametrize("name,text", BLOCKS, ids=[name for name, _ in BLOCKS])
def test_it_loads(directory, tmp_path, name, text):
    path = directory / f"{abs(hash(name))}.conf"
    path.write_text(text)
    done = run("check", "-c", path)
    assert done.returncode == 0, done.stdout + done.stderr


def here(text, origins):
    """The configuration with addresses of this machine: binds become free ports, backends are shared out."""
    ports = {}

    def bind(match):
        ports[match.group(1)] = free_port()
        return f'"127.0.0.1:{ports[match.group(1)]}"'

    text = re.sub(r'"\*:(\d+)"', bind, text)
    text = re.sub(r"^admin .*$", "", text, flags=re.M)
    text = re.sub(r"tls +=.*$", "", text, flags=re.M)
    seen = {}

    def backend(match):
        return f'"{origins[seen.setdefault(match.group(1), len(seen))].address}"'

    return re.sub(r'"(10\.0\.\d+\.\d+:8080)"', backend, text), ports, seen


def start(ballast, origin, directory, heading):
    text = next(b for h, b in BLOCKS if h.endswith(heading))
    origins = [origin(id=str(i)) for i in range(6)]
    text, ports, seen = here(text, origins)
    text = re.sub(r'"(50x\.html|htpasswd)"', rf'"{directory}/\1"', text)
    b = ballast(text)
    b.wait_healthy(30)
    b.by_address = {a: origins[i] for a, i in seen.items()}
    return b, ports


def ask(port, path, host="api.example.com", headers=(), method="GET"):
    return http.request(port, method, path, headers, host=host)


def test_nginx(ballast, origin, directory):
    b, ports = start(ballast, origin, directory, "nginx")
    r = ask(ports["80"], "/x?y")
    assert (r.status, r.header("Location")) == (301, "https://api.example.com/x?y")
    web = ports["443"]
    v1 = [b.by_address[a] for a in ("10.0.0.1:8080", "10.0.0.2:8080")]
    r = ask(web, "/api/v1/users?a=b")
    assert r.status == 200 and r.text in [o.id for o in v1] and r.header("X-Frame-Options") == "SAMEORIGIN"
    wait_until(lambda: any(o.requests for o in v1), what="a request")
    assert [q.target for o in v1 for q in o.requests] == ["/users?a=b"]
    first = ask(web, "/api/v2/x")
    assert {ask(web, "/api/v2/x").text for _ in range(5)} == {first.text}
    assert ask(web, "/static/x").text == b.by_address["10.0.2.1:8080"].id
    r = ask(web, "/elsewhere")
    assert r.status == 404 and r.header("X-Content-Type-Options") == "nosniff"
    assert ask(web, "/staff/").status == 401
    gzip = [("Accept-Encoding", "gzip")]
    assert ask(web, "/api/v1/bytes/5000", headers=gzip).header("Content-Encoding") == "gzip"
    assert ask(web, "/api/v1/bytes/999", headers=gzip).header("Content-Encoding") is None
    assert ask(web, "/staff/", headers=[("Authorization", "Basic YW5uOnBhc3N3b3Jk")]).status == 200
    b.by_address["10.0.2.1:8080"].stop()
    assert ask(web, "/static/x").header("X-Cache") == "HIT"
    r = ask(web, "/static/y")
    assert r.status in (502, 503) and r.text == "<p>sorry</p>\n"


def test_haproxy(ballast, origin, directory):
    b, ports = start(ballast, origin, directory, "HAProxy")
    web = ports["443"]
    api = {b.by_address[a].id for a in ("10.0.1.1:8080", "10.0.1.2:8080")}
    app = {b.by_address[a].id for a in ("10.0.0.1:8080", "10.0.0.2:8080")}
    assert ask(web, "/admin/x").status == 403
    assert ask(web, "/api/x").text in api and ask(web, "/api/x", headers=[("X-Version", "1")]).text in app
    assert ask(web, "/static/x").text == b.by_address["10.0.2.1:8080"].id
    assert {ask(web, "/").text for _ in range(4)} == app
    with http.Client(web, host="api.example.com") as c:  # 100 in 10 s, also of a slow machine
        wait_until(lambda: c.get("/").status == 429, what="too many")


def test_alb(ballast, origin, directory):
    b, ports = start(ballast, origin, directory, "AWS Application Load Balancer")
    api = {b.by_address[a].id for a in ("10.0.1.1:8080", "10.0.1.2:8080", "10.0.1.9:8080")}
    assert ask(ports["443"], "/api/v2/x").text in api and ask(ports["443"], "/").text not in api
    assert ask(ports["443"], "/api/v2/x", method="DELETE").text not in api
    r = ask(ports["443"], "/closed")
    assert (r.status, r.text) == (403, "closed") and ask(ports["80"], "/").status == 301


def test_ingress(ballast, origin, directory):
    b, ports = start(ballast, origin, directory, "Kubernetes Ingress")
    web = ports["443"]
    v1 = {b.by_address[a].id for a in ("10.0.0.1:8080", "10.0.0.2:8080")}
    assert ask(web, "/api/v1").text in v1 and ask(web, "/api/v1x").status == 404 and ask(web, "/ready").text in v1
    assert ask(web, "/app/x/y?z").status == 200
    assert b.by_address["10.0.1.1:8080"].requests[-1].target == "/x/y?z"
    assert ask(web, "/app", host="other").status == 404
