"""Routes: which request goes where, and what happens to it on the way."""

import pytest

from lib import http
from lib.net import free_port
from lib.origin import reply
from lib.wait import wait_until

NO_CHECK = 'health = { type = "none" }'


@pytest.fixture
def routed(ballast, origin):
    """routed(listener, names): an instance with one pool per name, an origin behind each; .port, .origins."""

    def start(listener, names=("a", "b"), top="", pool="", **options):
        port = free_port()
        origins = {n: origin(id=n) for n in names}
        pools = "\n".join(f'{n} = {{ backends = [ "{o.address}" ], {NO_CHECK}{pool} }}' for n, o in origins.items())
        b = ballast(f'{top}\nlisteners = {{ web = {{ bind = "127.0.0.1:{port}"\n{listener} }} }}\npools = {{ {pools} }}',
                    **options)
        b.port, b.origins = port, origins
        return b

    return start


def answer(b, path, host="test.local", headers=(), method="GET", body=None):
    """The id of the origin that answered, or the status."""
    r = http.request(b.port, method, path, headers, body, host=host)
    return r.text if r.status == 200 and r.header("X-Origin") else r.status


def last(o):
    wait_until(lambda: o.requests, what="a request at the origin")
    return o.requests[-1]


# ---- which route


def test_hosts_paths_and_the_default(routed):
    b = routed('''pool = "d"
      routes = ( { host = "exact.test", pool = "a" }, { host = "*.test", pool = "b" },
                 { path = "/api/", pool = "c" }, { path = "=/api/one", pool = "e" },
                 { path = [ "/img/*.png", "/pics" ], pool = "f" } )''', "abcdef")
    assert answer(b, "/", "exact.test") == "a"
    assert answer(b, "/", "EXACT.test:80") == "a"
    assert answer(b, "/", "exact.test.") == "a"
    assert answer(b, "/", "x.y.test") == "b"
    assert answer(b, "/", "test") == "d"
    assert answer(b, "/api/x", "other") == "c"
    assert answer(b, "/api", "other") == "d"
    assert answer(b, "/api/one?x=1", "other") == "e"
    assert answer(b, "/api/one/", "other") == "c"
    assert answer(b, "/img/x/y.png", "other") == "f"
    assert answer(b, "/img/x/y.gif", "other") == "d"
    assert answer(b, "/pics", "other") == "f" and answer(b, "/pics/1", "other") == "f"
    assert answer(b, "/picsx", "other") == "d"


def test_conditions(routed):
    b = routed('''routes = (
        { path = "/m", methods = [ "POST", "PURGE" ], pool = "a" },
        { path = "/h", headers = ( ( "X-Beta", "1" ), "X-Any" ), pool = "a" },
        { path = "/q", query = ( ( "v", "2 3" ), "debug" ), pool = "a" },
        { path = "/c", cookies = ( ( "ab", "new" ) ), pool = "a" },
        { path = "/n", client = [ "127.0.0.0/8" ], pool = "a" },
        { path = "/f", client = "192.0.2.0/24", pool = "a" },
        { path_regex = "^/u/([0-9]+)$", pool = "a" },
        { path = "/when", when = [ "is_api", "is_json" ], unless = "is_old", pool = "a" },
        { path = "/", pool = "b" } )''',
               top='''conditions = { is_api = { host = "api.test" }, is_json = { headers = ( ( "Accept", "application/json" ) ) }
                                     is_old = { path_regex = "/v1(/|$)" } }''')
    assert answer(b, "/m", method="POST", body=b"x") == "a" and answer(b, "/m") == "b"
    assert answer(b, "/m", method="PURGE") == "a"
    assert answer(b, "/h", headers=[("x-beta", "1"), ("X-ANY", "")]) == "a"
    assert answer(b, "/h", headers=[("x-beta", "1")]) == "b"
    assert answer(b, "/h", headers=[("x-beta", "2"), ("X-Any", "1")]) == "b"
    assert answer(b, "/q?a=b&v=2+3&debug") == "a" and answer(b, "/q?debug=&v=2%203") == "a"
    assert answer(b, "/q?v=2+3") == "b" and answer(b, "/q?v=2&debug") == "b"
    assert answer(b, "/c", headers=[("Cookie", "x=1; ab=new")]) == "a"
    assert answer(b, "/c", headers=[("Cookie", "x=1; ab=newer")]) == "b"
    assert answer(b, "/n") == "a" and answer(b, "/f") == "b"
    assert answer(b, "/u/12") == "a" and answer(b, "/u/12x") == "b" and answer(b, "/u/12%0a") == "b"
    json_ = [("Accept", "application/json")]
    assert answer(b, "/when", "api.test", json_) == "a"
    assert answer(b, "/when/v1", "api.test", json_) == "b"
    assert answer(b, "/when", "x.test", json_) == "b" and answer(b, "/when", "api.test") == "b"


def test_client_behind_a_trusted_proxy(routed):
    b = routed('''trusted = [ "127.0.0.0/8", "10.0.0.0/8" ]
       routes = ( { client = "192.0.2.0/24", pool = "a" }, { path = "/", pool = "b" } )''')
    assert answer(b, "/", headers=[("X-Forwarded-For", "192.0.2.7")]) == "a"
    assert answer(b, "/", headers=[("X-Forwarded-For", "192.0.2.7, 10.1.1.1")]) == "a"
    assert answer(b, "/", headers=[("X-Forwarded-For", "192.0.2.7, 203.0.113.1, 10.1.1.1")]) == "b"
    assert answer(b, "/", headers=[("X-Forwarded-For", "junk, 10.1.1.1")]) == "b"
    assert answer(b, "/") == "b"


def test_priority_then_specificity(routed):
    b = routed('''routes = ( { path = "/", pool = "d" }, { path = "/a/", pool = "a" },
        { path = "/a/b/", methods = "GET", pool = "b" }, { path = "/a/b/", pool = "c" },
        { path = "/a/b/urgent", headers = "X-Urgent", priority = 0, pool = "b" },
        { path = "/a/", headers = "X-Urgent", priority = 5, pool = "d" } )''', "abcd")
    assert answer(b, "/a/x") == "a" and answer(b, "/a/b/x") == "b"
    assert answer(b, "/a/b/x", method="PUT", body=b"") == "c"
    assert answer(b, "/a/b/urgent", headers=[("X-Urgent", "1")]) == "d"


def test_no_route_is_404(routed):
    b = routed('routes = ( { path = "/a", pool = "a" } )')
    r = http.get(b.port, "/x")
    assert r.status == 404 and r.json() == {"error": "No route"} and r.header("Content-Type") == "application/json"
    assert "<h1>404 Not Found</h1>" in http.get(b.port, "/x", [("Accept", "text/html")]).text
    with http.Client(b.port) as c:  # the connection goes on
        assert c.get("/x").status == 404 and c.get("/a").status == 200


def test_a_rule_is_not_passed_by_spelling(routed):
    b = routed('''routes = ( { path = "/private", respond = 403 }, { path = "/public/", pool = "a" },
                             { path = "/", pool = "b" } )''')
    refused = {}
    for path in ("/private", "/private/x", "/%70rivate/x", "/private%2Fx", "//private/x", "/./private/x",
                 "/public/../private/x", "/public/%2e%2e/private/x", "/public/..%2fprivate/x", "/private;v=1/x",
                 "/public/..;/private/x", "/public\\..\\private", "/public/..%5cprivate", "/%2e/private", "/private%00",
                 "/public/.;x/../private", "/private//x", "/x/..//private", "/public/%2e%2e%2fprivate", "/%zz", "/a/../../b",
                 "/private/../public/x", "/private/%2e%2e/public/x"):
        refused[path] = http.raw(b.port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).status
    assert all(status in (400, 403) for status in refused.values()), refused
    assert refused["/%70rivate/x"] == 403 and refused["/private//x"] == 403 and refused["/public/../private/x"] == 400
    assert not b.origins["a"].requests and not b.origins["b"].requests
    for path in ("/public/%252e%252e/private", "/public/a%2Fb", "/public//x", "/public/x;v=1", "/public/x/../y"):
        assert answer(b, path) == "a"
        assert last(b.origins["a"]).target == path  # as it was sent


def test_a_regex_that_explodes_is_refused(routed):
    b = routed('routes = ( { path_regex = "^/(a+)+$", respond = 403 }, { path = "/", pool = "a" } )')
    assert answer(b, "/" + "a" * 30 + "!") == 400
    assert answer(b, "/aaa") == 403 and answer(b, "/b") == "a"


def test_hundreds_of_routes(routed):
    many = ",".join(f'{{ host = "h{i}.test", path = "/p{i}/", pool = "{"ab"[i % 2]}" }}' for i in range(600))
    b = routed(f'pool = "c"\nroutes = ( {many} )', "abc")
    for i in (0, 1, 77, 598, 599):
        assert answer(b, f"/p{i}/x", f"h{i}.test") == "ab"[i % 2]
        assert answer(b, f"/p{i + 1}/x", f"h{i}.test") == "c"


# ---- what a route does


def test_redirects(routed):
    b = routed('''routes = (
        { path = "/old/", redirect = "https://example.com/new/", status = 302 },
        { path = "/moved", redirect = "https://{host}/to/{tail}?{query}", status = 308 },
        { path = "/self", redirect = "{scheme}://{authority}{path}x" },
        { path = "/tail/", redirect = "/{tail}" },
        { path_regex = "^/u/([^/]+)/?(.*)$", redirect = "/users/$1/$2" },
        { path = "/", redirect = "https" } )''')

    def location(path, host="Test.Local:8080"):
        r = http.get(b.port, path, host=host)
        assert r.body == b"" and r.header("Content-Length") == "0" and len(r.all("Location")) == 1
        return r.status, r.header("Location")

    assert location("/old/x") == (302, "https://example.com/new/")
    assert location("/moved/a%20b?c=d") == (308, "https://test.local/to//a%20b?c=d")
    assert location("/self") == (301, "http://Test.Local:8080/selfx")
    assert location("/x?y=z") == (301, "https://test.local/x?y=z")
    assert location("/u/a%0d%0aSet-Cookie:x=1/b") == (301, "/users/a%0D%0ASet-Cookie:x=1/b")
    assert location("/tail//evil.test/x") == (301, "/evil.test/x")  # not another host
    assert location("/tail/%2Fevil.test/x") == (301, "/%2Fevil.test/x")
    r = http.request(b.port, "POST", "/x", body=b"unread")
    assert r.status == 301
    assert not b.origins["a"].requests


def test_a_redirect_is_no_open_one(routed):
    """What a client sends is a path, wherever it stands at the beginning of a Location."""
    b = routed('''routes = ( { path = "/t/", redirect = "{tail}" }, { path = "/q", redirect = "{query}" },
        { path_regex = "^/r/(.*)$", redirect = "$1" }, { path = "/a", redirect = "{authority}" } )''')

    def location(path, **more):
        r = http.get(b.port, path, **more)
        assert r.status == 301
        return r.header("Location")

    for evil in ("http://evil.test/x", "https:evil.test", "javascript:alert(1)", "evil.test", "%20http://evil.test"):
        assert location(f"/t/{evil}") == "/" + evil == location(f"/r/{evil}")
    for evil in ("/evil.test", "//evil.test", "///evil.test"):
        assert location(f"/t/{evil}") == "/evil.test" == location(f"/r/{evil}")
    assert location("/t/") == "/" == location("/r/") == location("/q")
    assert location("/q?http://evil.test") == "/http://evil.test" and location("/a") == "/test.local"


def test_no_redirect_to_nowhere(routed):
    """HTTP/1.0 has no Host: an address cannot be made of it."""
    b = routed('redirect = "https"\nroutes = ( { path = "/a", redirect = "/b" }, { path = "/c", redirect = "//{authority}/" } )')
    for path, status in (("/", b"400"), ("/a", b"301"), ("/c", b"400")):
        assert http.exchange(b.port, b"GET %s HTTP/1.0\r\n\r\n" % path.encode()).startswith(b"HTTP/1.1 " + status)


def test_a_part_that_grows_keeps_its_clients(routed):
    def conf(a, b):
        return f'''routes = ( {{ path = "/", split = ( {{ pool = "a", weight = {a} }}, {{ pool = "b", weight = {b} }} ),
                     split_key = "header:X-User" }} )'''

    b = routed(conf(5, 45))

    def early():
        return {n for n in range(200) if answer(b, "/", headers=[("X-User", f"u{n}")]) == "a"}

    few = early()
    with open(b.conf_path, encoding="utf-8") as f:
        text = f.read()
    b.reload(text.replace(conf(5, 45), conf(25, 45)))
    many = early()
    assert few and few < many and len(many) > len(few) + 20


@pytest.mark.parametrize("where", ["request_headers", "response_headers"])
@pytest.mark.parametrize("name", ["Content-Length", "host", "Transfer-Encoding", "TE"])
def test_fields_that_may_not_be_removed(tmp_path, where, name):
    from lib.ballast import run

    path = tmp_path / "c.conf"
    path.write_text(f'''pools = {{ a = {{ backends = [ "127.0.0.1:1" ] }} }}
listeners = {{ w = {{ bind = "127.0.0.1:1", routes = ( {{ path = "/", pool = "a",
  {where} = {{ remove = [ "X-A",
    "{name}" ] }} }} ) }} }}''')
    done = run("check", "-c", path)
    assert done.returncode == 1
    assert f'{path}:4: error: listeners.w.routes[0].{where}.remove[1]: the field "{name}" frames' in done.stderr, done.stderr


def test_redirecting_listener(routed):
    b = routed('redirect = "https"\nroutes = ( { path = "/.well-known/acme-challenge/", pool = "a" } )')
    r = http.get(b.port, "/x?y", host="example.com:80")
    assert (r.status, r.header("Location")) == (301, "https://example.com/x?y")
    assert answer(b, "/.well-known/acme-challenge/t") == "a"


def test_responses(routed):
    b = routed('''routes = ( { path = "/closed/", respond = 403 }, { path = "/empty", respond = 204 },
        { path = "/ok", respond = 200, body = "fine\\n" },
        { path = "/json", respond = 503, body = "{\\"a\\":1}", content_type = "application/json" } )''')
    r = http.get(b.port, "/closed/x")
    assert r.status == 403 and r.json() == {"error": "Forbidden"}
    r = http.get(b.port, "/empty")
    assert r.status == 204 and r.header("Content-Length") is None and r.framing == "none"
    r = http.get(b.port, "/ok")
    assert (r.status, r.text, r.header("Content-Type")) == (200, "fine\n", "text/plain; charset=utf-8")
    with http.Client(b.port) as c:
        assert c.request("HEAD", "/ok").header("Content-Length") == "5"
        r = c.get("/json")
        assert r.status == 503 and r.json() == {"a": 1} and r.header("Content-Type") == "application/json"


def test_strip_prefix_and_rewrite(routed):
    b = routed('''routes = ( { path = "/api/v1/", strip_prefix = true, pool = "a" },
        { path = "/svc", strip_prefix = true, pool = "a" }, { path = "/glob/*", strip_prefix = true, pool = "a" },
        { path_regex = "^/u/([0-9]+)/(.*)$", rewrite = "/users/$1?rest=$2", pool = "a" },
        { path = "/r/", rewrite = "/new/{tail}", pool = "a" }, { path = "/h", rewrite = "/{host}{path}", pool = "a" } )''')

    def seen(path, host="Test.Local:1"):
        assert answer(b, path, host) == "a"
        return last(b.origins["a"]).target

    assert seen("/api/v1/") == "/" and seen("/api/v1/users?x=1") == "/users?x=1"
    assert seen("/api/v1/a%2Fb%20c/%3Fd") == "/a%2Fb%20c/%3Fd"
    assert seen("/svc") == "/" and seen("/svc?x") == "/?x" and seen("/svc/x") == "/x"
    assert seen("/glob/x/y") == "/x/y"
    assert seen("/u/7/x%20y") == "/users/7?rest=x%20y" and seen("/u/7/x?y=z") == "/users/7?rest=x&y=z"
    assert seen("/u/7/a%0d%0aX-Evil:%201") == "/users/7?rest=a%0D%0AX-Evil:%201"
    assert seen("/r/a/b?c") == "/new/a/b?c" and seen("/h/x") == "/test.local/h/x"
    assert seen("/%61pi/v1/caf%C3%A9;v=1") == "/caf%C3%A9;v=1"
    assert http.raw(b.port, b"GET http://other:80/api/v1/x?y HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    assert last(b.origins["a"]).target == "/x?y" and last(b.origins["a"]).all("Host") == ["other:80"]


def test_long_targets_are_rewritten_or_refused(routed):
    b = routed('''limits = { header_size = "64k" }
       routes = ( { path = "/r/", rewrite = "/new/{tail}", pool = "a" } )''')
    tail = "x" * 30000
    assert answer(b, "/r/" + tail) == "a" and last(b.origins["a"]).target == "/new/" + tail
    assert http.get(b.port, "/r/" + "x" * 60000).status in (200, 414, 503)


def test_split(routed):
    b = routed('''routes = ( { path = "/one/", split = ( { pool = "a", weight = 0 }, { pool = "b" } ) },
        { path = "/sticky/", split = ( { pool = "a", weight = 1 }, { pool = "b", weight = 1 } ), split_key = "header:X-User" },
        { path = "/", split = ( { pool = "a", weight = 1 }, { pool = "b", weight = 3 } ) } )''')
    with http.Client(b.port) as c:
        assert {c.get("/one/").text for _ in range(20)} == {"b"}
        users = {u: {c.get("/sticky/", [("X-User", u)]).text for _ in range(3)} for u in map(str, range(30))}
        assert all(len(pools) == 1 for pools in users.values())
        assert set.union(*users.values()) == {"a", "b"}
        for _ in range(400):
            c.get("/x")
    seen = [sum(r.target == "/x" for r in b.origins[n].requests) for n in "ab"]
    assert sum(seen) == 400 and 50 < seen[0] < 160, seen  # 100 expected; 6 standard deviations


# ---- headers


def test_request_headers(routed):
    b = routed('''request_headers = { set = ( ( "X-Env", "prod" ), ( "X-Who", "{client_ip} {host} {method} {uri}" ) )
                                  remove = [ "X-Secret", "Referer" ] }
        routes = ( { path = "/host", pool = "a", request_headers = { set = ( ( "Host", "inner.test" ), ( "X-Env", "test" ) )
                                     add = ( ( "X-Tag", "1" ), ( "X-Tag", "2" ) ) } },
                   { path = "/own", pool = "a", request_headers = { set = ( ( "X-Request-ID", "fixed" ) )
                                     remove = [ "X-Forwarded-For", "X-Real-IP" ] } },
                   { path = "/", pool = "a" } )''')
    forged = [("X-Env", "dev"), ("x-secret", "s"), ("X-Tag", "0"), ("Referer", "r"), ("X-Keep", "k")]
    http.get(b.port, "/x?y", forged)
    seen = last(b.origins["a"])
    assert seen.all("X-Env") == ["prod"] and seen.all("X-Secret") == [] and seen.all("Referer") == []
    assert seen.all("X-Who") == ["127.0.0.1 test.local GET /x?y"] and seen.all("X-Keep") == ["k"]
    http.get(b.port, "/host", forged)
    seen = last(b.origins["a"])
    assert seen.all("Host") == ["inner.test"] and seen.all("X-Env") == ["test"] and seen.all("X-Tag") == ["0", "1", "2"]
    http.get(b.port, "/own", forged + [("X-Request-ID", "mine")])
    seen = last(b.origins["a"])
    assert seen.all("X-Request-ID") == ["fixed"] and not seen.all("X-Forwarded-For") and not seen.all("X-Real-IP")
    assert seen.all("X-Forwarded-Proto") == ["http"]
    http.raw(b.port, b"GET http://abs.test/host HTTP/1.1\r\nHost: a\r\n\r\n")
    assert last(b.origins["a"]).all("Host") == ["inner.test"]


def test_response_headers(routed):
    b = routed('''response_headers = { set = ( ( "X-Frame-Options", "SAMEORIGIN" ) ), remove = [ "Server", "X-Powered-By" ] }
        routes = ( { path = "/v", pool = "a", response_headers = { set = ( ( "X-Rid", "{request_id}" ), ( "X-Frame-Options", "DENY" ) )
                                                                  add = ( ( "Set-Cookie", "a=1" ) ) } },
                   { path = "/go", redirect = "/there" }, { path = "/say", respond = 418, body = "tea" },
                   { path = "/no", respond = 403 }, { path = "/", pool = "a" } )''')
    own = [("Server", "secret/1.0"), ("X-Powered-By", "x"), ("X-Frame-Options", "ALLOWALL"), ("Set-Cookie", "b=2")]
    for path in ("/x", "/v"):
        b.origins["a"].script[path] = reply(200, "hi", own)
    r = http.get(b.port, "/x")
    assert r.text == "hi" and r.all("X-Frame-Options") == ["SAMEORIGIN"] and not r.all("Server") and not r.all("X-Powered-By")
    with http.Client(b.port) as c:
        r = c.get("/v", [("X-Request-ID", "rid-7")])
        assert r.all("X-Rid") == ["rid-7"] and r.all("X-Frame-Options") == ["DENY"]
        assert r.all("Set-Cookie") == ["b=2", "a=1"]
        r = c.get("/v")
        assert r.header("X-Rid") == last(b.origins["a"]).header("X-Request-ID")
        assert c.get("/bytes/100000").all("X-Frame-Options") == ["SAMEORIGIN"]
        assert c.get("/chunked/100000").all("X-Frame-Options") == ["SAMEORIGIN"]
    assert http.get(b.port, "/go").all("X-Frame-Options") == ["SAMEORIGIN"]
    assert http.get(b.port, "/say").all("X-Frame-Options") == ["SAMEORIGIN"]
    assert http.get(b.port, "/no").all("X-Frame-Options") == []  # an error reply, and nobody said always


def test_response_headers_always(routed):
    b = routed('''response_headers = { set = ( ( "Strict-Transport-Security", "max-age=31536000" ), ( "Cache-Control", "private" ) ), always = true }
        routes = ( { path = "/var", respond = 404, response_headers = { set = ( ( "X-Host", "{host}" ) ), always = true } },
                   { path = "/down", pool = "a" }, { path = "/x", respond = 403 } )''')
    b.origins["a"].stop()
    for path, status in (("/down", 502), ("/x", 403), ("/none", 404), ("/%zz", 400)):
        r = http.get(b.port, path)
        assert r.status == status and r.all("Strict-Transport-Security") == ["max-age=31536000"], path
        assert r.all("Cache-Control") == ["private"]
    assert http.get(b.port, "/var").header("X-Host") == "test.local"
    r = http.raw(b.port, b"GET / HTTP/1.1\r\nBad Header\r\n\r\n")
    assert r.status == 400 and r.all("Strict-Transport-Security") == ["max-age=31536000"]


def test_error_pages(routed, tmp_path):
    (tmp_path / "404.html").write_text("<p>lost</p>\n")
    (tmp_path / "5xx.txt").write_text("sorry\n" * 5000)
    (tmp_path / "own.html").write_text("own\n")
    b = routed(f'''error_pages = ( {{ status = "404", file = "{tmp_path}/404.html" }},
                                  {{ status = [ "500", "502-504" ], file = "{tmp_path}/5xx.txt", content_type = "text/plain" }} )
       routes = ( {{ path = "/down", pool = "a" }}, {{ path = "/closed", respond = 403 }},
                  {{ path = "/own", pool = "a", error_pages = ( {{ status = "502", file = "{tmp_path}/own.html" }} ) }} )''')
    r = http.get(b.port, "/x")
    assert (r.status, r.text, r.header("Content-Type")) == (404, "<p>lost</p>\n", "text/html; charset=utf-8")
    assert http.get(b.port, "/closed").json() == {"error": "Forbidden"}
    assert http.get(b.port, "/down").status == 200
    b.origins["a"].script["/down/404"] = reply(404, "theirs")
    assert http.get(b.port, "/down/404").text == "theirs"
    b.origins["a"].stop()
    r = http.get(b.port, "/down")
    assert (r.status, r.text, r.header("Content-Type")) == (502, "sorry\n" * 5000, "text/plain")
    assert http.get(b.port, "/own").text == "own\n"
    assert http.request(b.port, "HEAD", "/down").header("Content-Length") == "30000"


# ---- time


def test_route_timeouts(routed):
    b = routed('''routes = ( { path = "/total", pool = "a", timeouts = { total = "2s" } },
                             { path = "/read", pool = "a", timeouts = { read = "200ms" } }, { path = "/", pool = "a" } )''')
    a = b.origins["a"]
    a.hold()
    r = http.get(b.port, "/total")
    assert r.status == 504 and r.json() == {"error": "Request timed out"}
    assert http.get(b.port, "/read").json() == {"error": "Backend timed out"}
    a.release()
    assert answer(b, "/total") == "a"


def test_total_timeout_cuts_a_trickle(routed):
    b = routed('routes = ( { path = "/", pool = "a", timeouts = { total = "1s" } } )')
    o = b.origins["a"]

    def trickle(_request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not o.stopping.wait(0.02):
            sock.sendall(b"x")

    o.script["/t"] = trickle
    with pytest.raises((http.HttpError, ConnectionError)):
        http.get(b.port, "/t")


# ---- reload, show, bytes


def test_routes_change_with_a_reload(routed):
    b = routed('routes = ( { path = "/x", pool = "a" } )')
    assert answer(b, "/x") == "a"
    with open(b.conf_path, encoding="utf-8") as f:
        text = f.read()
    b.reload(text.replace('path = "/x", pool = "a"', 'path_regex = "^/x$", pool = "b"'))
    assert answer(b, "/x") == "b"


def test_shown_routes_load_again(routed, tmp_path):
    from lib.ballast import run

    path = tmp_path / "c.conf"
    path.write_text('''pools = { a = { backends = [ "127.0.0.1:1" ] } }
      conditions = { c = { methods = "GET" } }
      listeners = { w = { bind = "127.0.0.1:1", error_pages = { status = "404", file = "c.conf" }, routes = (
        { host = [ "a.test", "*.b.test" ], path = "/x*y", headers = ( ( "A", "1" ), "B" ), when = "c", priority = 3,
          split = ( { pool = "a", weight = 2 }, { pool = "a" } ), split_key = "cookie:u",
          request_headers = { set = ( ( "X", "{host}" ) ), remove = "Y" }, timeouts = { total = "1s" } },
        { path_regex = "^/(a|b)$", redirect = "/$1", status = 308, response_headers = { add = ( ( "L", "v" ) ), always = true } } ) } }''')
    shown = run("show", "-c", path)
    assert shown.returncode == 0, shown.stderr
    (tmp_path / "again.conf").write_text(shown.stdout)
    again = run("show", "-c", tmp_path / "again.conf")
    assert again.stdout == shown.stdout and 'split = ( { pool = "a", weight = 2 }, { pool = "a", weight = 1 } )' in shown.stdout


def test_nothing_smuggles_through_what_is_written(routed):
    """Whatever a client puts into path, query and fields, the origin gets one request per request."""
    b = routed(f'''routes = ( {{ path_regex = "^/r/(.*)$", rewrite = "/w/$1", pool = "a" }},
        {{ path = "/s/", strip_prefix = true, pool = "a", request_headers = {{ set = ( ( "X-Path", "{{path}}|{{query}}|{{authority}}" ) ) }} }} )''')
    sent = 0
    for bad in ("%0d%0a%0d%0aGET%20/evil%20HTTP/1.1", "%0aX-Evil:%201", "a%00b", "%0d", "%ff%fe", "%e2%80%a8", "a%20HTTP/1.1%0d%0a"):
        for path in (f"/r/{bad}", f"/s/{bad}?{bad}"):
            r = http.raw(b.port, f"GET {path} HTTP/1.1\r\nHost: test.local\r\n\r\n".encode())
            assert r.status == (400 if "%00" in bad else 200), path
            sent += r.status == 200
    requests = b.origins["a"].requests
    assert len(requests) == sent
    for r in requests:
        assert not r.all("X-Evil") and r.target.isascii() and r.target.isprintable() and " " not in r.target
        assert r.raw_head.count(b"\r\n\r\n") == 1 and b"/evil HTTP" not in r.raw_head
