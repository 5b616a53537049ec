"""Fixtures of the end-to-end tests.

ballast(text, **kw)      starts an instance (lib.ballast.Ballast), waits until it is ready; stopped and checked at the end
origin(...)              HTTP origin; also recording_origin, tcp_origin, tcp_echo, websocket_origin
The helpers are imported from lib: lib.http (get, request, raw, exchange, Client), lib.net (free_port), lib.wait.
Every instance's log is shown when its test fails.
"""

import os

import pytest

from lib.ballast import Ballast, binary
from lib.origin import Origin, RecordingOrigin, TcpEcho, TcpOrigin, WebSocketEcho


def pytest_sessionstart(session):
    if not os.path.exists(binary()):
        pytest.exit(f"{binary()} does not exist: run `make` first", 3)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for number, instance in enumerate(getattr(item, "ballast_instances", [])):
            report.sections.append((f"log of ballast {number} (pid {instance.pid})", instance.log()[-20000:]))


@pytest.fixture
def ballast(request, tmp_path):
    """Starts instances; at the end each must stop with status 0 and leave nothing behind."""
    instances = request.node.ballast_instances = []

    def start(text=None, **options):
        directory = tmp_path / f"ballast{len(instances)}"
        directory.mkdir(mode=0o755)
        wait = options.pop("wait", True)
        instance = Ballast(directory, text, wait=False, **options)
        instances.append(instance)
        if wait:
            instance.wait_ready()
        return instance

    yield start
    problems = []
    for instance in reversed(instances):
        try:
            instance.close()
        except AssertionError as error:
            problems.append(str(error))
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def _factory(kind):
    @pytest.fixture
    def fixture():
        made = []

        def start(*args, **options):
            made.append(kind(*args, **options))
            return made[-1]

        yield start
        for server in made:
            server.stop()

    return fixture


origin = _factory(Origin)
recording_origin = _factory(RecordingOrigin)
tcp_origin = _factory(TcpOrigin)
tcp_echo = _factory(TcpEcho)
websocket_origin = _factory(WebSocketEcho)


@pytest.fixture
def origins(origin):
    """origins(n): n origins named b1, b2, ...; origins(n).list_text is their addresses for a configuration."""

    class Origins(list):
        @property
        def list_text(self):
            return "[ " + ", ".join(f'"{o.address}"' for o in self) + " ]"

    def start(n, **options):
        return Origins(origin(f"b{i + 1}", **options) for i in range(n))

    return start
