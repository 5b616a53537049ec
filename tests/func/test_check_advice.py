"""What `ballast check` says beyond errors: advice about configurations that are possible and rarely meant."""

import pytest

from lib.ballast import run

STICKY = 'sticky = { type = "cookie"%s }'


def check(tmp_path, listeners, pools):
    path = tmp_path / "c.conf"
    path.write_text("listeners = {\n" + listeners + " }\npools = {\n" + "\n".join(
        f'{name} = {{ backends = [ "127.0.0.1:{i}" ], {settings} }}' for i, (name, settings) in enumerate(pools.items(), 1)) + " }\n")
    done = run("check", "-c", path)
    assert done.returncode == 0, done.stderr
    return [line for line in (done.stdout + done.stderr).splitlines() if "overwrites" in line]


def routes(*texts):
    return 'web = { bind = "127.0.0.1:9", routes = ( ' + ", ".join("{ %s }" % t for t in texts) + " ) }"


def test_two_pools_with_one_cookie_on_one_host(tmp_path):
    said = check(tmp_path, routes('path = "/a", pool = "a"', 'path = "/b", pool = "b"'), {"a": STICKY % "", "b": STICKY % ""})
    assert len(said) == 1, said
    assert 'c.conf:5: pools.b: its sticky cookie "SERVERID" is that of pools.a (' in said[0]
    assert "c.conf:4) too, and both are reached on any host of listener web" in said[0]


@pytest.mark.parametrize("first, second", [
    ('host = "x.test", path = "/a", pool = "a"', 'host = [ "y.test", "X.test" ], pool = "b"'),
    ('host = "x.test", split = ( { pool = "a", weight = 1 }, { pool = "b", weight = 2 } )', 'host = "z.test", pool = "c"'),
])
def test_hosts_and_splits(tmp_path, first, second):
    said = check(tmp_path, routes(first, second), {"a": STICKY % "", "b": STICKY % "", "c": ""})
    assert len(said) == 1 and "on host x.test of listener web" in said[0], said


def test_one_warning_per_pool(tmp_path):
    pools = {name: STICKY % "" for name in "abcd"}
    said = check(tmp_path, routes(*(f'path = "/{n}{i}", pool = "{n}"' for n in pools for i in range(3))), pools)
    assert [line.split("pools.")[1][0] for line in said] == ["b", "c", "d"]


@pytest.mark.parametrize("a, b", [
    (STICKY % "", STICKY % ', name = "OTHER"'),
    (STICKY % ', path = "/a"', STICKY % ', path = "/b"'),
    (STICKY % "", 'sticky = { type = "header", name = "SERVERID" }'),
    (STICKY % "", 'sticky = { type = "app_cookie", name = "SERVERID" }'),
    (STICKY % "", ""),
])
def test_nothing_to_say(tmp_path, a, b):
    assert check(tmp_path, routes('path = "/a", pool = "a"', 'path = "/b", pool = "b"'), {"a": a, "b": b}) == []


def test_other_hosts_and_listeners_are_others(tmp_path):
    both = {"a": STICKY % "", "b": STICKY % ""}
    assert check(tmp_path, routes('host = "x.test", pool = "a"', 'host = "y.test", pool = "b"'), both) == []
    assert check(tmp_path, 'x = { bind = "127.0.0.1:8", pool = "a" }\ny = { bind = "127.0.0.1:9", pool = "b" }', both) == []
    assert check(tmp_path, routes('path = "/a", pool = "a"', 'path = "/b", pool = "a"'), {"a": STICKY % ""}) == []


@pytest.mark.parametrize("backend", ['"nobody.invalid:80"', '{ address = "nobody.invalid:80", weight = 2 }'])
def test_a_name_that_nobody_knows(tmp_path, backend):
    path = tmp_path / "c.conf"
    path.write_text(f'''listeners = {{ web = {{ bind = "127.0.0.1:9", pool = "a" }} }}
pools = {{ a = {{ backends = (
{backend} ) }} }}
''')
    done = run("check", "-c", path)
    text = done.stdout + done.stderr
    assert done.returncode == 1 and 'c.conf:3: error: pools.a.backends[0]' in text
    assert 'cannot resolve "nobody.invalid"' in text and 'resolve = "10s"' in text
    path.write_text(path.read_text().replace(backend, '{ address = "nobody.invalid:80", resolve = "10s" }'))
    assert run("check", "-c", path).returncode == 0
    path.write_text(path.read_text().replace("nobody.invalid:80", "10.0.0.256:80").replace(', resolve = "10s"', ""))
    assert "resolve = " not in (lambda d: d.stdout + d.stderr)(run("check", "-c", path)), "a mistyped address is no name"
