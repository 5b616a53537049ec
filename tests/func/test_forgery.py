"""What a client must not be able to say, in any spelling: who it is, where it comes from, whose bucket it draws from."""

import pytest

from lib import h2client, http
from lib.net import free_port
from lib.origin import reply

NO_CHECK = 'health = { type = "none" }'


@pytest.fixture
def web(ballast, origin):
    """web(listener): an instance before two origins, app and judge; .port, .app, .judge."""

    def start(listener, pool="", top=""):
        port, app, judge = free_port(), origin(id="app"), origin(id="judge")
        b = ballast(f'''{top}
            listeners = {{ web = {{ bind = "127.0.0.1:{port}"\n{listener} }} }}
            pools = {{ app = {{ backends = [ "{app.address}" ], {NO_CHECK}{pool} }}
                       judge = {{ backends = [ "{judge.address}" ], {NO_CHECK} }} }}''')
        b.port, b.app, b.judge = port, app, judge
        return b

    return start


SPELLINGS = [("X_Forwarded_For", "192.0.2.1"), ("x_real_ip", "192.0.2.1"), ("X-Real_IP", "192.0.2.1"), ("X_FORWARDED_PROTO", "https"),
             ("x_forwarded_host", "evil"), ("X_Client_Cert_Subject", "CN=root"), ("X-Client_Cert-Verify", "SUCCESS"), ("x_request_id", "1")]


def test_fields_of_ours_in_other_spellings(web):
    b = web('pool = "app"')
    kept = [("X_Mine", "1"), ("X_Real", "2"), ("Real_IP", "3")]
    assert http.get(b.port, "/", SPELLINGS + kept).status == 200
    with h2client.Client(b.port) as c:
        assert c.request("GET", "/", [(n.lower(), v) for n, v in SPELLINGS + kept]).status == 200
    for seen in b.app.requests:
        names = [n.lower() for n, _ in seen.headers if "_" in n]
        assert names == ["x_mine", "x_real", "real_ip"]
        assert seen.all("X-Real-IP") == ["127.0.0.1"] and seen.all("X-Forwarded-Proto") == ["http"]


def test_what_the_judge_says_in_other_spellings(web):
    b = web('''pool = "app", auth = { request = { pool = "judge", path = "/may", headers = [ "X-User", "X-Role" ] } }
               request_headers = { set = ( ( "X-Env", "prod" ) ), remove = [ "X-Debug" ] }''')
    b.judge.script["/may"] = reply(204, "", [("X-User", "ann")])
    forged = [("X_User", "root"), ("x_ROLE", "admin"), ("X-User", "root"), ("X_Env", "test"), ("x_debug", "1"), ("X_Else", "1")]
    assert http.get(b.port, "/", forged).status == 200
    seen = b.app.requests[-1]
    assert [n for n, _ in seen.headers if "_" in n] == ["X_Else"]
    assert seen.all("X-User") == ["ann"] and seen.all("X-Role") == [] and seen.all("X-Env") == ["prod"]


def test_what_the_judge_is_told(web):
    b = web('pool = "app", auth = { request = { pool = "judge", path = "/may" } }')
    b.judge.script["/may"] = reply(204)
    http.get(b.port, "/x?y", [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Host", "evil"), ("X-Real-IP", "192.0.2.1"),
                              ("X_Original_URI", "/public"), ("X-Original-URI", "/public"), *SPELLINGS])
    asked = b.judge.requests[-1]
    assert asked.all("X-Forwarded-For") == asked.all("X-Real-IP") == ["127.0.0.1"]
    assert asked.all("X-Forwarded-Host") == ["test.local"] and asked.all("X-Forwarded-Proto") == ["http"]
    assert asked.all("X-Original-URI") == ["/x?y"] and not [n for n, _ in asked.headers if "_" in n]


def test_two_sets_of_credentials_are_none(web, tmp_path):
    (tmp_path / "htpasswd").write_text("ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")  # password
    b = web(f'pool = "app", auth = {{ basic = "{tmp_path}/htpasswd" }}')
    right, other = ("Authorization", "Basic YW5uOnBhc3N3b3Jk"), ("authorization", "Basic cm9vdDp4")
    assert http.get(b.port, "/", [right]).status == 200
    assert http.get(b.port, "/", [right, other]).status == 401 and http.get(b.port, "/", [other, right]).status == 401
    assert b.app.count == 1


def test_no_key_is_taken_for_an_address(web):
    """Who has no key goes by the address: a key that spells those bytes is another's."""
    b = web('pool = "app", trusted = [ "127.0.0.1" ], rate_limit = { rate = "1/1h", burst = 1, key = "header:X-Key" }')
    from_97 = ("X-Forwarded-For", "97.98.99.100")  # "abcd"
    assert http.get(b.port, "/", [("X-Key", "abcd")]).status == 200
    assert http.get(b.port, "/", [from_97]).status == 200
    assert http.get(b.port, "/", [from_97]).status == 429 and http.get(b.port, "/", [("X-Key", "abcd")]).status == 429


def test_whom_a_trusted_proxy_names(web):
    """X-Real-IP is who the proxy says, where the proxy does not say it in that field itself."""
    b = web('pool = "app", trusted = [ "127.0.0.1", "10.0.0.0/8" ]')

    def real(*headers):
        http.get(b.port, "/", headers)
        return b.app.requests[-1].all("X-Real-IP")

    assert real() == ["127.0.0.1"]
    assert real(("X-Forwarded-For", "192.0.2.7, 10.1.1.1")) == ["192.0.2.7"]
    assert real(("X-Forwarded-For", "2001:db8::1")) == ["2001:db8::1"]
    assert real(("X-Forwarded-For", "192.0.2.7"), ("X-Real-IP", "192.0.2.8")) == ["192.0.2.8"]


@pytest.mark.parametrize("kind", ["ip_hash", "sticky", "split"])
def test_clients_of_a_trusted_proxy_are_many(ballast, origins, kind):
    """All that goes by the client's address goes by that of the one whom the proxy names."""
    port, some = free_port(), origins(3)
    backends, pools = some.list_text, 'pool = "p0"'
    more = {"ip_hash": 'balance = "ip_hash", ', "sticky": 'sticky = { type = "client_ip" }, '}.get(kind, "")
    if kind == "split":
        pools = 'routes = ( { path = "/", split = ( { pool = "p0" }, { pool = "p1" }, { pool = "p2" } ), split_key = "client_ip" } )'
    text = "\n".join(f'p{i} = {{ {more}backends = {backends if kind != "split" else chr(34) + some[i].address + chr(34)}, {NO_CHECK} }}'
                     for i in range(3))
    text = text.replace('backends = "', 'backends = [ "').replace('", health', '" ], health') if kind == "split" else text
    b = ballast(f'listeners = {{ web = {{ bind = "127.0.0.1:{port}", trusted = [ "127.0.0.1" ], {pools} }} }}\npools = {{ {text} }}')

    def who(client):
        return http.get(port, "/", [("X-Forwarded-For", client)]).text

    clients = [f"192.0.2.{i}" for i in range(40)]
    first = [who(c) for c in clients]
    assert len(set(first)) == 3 and [who(c) for c in clients] == first
    assert b.running()
