"""What the processes beside the master can do with files: Landlock."""

import ctypes
import os
import re
import subprocess

import pytest

from lib import http, tls
from lib.ballast import sanitized
from lib.net import free_port
from lib.wait import wait_until

LANDLOCK_CREATE_RULESET = 444
DENIED, OPENED = "Permission denied", "opened"


def landlock():
    return ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1) > 0


pytestmark = [pytest.mark.skipif(sanitized(), reason="sanitizers look at their process through /proc"),
              pytest.mark.skipif(not landlock(), reason="this kernel has no Landlock")]


@pytest.fixture
def tries(ballast, origin, tmp_path):
    """tries(sandbox): an instance that notes what came of opening files: .tried(process)."""
    library, room = tmp_path / "open.so", tmp_path / "room"
    source = os.path.join(os.path.dirname(__file__), "lib", "open_at_accept.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), source], check=True, timeout=60)
    room.mkdir(mode=0o777)
    room.chmod(0o777)

    def start(sandbox):
        port = free_port()
        b = ballast(f'''sandbox = {sandbox}
            listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
            pools = {{ app = {{ backends = [ "{origin().address}" ], health = {{ type = "none" }} }} }}''',
                    env={"LD_PRELOAD": str(library), "TRY_IN": str(room)})
        b.port, b.room = port, room

        def tried(name):
            return re.findall(rf"TRIED {name}[^\n:]*: read: ([^;]*); write: ([^\n]*)", b.log())

        b.tried = tried
        return b

    return start


def test_a_worker_opens_nothing_and_the_admin_process_reads(tries):
    b = tries("true")
    assert http.get(b.port, "/").status == 200
    assert b.request("GET", "/lb/stats").status == 200
    assert wait_until(lambda: b.tried("ballast:w"))[0] == (DENIED, DENIED)
    assert wait_until(lambda: b.tried("ballast:admin"))[0] == (OPENED, DENIED)
    assert not os.listdir(b.room)
    assert "memory" in b.request("GET", "/health/detailed").text, "it reads that below /proc"


def test_without_it(tries):
    b = tries("false")
    assert http.get(b.port, "/").status == 200
    assert wait_until(lambda: b.tried("ballast:w"))[0] == (OPENED, OPENED)


def test_tls_that_comes_with_a_reload(ballast, origin, tmp_path):
    """The worker has no TLS when it goes into its sandbox; OpenSSL reads its settings later."""
    port, o, ca = free_port(), origin(), tls.Authority(tmp_path / "ca")
    plain = f'''listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
        pools = {{ app = {{ backends = [ "{o.address}" ], health = {{ type = "none" }} }} }}'''
    b = ballast(plain)
    assert http.get(port, "/").status == 200
    cert, key = ca.issue("a", ["a.test"])
    b.reload(plain.replace('pool = "app" }', f'pool = "app", tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }} }}', 1))
    assert wait_until(lambda: tls.get(port, ca.context())).status == 200
