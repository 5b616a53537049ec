"""Who may ask: networks, passwords, tokens."""

import base64
import hashlib
import hmac
import json
import subprocess
import time
import warnings

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from lib import http
from lib.ballast import run
from lib.net import free_port
from lib.origin import reply
from lib.wait import wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt


@pytest.fixture
def guarded(ballast, origin):
    """guarded(listener): an instance before one origin; .port, .origin."""

    def start(listener, **options):
        port, o = free_port(), origin()
        b = ballast(f'''listeners = {{ web = {{ bind = "127.0.0.1:{port}"\n{listener} }} }}
            pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }} }} }}''', **options)
        b.port, b.origin = port, o
        return b

    return start


def basic(user, password):
    return [("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())]


# ---- networks


def test_allow_and_deny(guarded):
    b = guarded('''deny = [ "203.0.113.0/24" ], trusted = [ "127.0.0.1" ]
       routes = ( { path = "/in", allow = [ "192.0.2.0/24" ], deny = "192.0.2.66", pool = "app" },
                  { path = "/r", allow = "192.0.2.0/24", redirect = "/x" }, { path = "/", pool = "app" } )''')

    def status(path, client=None):
        return http.get(b.port, path, [("X-Forwarded-For", client)] if client else []).status

    assert status("/") == 200 and status("/", "203.0.113.9") == 403
    assert status("/in") == 403 and status("/in", "192.0.2.1") == 200 and status("/in", "192.0.2.66") == 403
    assert status("/in", "192.0.2.1, 203.0.113.9") == 403
    assert status("/r") == 403 and status("/r", "192.0.2.1") == 301


# ---- passwords


@pytest.fixture
def htpasswd(tmp_path):
    def sha(password):
        return "{SHA}" + base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()

    apr1 = subprocess.run(["openssl", "passwd", "-apr1", "-salt", "abcdefgh", "apr pass word longer than sixteen"],
                          capture_output=True, text=True, check=True).stdout.strip()
    users = {"bob": crypt.crypt("bcrypt:pw", "$2b$05$abcdefghijklmnopqrstuu"), "ann": apr1, "sue": sha("sha"),
             "six": crypt.crypt("six", "$6$saltsalt$"), "five": crypt.crypt("five", "$5$saltsalt$")}
    path = tmp_path / "htpasswd"
    path.write_text("# users\n\n" + "".join(f"{u}:{h}\n" for u, h in users.items()))
    return path


def test_passwords(guarded, htpasswd):
    b = guarded(f'''auth = {{ basic = "{htpasswd}", realm = "staff only" }}
        routes = ( {{ path = "/open", auth = {{ off = true }}, pool = "app" }}, {{ path = "/", pool = "app" }} )''')
    r = http.get(b.port, "/")
    assert r.status == 401 and r.header("WWW-Authenticate") == 'Basic realm="staff only", charset="UTF-8"'
    assert r.json() == {"error": "Unauthorized"}
    assert http.get(b.port, "/open").status == 200
    right = {"bob": "bcrypt:pw", "ann": "apr pass word longer than sixteen", "sue": "sha", "six": "six", "five": "five"}
    with http.Client(b.port) as c:
        for _ in range(2):  # the second time from memory
            for user, password in right.items():
                assert c.get("/", basic(user, password)).status == 200, user
                assert c.get("/", basic(user, password + "x")).status == 401, user
        assert c.get("/", basic("nobody", "sha")).status == 401
        assert c.get("/", basic("", "sha")).status == 401 and c.get("/", basic("bob", "")).status == 401
        for bad in ("Basic", "Basic !!!!", "Basic Ym9i", "Bearer x", "Basic " + "QQ" * 3000, "basic  " + "QQ=="):
            assert c.get("/", [("Authorization", bad)]).status == 401, bad
        r = c.request("POST", "/echo", basic("sue", "sha"), b"x" * 1000)
        assert r.status == 200 and r.body == b"x" * 1000
    shown = b.request("GET", "/lb/config")
    assert shown.status == 200 and "htpasswd" in shown.text and not any(h in shown.text for h in ("$2b$", "{SHA}"))


@pytest.mark.parametrize("form", ["combined", "json"])
def test_the_log_says_who(guarded, htpasswd, tmp_path, form):
    path = tmp_path / "access.log"
    b = guarded(f'''access_log = {{ target = "{path}", format = "{form}" }}
        routes = ( {{ path = "/open", pool = "app" }}, {{ path = "/", auth = {{ basic = "{htpasswd}" }}, pool = "app" }} )''')
    with http.Client(b.port) as c:
        assert c.get("/", basic("sue", "sha")).status == 200
        assert c.get("/", basic("eve [x]", "guess")).status == 401
        assert c.get("/").status == 401
        assert c.get("/open", basic("ann", "?")).status == 200, "nobody asked for it"
    lines = wait_until(lambda: (got := path.read_text().splitlines()) and len(got) == 4 and got)
    if form == "json":
        assert [json.loads(x).get("user") for x in lines] == ["sue", "eve [x]", None, None]
    else:
        assert [x.split(" [")[0] for x in lines] == ["127.0.0.1 - sue", "127.0.0.1 - eve\\x20[x]", "127.0.0.1 - -", "127.0.0.1 - -"]


def test_passwords_never_hold_up_others(guarded, tmp_path):
    path = tmp_path / "slow"
    path.write_text("bob:" + crypt.crypt("pw", "$2b$12$abcdefghijklmnopqrstuu") + "\n")
    b = guarded(f'routes = ( {{ path = "/slow", auth = {{ basic = "{path}" }}, pool = "app" }}, {{ path = "/", pool = "app" }} )',
                workers=1)
    guesses = [http.Client(b.port) for _ in range(6)]
    gone = http.Client(b.port)
    try:
        for i, c in enumerate(guesses):
            c.send(http.build_request("GET", "/slow", basic("bob", f"guess{i}")))
        gone.send(http.build_request("GET", "/slow", basic("bob", "pw")))
        gone.close()  # while it waits
        for _ in range(20):
            assert http.get(b.port, "/").status == 200
        assert all(c.read(deadline=30).status == 401 for c in guesses)
    finally:
        for c in guesses:
            c.close()
    assert http.get(b.port, "/slow", basic("bob", "pw"), deadline=30).status == 200


def test_a_reload_takes_new_passwords(guarded, htpasswd):
    b = guarded(f'pool = "app", auth = {{ basic = "{htpasswd}" }}')
    assert http.get(b.port, "/", basic("six", "six")).status == 200
    htpasswd.write_text("six:" + crypt.crypt("seven", "$6$saltsalt$") + "\n")
    with open(b.conf_path, encoding="utf-8") as f:
        text = f.read()
    b.reload(text)
    assert http.get(b.port, "/", basic("six", "six")).status == 401
    assert http.get(b.port, "/", basic("six", "seven")).status == 200


# ---- tokens


def b64(data):
    data = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n):
    return b64(n.to_bytes((n.bit_length() + 7) // 8, "big"))


SECRET = b"a secret of more than thirty-two bytes, at least"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
EC384 = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()


def sign(alg, data):
    if alg.startswith("HS"):
        return hmac.new(SECRET, data, f"sha{alg[2:]}").digest()
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(alg[2:])
    if alg.startswith("RS"):
        return RSA.sign(data, padding.PKCS1v15(), digest)
    if alg.startswith("PS"):
        return RSA.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    if alg == "EdDSA":
        return ED.sign(data)
    key, size = (EC, 32) if alg == "ES256" else (EC384, 48)
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def token(claims, alg="ES256", header=None, signature=None):
    claims = {"exp": int(time.time()) + 300, **claims}
    claims = {k: v for k, v in claims.items() if v is not None}
    data = f"{b64({'alg': alg, 'typ': 'JWT', **(header or {})})}.{b64(claims)}".encode()
    return data.decode() + "." + b64(sign(alg, data) if signature is None else signature)


def jwks():
    def curve(key, crv, size):
        p = key.public_key().public_numbers()
        return {"kty": "EC", "crv": crv, "x": b64(p.x.to_bytes(size, "big")), "y": b64(p.y.to_bytes(size, "big"))}

    n = RSA.public_key().public_numbers()
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return {"keys": [
        {"kty": "RSA", "n": number(n.n), "e": number(n.e), "kid": "rsa"}, {**curve(EC, "P-256", 32), "kid": "ec"},
        curve(EC384, "P-384", 48), {"kty": "OKP", "crv": "Ed25519", "x": b64(ED.public_key().public_bytes(*raw))},
        {"kty": "RSA", "n": number(n.n), "e": number(n.e), "use": "enc", "kid": "other"}]}


@pytest.fixture
def keys(tmp_path):
    (tmp_path / "keys.json").write_text(json.dumps(jwks()))
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    return tmp_path


def ask(b, text, path="/", headers=()):
    return http.get(b.port, path, [("Authorization", f"Bearer {text}"), *headers])


def test_tokens_of_every_algorithm(guarded, keys):
    b = guarded(f'''routes = ( {{ path = "/hs", auth = {{ jwt = {{ secret_file = "{keys}/secret" }} }}, pool = "app" }},
        {{ path = "/", auth = {{ jwt = {{ jwks = "{keys}/keys.json" }}, realm = "api" }}, pool = "app" }} )''')
    for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"):
        assert ask(b, token({}, alg)).status == 200, alg
        wrong = token({}, alg)
        assert ask(b, wrong[:-8] + ("AAAAAAAA" if wrong[-8:] != "AAAAAAAA" else "BBBBBBBB")).status == 401, alg
    for alg in ("HS256", "HS384", "HS512"):
        assert ask(b, token({}, alg), "/hs").status == 200, alg
        assert ask(b, token({}, alg)).status == 401, alg
    r = http.get(b.port, "/")
    assert r.status == 401 and r.header("WWW-Authenticate") == 'Bearer realm="api"'


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_a_token_that_was_right_is_still_judged(guarded, keys, alg):
    """Signatures are remembered: not what the token says, not another signature, not beyond the keys."""
    b = guarded(f'''pool = "app", auth = {{ jwt = {{ jwks = "{keys}/keys.json", leeway = "0s" }} }}''')
    good = token({"sub": "a"}, alg)
    for _ in range(8):
        assert ask(b, good).status == 200
    head, claims, signature = good.split(".")
    other = token({"sub": "b"}, alg).split(".")
    for wrong in (f"{head}.{claims}.{other[2]}", f"{head}.{other[1]}.{signature}", f"{head}.{claims}.{signature[:-4]}",
                  f"{b64({'alg': 'HS256'})}.{claims}.{signature}"):
        assert ask(b, wrong).status == 401
        assert ask(b, good).status == 200
    brief = token({"exp": int(time.time()) + 5}, alg)
    assert ask(b, brief).status == 200
    wait_until(lambda: ask(b, brief).status == 401, what="its end")
    left = [k for k in jwks()["keys"] if k["kty"] == "RSA" and k["kid"] == "other" or k.get("crv") == "P-384"]
    (keys / "keys.json").write_text(json.dumps({"keys": left}))
    b.reload()
    assert ask(b, good).status == 401


def test_tokens_that_are_refused(guarded, keys):
    b = guarded(f'''pool = "app", auth = {{ jwt = {{ jwks = "{keys}/keys.json", issuer = "me", audience = [ "a", "b" ], leeway = "5s" }} }}''')
    good = {"iss": "me", "aud": "b"}
    assert ask(b, token(good)).status == 200 and ask(b, token({**good, "aud": ["x", "a"]})).status == 200
    assert ask(b, token(good, header={"kid": "ec"})).status == 200
    now = time.time()
    public = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head_and_claims = f"{b64({'alg': 'HS256'})}.{b64({**good, 'exp': now + 100})}"
    confused = head_and_claims + "." + b64(hmac.new(public, head_and_claims.encode(), "sha256").digest())
    spki = RSA.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    confused2 = head_and_claims + "." + b64(hmac.new(spki, head_and_claims.encode(), "sha256").digest())
    bad = {
        "signature not valid": [token(good, header={"kid": "rsa"}), token(good, header={"kid": "?"}), confused, confused2,
                                token(good, signature=b"\0" * 64), token(good, signature=b""), token(good, header={"alg": "none"}),
                                token(good, header={"alg": "none"}, signature=b""), token(good, header={"alg": "RS256"}),
                                token(good, header={"alg": "es256"}), token(good, "RS256", header={"kid": "other"})],
        "expired": [token({**good, "exp": now - 6})],
        "not valid yet": [token({**good, "nbf": now + 60})],
        "no exp": [token({**good, "exp": None})],
        "wrong issuer": [token({**good, "iss": "you"}), token({"aud": "a"})],
        "wrong audience": [token({**good, "aud": "c"}), token({"iss": "me"}), token({**good, "aud": {"a": 1}})],
        "malformed": ["x", "a.b", "..", "a.b.c", "a.b.c.d", token({**good, "exp": "soon"}), token(good, header={"kid": 5}),
                      token(good) + ".x", token(good).replace(".", "..", 1), "é.é.é"],
        "critical extensions are not known": [token(good, header={"crit": ["b64"]})],
    }
    for why, tokens in bad.items():
        for text in tokens:
            r = ask(b, text)
            assert r.status == 401, (why, text)
            assert r.header("WWW-Authenticate").startswith('Bearer realm="restricted", error="invalid_token"'), text
            if why != "malformed":
                assert f'error_description="{why}"' in r.header("WWW-Authenticate"), (why, text)
    assert ask(b, token({**good, "exp": now - 3})).status == 200  # within the leeway


def test_algorithms_and_claims(guarded, keys):
    b = guarded(f'''pool = "app", auth = {{ jwt = {{ jwks = "{keys}/keys.json", algorithms = [ "RS256", "EdDSA" ], require_exp = false,
        claims = ( ( "sub", "X-User" ), ( "uid", "X-Uid" ), ( "admin", "X-Admin" ), ( "none", "X-None" ) ) }} }}''')
    assert ask(b, token({}, "ES256")).status == 401 and ask(b, token({}, "RS512")).status == 401
    forged = [("X-User", "root"), ("x-uid", "0"), ("X-None", "x"), ("X-Keep", "k")]
    assert ask(b, token({"sub": "ann", "uid": 7, "admin": True, "exp": None}, "EdDSA"), headers=forged).status == 200
    wait_until(lambda: b.origin.requests, what="a request")
    seen = b.origin.requests[-1]
    assert [seen.all(n) for n in ("X-User", "X-Uid", "X-Admin", "X-None", "X-Keep")] == [["ann"], ["7"], ["true"], [], ["k"]]
    assert ask(b, token({"sub": "a\r\nX-Evil: 1"}, "EdDSA")).status == 200
    seen = b.origin.requests[-1]
    assert seen.all("X-User") == [] and seen.all("X-Evil") == []


def test_bad_input(tmp_path, htpasswd, keys):
    def errors(auth, where="pool = \"app\", "):
        path = tmp_path / "c.conf"
        path.write_text(f'pools = {{ app = {{ backends = [ "127.0.0.1:1" ] }} }}\nlisteners = {{ web = {{ bind = "*:80", {where}\nauth = {auth} }} }}\n')
        done = run("check", "-c", path)
        assert done.returncode == 1, done.stdout
        return (done.stdout + done.stderr).replace(str(tmp_path) + "/", "")

    (tmp_path / "bad").write_text("ann:plaintext\nbob\n")
    (tmp_path / "costly").write_text("ann:$2b$13$" + "a" * 53 + "\n")
    (tmp_path / "empty").write_text("# nobody\n")
    (tmp_path / "short").write_text("secret\n")
    (tmp_path / "broken.json").write_text('{"keys": [')
    (tmp_path / "weak.json").write_text(json.dumps({"keys": [{"kty": "RSA", "n": b64(b"\xff" * 128), "e": "AQAB"}]}))
    (tmp_path / "none.json").write_text('{"keys": []}')
    assert 'c.conf:3: error: listeners.web.auth: one of "basic", "jwt", "request" and "off" is missing' in errors("{ }")
    assert 'c.conf:3: error: listeners.web.auth: is "off", and says how: keep one' in errors('{ off = true, basic = "htpasswd" }')
    assert 'has both "basic" and "jwt": keep one' in errors('{ basic = "htpasswd", jwt = { secret_file = "secret" } }')
    assert 'c.conf:3: error: listeners.web.auth.basic: cannot read "none": No such file' in errors('{ basic = "none" }')
    text = errors('{ basic = "bad" }')
    assert "c.conf:3: error: listeners.web.auth.basic: bad:1: is no hash that is known: use htpasswd -B" in text
    assert 'bad:2: is not "user:hash"' in text
    assert "costly:1: has a bcrypt cost above 12" in errors('{ basic = "costly" }')
    assert '"empty" names no user' in errors('{ basic = "empty" }')
    assert 'jwt: one of "jwks" and "secret_file" is missing' in errors("{ jwt = { } }")
    assert "holds fewer than 32 bytes" in errors('{ jwt = { secret_file = "short" } }')
    assert "c.conf:3: error: listeners.web.auth.jwt.jwks: broken.json: line 1:" in errors('{ jwt = { jwks = "broken.json" } }')
    assert "key 0 is not a complete key" in errors('{ jwt = { jwks = "weak.json" } }')
    assert 'has no "keys"' in errors('{ jwt = { jwks = "none.json" } }')
    assert '"none" is not one of: HS256' in errors('{ jwt = { jwks = "keys.json", algorithms = [ "none" ] } }')
    assert 'jwt.claims: "X User" is not the name' in errors('{ jwt = { jwks = "keys.json", claims = ( ( "sub", "X User" ) ) } }')
    assert "the field \"Content-Length\" frames" in errors('{ jwt = { jwks = "keys.json", claims = ( ( "sub", "Content-Length" ) ) } }')
    assert 'realm: cannot have " or \\ in it' in errors('{ basic = "htpasswd", realm = "a\\"b" }')
    assert '"auth" means nothing without "pool" or "split"' in errors(
        '"x"', 'routes = ( { respond = 403, auth = { basic = "htpasswd" } } ), ')


# ---- somebody else is asked


@pytest.fixture
def asking(ballast, origin):
    def start(auth, listener="", **options):
        port, app, judge = free_port(), origin(id="app"), origin(id="judge")
        b = ballast(f'''listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app", {listener}
               auth = {{ request = {{ pool = "judge", path = "/may?x=y"{auth} }} }} }} }}
            pools = {{ app = {{ backends = [ "{app.address}" ], health = {{ type = "none" }} }}
                       judge = {{ backends = [ "{judge.address}" ], health = {{ type = "none" }} }} }}''', **options)
        b.port, b.app, b.judge = port, app, judge
        return b

    return start


def test_somebody_else_is_asked(asking):
    b = asking(', headers = [ "X-User", "X-Role" ]')
    b.judge.script["/may"] = reply(200, "fine", [("X-User", "ann"), ("X-Other", "o")])
    with http.Client(b.port) as c:
        r = c.request("POST", "/echo?a=b", [("Cookie", "s=1"), ("X-User", "root"), ("X-Role", "admin"), ("X-Original-URI", "/no")],
                      b"x" * 5000)
        assert r.status == 200 and r.body == b"x" * 5000
        asked, seen = b.judge.requests[-1], b.app.requests[-1]
        assert (asked.method, asked.target, asked.body, asked.header("Cookie")) == ("GET", "/may?x=y", b"", "s=1")
        assert asked.all("X-Original-URI") == ["/echo?a=b"] and asked.all("X-Original-Method") == ["POST"]
        assert asked.all("Host") == ["test.local"] and asked.all("Content-Length") == []
        assert seen.all("X-User") == ["ann"] and seen.all("X-Role") == [] and seen.all("X-Other") == []
        b.judge.script["/may"] = reply(401, "no", [("WWW-Authenticate", "Custom x"), ("Set-Cookie", "a=1"), ("X-Secret", "s")])
        r = c.get("/")
        assert r.status == 401 and r.header("WWW-Authenticate") == "Custom x" and r.header("Set-Cookie") == "a=1"
        assert r.header("X-Secret") is None
        b.judge.script["/may"] = reply(403, "no")
        assert c.get("/").status == 403
        for odd in (reply(500), reply(302), b"junk\r\n\r\n", None):
            b.judge.script["/may"] = odd if odd else (lambda _request, _sock: None)
            assert c.get("/").status == 503, odd
    b.judge.script["/may"] = reply(204)
    raw = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert http.exchange(b.port, raw).count(b"HTTP/1.1 200") == 2  # one behind the other
    b.judge.stop()
    assert http.get(b.port, "/").status == 503


def test_a_question_takes_only_so_long(asking):
    b = asking(', timeout = "200ms"')
    b.judge.hold()
    assert http.get(b.port, "/").status == 503
    with http.Client(b.port) as gone:
        gone.send(http.build_request("GET", "/"))
        wait_until(lambda: b.judge.waiting, what="a question")
    b.judge.release()
    wait_until(lambda: http.get(b.port, "/").status == 200, what="an answer")
    assert not [r for r in b.app.requests if r.target != "/"]


def test_bad_input_of_side_requests(tmp_path):
    path = tmp_path / "c.conf"
    path.write_text('''pools = { app = { backends = [ "127.0.0.1:1" ] }, safe = { backends = [ "127.0.0.1:2" ], tls = { verify = false } } }
listeners = { a = { bind = "127.0.0.1:3", pool = "app", auth = { request = { pool = "app" } } }
b = { bind = "127.0.0.1:4", pool = "app", auth = { request = { pool = "none", path = "/x" } } }
c = { bind = "127.0.0.1:5", pool = "app", auth = { basic = "x", request = { pool = "app", path = "/x" } } }
d = { bind = "127.0.0.1:6", routes = ( { respond = 200, mirror = "app" }, { path = "/x", pool = "app", mirror = "apq" } ) } }
''')
    done = run("check", "-c", path)
    text = done.stdout + done.stderr
    assert 'c.conf:2: error: listeners.a.auth.request: "path" is missing' in text
    assert 'c.conf:3: error: listeners.b.auth.request.pool: there is no pool "none"' in text
    assert 'c.conf:4: error: listeners.c.auth.basic: cannot read' in text
    assert 'c.conf:5: error: listeners.d.routes[0]: "mirror" means nothing without "pool" or "split"' in text
    assert 'listeners.d.routes[1].mirror: there is no pool "apq", did you mean "app"?' in text
    path.write_text('''pools = { app = { backends = [ "127.0.0.1:1" ] }, safe = { backends = [ "127.0.0.1:2" ], protocol = "h2", tls = { verify = false } } }
listeners = { d = { bind = "127.0.0.1:6", routes = (
{ path = "/x", pool = "app", mirror = "safe" } ) }
e = { bind = "127.0.0.1:7", pool = "app", auth = { request = { pool = "safe", path = "/may" } } } }
''')
    done = run("check", "-c", path)
    text = done.stdout + done.stderr
    assert 'c.conf:3: error: mirror: pool "safe" has protocol = "h2", and these requests go over HTTP/1.1' in text
    assert 'c.conf:4: error: auth.request: pool "safe" has protocol = "h2"' in text
