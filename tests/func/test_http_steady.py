"""What a request costs in steady state: system calls and allocations, counted from outside."""

import os
import re
import shutil
import signal
import struct
import subprocess
import threading

import pytest

from lib import http
from lib.ballast import sanitized
from lib.net import free_port
from lib.wait import wait_until

CLIENTS = 16


def start(ballast, origin, top="", protocol="http", **options):
    port = free_port()
    instance = ballast(f"""
{top}
listeners = {{ web = {{ bind = "127.0.0.1:{port}", protocol = "{protocol}", pool = "app" }} }}
pools = {{ app = {{ backends = [ "{origin.address}" ], health = {{ type = "none" }} }} }}
""", workers=1, **options)
    instance.port = port
    return instance


class Talk:
    """Keep-alive clients in threads that send requests until told to stop."""

    def __init__(self, port):
        self.done, self.counts = threading.Event(), [0] * CLIENTS
        self.threads = [threading.Thread(target=self._run, args=(port, i)) for i in range(CLIENTS)]
        for t in self.threads:
            t.start()

    def _run(self, port, i):
        with http.Client(port) as c:
            while not self.done.is_set():
                assert c.get("/").status == 200
                self.counts[i] += 1

    @property
    def total(self):
        return sum(self.counts)

    def __enter__(self):
        wait_until(lambda: min(self.counts) > 20, 30, "warm connections")
        return self

    def __exit__(self, *_):
        self.done.set()
        for t in self.threads:
            t.join(20)


def worker(instance):
    return list(instance.worker_pids.values())[0]


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("protocol", ["http", "tcp"])
@pytest.mark.parametrize("together", ["true", "false"])
def test_four_data_calls_at_most_and_no_epoll_ctl_per_request(ballast, origin, tmp_path, together, protocol):
    b = start(ballast, origin(keep_requests=False), f"io_uring = {together}", protocol)
    out = tmp_path / "strace"
    with Talk(b.port) as talk:
        tracer = subprocess.Popen(["strace", "-c", "-o", str(out), "-p", str(worker(b))], stderr=subprocess.PIPE)
        if b"attached" not in tracer.stderr.readline():
            tracer.wait(10)
            pytest.skip("this system does not let strace attach")
        before = talk.total
        wait_until(lambda: talk.total > before + 1000, 60, "a thousand requests")
        tracer.send_signal(signal.SIGINT)
        tracer.wait(20)
        requests = talk.total - before
    calls = {m[2]: int(m[1]) for m in re.finditer(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", out.read_text(), re.M)}
    calls.pop("total", None)
    receives, sends, rings = calls.pop("recvfrom", 0), calls.pop("sendto", 0), calls.pop("io_uring_enter", 0)
    assert receives < 2.1 * requests and sends < 2.1 * requests and receives + sends + rings < 4.1 * requests
    if together == "true":
        assert rings > 0
    else:
        assert rings == 0 and receives > 1.5 * requests and sends > 1.5 * requests
    # What is left is rare: a connection more to the origin, the clock's timer, the allocator's growth.
    own = {"mmap", "munmap"} if sanitized() else set()  # of AddressSanitizer's allocator
    own.add("clock_gettime")  # of a kernel whose clock cannot be read without it for a while, as of a busy virtual machine
    rare = {name: n for name, n in calls.items() if name not in {"epoll_wait"} | own}
    assert sum(rare.values()) / requests < 0.02, calls
    assert rare.get("epoll_ctl", 0) / requests < 0.01, calls


@pytest.fixture
def counted(request, ballast, origin, tmp_path):
    """An instance and a function that says how often its worker has allocated."""
    if sanitized():
        pytest.skip("AddressSanitizer brings its own allocator, and slabs are off under it")
    library, counts = tmp_path / "count.so", tmp_path / "counts"
    source = os.path.join(os.path.dirname(__file__), "lib", "malloc_count.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), source], check=True, timeout=60)
    counts.write_bytes(bytes(4096 * 8))
    b = start(ballast, origin(keep_requests=False), protocol=getattr(request, "param", "http"),
              env={"LD_PRELOAD": str(library), "MALLOC_COUNT_FILE": str(counts)})

    def allocations():
        with open(counts, "rb") as f:
            f.seek(worker(b) % 4096 * 8)
            return struct.unpack("<Q", f.read(8))[0]

    return b, allocations


@pytest.mark.parametrize("counted", ["http", "tcp"], indirect=True)
def test_no_allocation_per_request(counted):
    b, allocations = counted
    with Talk(b.port) as talk:
        assert allocations() > 0
        before, first = allocations(), talk.total
        wait_until(lambda: talk.total > first + 2000, 60, "two thousand requests")
        assert allocations() - before < 20


@pytest.mark.skipif(not shutil.which("h2load"), reason="h2load is not installed")
def test_no_allocation_per_stream(counted):
    """Two connections and whatever they need, but nothing for each of their streams."""
    b, allocations = counted

    def load(requests):
        out = subprocess.run(["h2load", f"-n{requests}", "-c2", "-m16", f"http://127.0.0.1:{b.port}/"], capture_output=True, text=True,
                             timeout=120).stdout
        assert f"{requests} succeeded" in out, out

    load(1000)
    before = allocations()
    load(1000)
    once = allocations() - before
    load(5000)
    assert allocations() - before - 2 * once < 200, (once, allocations() - before)
