"""`ballast plan` and the lists of a reload: the same engine, the same words."""

import json
import shutil
import signal

from lib import http, tls
from lib.ballast import run
from lib.net import connect, free_port
from lib.wait import wait_until


def conf(listeners, backends, extra=""):
    return f"""
listeners = {{ {listeners} }}
pools = {{ app = {{ backends = {backends.list_text} }} }}
{extra}
"""


def web(port, name="web"):
    return f'{name} = {{ bind = "127.0.0.1:{port}", pool = "app" }}'


def plan(b, *words, file=None):
    return run("plan", "-c", file or b.conf_path, "--pid", b.pid, *words)


def test_nothing(ballast, origins):
    b = ballast(conf(web(free_port()), origins(2)))
    done = plan(b, "--exit-code")
    assert (done.returncode, done.stderr) == (0, "") and "changes nothing" in done.stdout
    b.reload()
    assert json.loads(plan(b, "--json").stdout)["changes"] == []


def test_the_same_words_as_the_reload(ballast, origins):
    port, other, two = free_port(), free_port(), origins(2)
    b = ballast(conf(web(port), two))
    b.admin(f"/lb/backends/{two[0].address}/weight", "POST", {"weight": 4})
    b.write(conf(web(port) + web(other, "more"), type(two)(two[:1]), 'max_connections = 77\n'))
    done = plan(b, "--json", "--exit-code")
    assert done.returncode == 2, done.stdout + done.stderr
    wanted = json.loads(done.stdout)
    assert "max_connections: 50000 -> 77" in wanted["changes"]
    assert "listener more added" in wanted["changes"]
    assert f"pool app: backend {two[1].address} removed: 0 requests in flight finish" in wanted["changes"]
    assert wanted["pid"] == b.pid and wanted["file"] == b.conf_path and wanted["generation"] == 1
    text = plan(b).stdout
    assert all(f"  {line}\n" in text for line in wanted["changes"] + wanted["overrides"])
    assert plan(b).returncode == 0, "without --exit-code"
    assert b.generation == 1, "nothing was changed"
    done = b.admin("/lb/reload", "POST")
    assert (done["changes"], done["overrides"]) == (wanted["changes"], wanted["overrides"])
    assert plan(b, "--exit-code").returncode == 0


def test_whom_it_touches(ballast, origins):
    port, old, two = free_port(), free_port(), origins(2)
    b = ballast(conf(web(port) + web(old, "old"), two))
    two[0].hold()
    two[1].hold()
    with http.Client(old) as first, http.Client(old) as second, http.Client(port) as kept:
        first.send(http.build_request("GET", "/held"))
        wait_until(lambda: two[0].waiting + two[1].waiting == 1)
        assert wait_until(lambda: b.admin("/lb/stats")["active_connections"] == 3)
        held = two[0] if two[0].waiting else two[1]
        other = type(two)(o for o in two if o is not held)
        b.write(conf(web(port, "renamed"), other))
        said = json.loads(plan(b, "--json").stdout)
        assert said["connections"] == 2 and said["in_flight"] == 1
        assert "listener old removed: 2 connections drain" in said["changes"]
        assert "listener web removed: its 1 connections go on as those of listener renamed" in said["changes"]
        assert f"pool app: backend {held.address} removed: 1 requests in flight finish" in said["changes"]
        two[0].release()
        two[1].release()
        del second, kept


def test_a_bad_file_and_a_refused_one(ballast, origins):
    port, one = free_port(), origins(1)
    b = ballast(conf(web(port), one))
    b.write("nonsense = 1\n", raw=True)
    done = plan(b, "--exit-code")
    assert done.returncode == 1 and f"{b.conf_path}:1: error:" in done.stderr
    b.write(conf(web(port), one, f'pid_file = "{b.pid_path}2"'))
    done = plan(b, "--exit-code")
    assert done.returncode == 1 and "needs a restart" in done.stdout
    assert json.loads(plan(b, "--json").stdout)["refusals"] == [f'changing pid_file from "{b.pid_path}" to "{b.pid_path}2" needs a restart']


def test_no_instance_and_wrong_usage(tmp_path):
    done = run("plan", "--pid", 999999999)
    assert done.returncode == 1 and "999999999" in done.stderr
    assert run("plan", "--exit-code=1").returncode == 2


def test_instance_from_flags(ballast, origins, tmp_path):
    port, one = free_port(), origins(1)
    b = ballast(argv=["run", "--listen", f"127.0.0.1:{port}", "--backend", one[0].address])
    done = run("plan", "--pid", b.pid)
    assert done.returncode == 1 and "-c" in done.stderr
    file = tmp_path / "new.conf"
    file.write_text(conf(web(port), one))
    done = plan(b, "--json", file=str(file))
    assert json.loads(done.stdout)["pid"] == b.pid, done.stderr


def test_reloads_are_remembered(ballast, origins):
    port, two = free_port(), origins(2)
    b = ballast(conf(web(port), two))
    assert b.admin("/lb/reloads") == {"generation": 1, "reloads": []}
    b.reload(conf(web(port), type(two)(two[:1])), number=signal.SIGHUP)
    b.reload_refused("nonsense = 1\n", raw=True)
    b.request("POST", "/lb/reload")
    wait_until(lambda: len(b.admin("/lb/reloads")["reloads"]) == 3)
    third, second, first = b.admin("/lb/reloads")["reloads"]
    assert first["result"] == "adopted" and first["generation"] == 2 and first["asked_by"] == "signal"
    assert any("removed" in c for c in first["changes"])
    assert second["result"] == "refused" and "1: error:" in second["errors"][0] and second["generation"] == 2
    assert third["asked_by"] == "api" and third["result"] == "refused"
    import os
    os.kill(b.table["admin"], signal.SIGKILL)
    wait_until(lambda: len(b.admin("/lb/reloads")["reloads"]) == 3, what="the master told the next admin")
    for _ in range(25):
        b.request("POST", "/lb/reload")
    wait_until(lambda: len(b.admin("/lb/reloads")["reloads"]) == 20)


def test_routes_conditions_and_the_contents_of_files(ballast, origins, tmp_path):
    """What is in a file counts, not only its path; `ballast plan` and the reload agree."""
    ca, port, tls_port, two = tls.Authority(tmp_path / "ca"), free_port(), free_port(), origins(2)
    cert, key = tmp_path / "site.crt", tmp_path / "site.key"
    users, page, token, admin = tmp_path / "users", tmp_path / "page", tmp_path / "token", free_port()

    def files(name, password, text):
        made = ca.issue(name, [f"{name}.test"])
        shutil.copy(made[0], cert)
        shutil.copy(made[1], key)
        users.write_text(f"u:{password}\n")
        page.write_text(text)
        token.write_text(f"token-{text}\n")

    def text(route_pool, path):
        return f"""
conditions = {{ beta = {{ path = "{path}" }} }}
listeners = {{
  web = {{ bind = "127.0.0.1:{port}", pool = "app", auth = {{ basic = "{users}" }},
          error_pages = ( {{ status = "404", file = "{page}" }} ),
          routes = ( {{ path = "/a/", pool = "{route_pool}" }}, {{ when = "beta", pool = "app" }} ) }}
  safe = {{ bind = "127.0.0.1:{tls_port}", pool = "app", tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }} }}
}}
pools = {{ app = {{ backends = [ "{two[0].address}" ] }}, two = {{ backends = [ "{two[1].address}" ] }} }}
admin = {{ bind = "127.0.0.1:{admin}", token_file = "{token}" }}
"""

    files("one", "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=", "one")
    b = ballast(text("app", "/x"), admin_port=admin)
    b.token = "token-one"
    assert plan(b, "--exit-code").returncode == 0
    files("two", "{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=", "two")
    b.write(text("two", "/y"))
    wanted = json.loads(plan(b, "--json").stdout)["changes"]
    assert sorted(wanted) == sorted([
        'condition beta: path: [ "/x" ] -> [ "/y" ]',
        'listener web: route path [ "/a/" ]: pool: "app" -> "two"',
        *(f"the contents of {f} change" for f in (cert, key, users, page, token)),
    ])
    assert b.admin("/lb/reload", "POST")["changes"] == wanted
    assert plan(b, "--exit-code").returncode == 0
