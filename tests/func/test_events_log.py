"""What an operator who logs warnings only gets to read."""

import os
from signal import SIGKILL

from lib.net import free_port
from lib.wait import wait_until


def test_trouble_is_a_warning_and_the_rest_is_not(ballast, origins):
    port, two = free_port(), origins(2)
    text = f"""
log = {{ level = "warning" }}
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }} }}
pools = {{ app = {{ backends = {two.list_text}, health = {{ interval = "100ms", unhealthy_threshold = 1 }} }} }}
"""
    b = ballast(text)
    b.wait_healthy()
    two[0].stop()
    b.wait_status(two[0].address, "unhealthy")
    wait_until(lambda: "event=health" in b.log())
    b.expect_crash = True
    os.kill(b.table["worker 0"], SIGKILL)
    wait_until(lambda: "event=worker" in b.log())
    b.reload_refused(text + "bogus = 1")
    wait_until(lambda: "event=reload" in b.log())
    lines = [line for line in b.log().splitlines() if "event=" in line]
    assert all("level=warning" in line for line in lines)
    assert {line.split(" to=")[1].split()[0] for line in lines} == {"unhealthy", "dead", "refused"}
    b.reload(text)
    assert "to=serving" not in b.log(), "what goes well is no warning"
