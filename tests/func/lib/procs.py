"""What /proc knows about processes."""

import contextlib
import os
import signal

from lib.wait import wait_until


def stat(pid):
    """state, ppid, session of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return {"state": fields[0].decode(), "ppid": int(fields[1]), "session": int(fields[3])}


def alive(pid):
    """Runs (a zombie does not)."""
    found = stat(pid)
    return found is not None and found["state"] not in ("Z", "X")


def title(pid):
    """As ps shows it: the command line with spaces between the arguments."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().rstrip(b"\0 ").replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def status(pid):
    """/proc/PID/status as a dictionary."""
    out = {}
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        for line in f:
            name, _, value = line.partition(":")
            out[name] = value.strip()
    return out


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(parent):
    """Living children, oldest first."""
    out = []
    for pid in pids():
        found = stat(pid)
        if found and found["ppid"] == parent and found["state"] not in ("Z", "X"):
            out.append(pid)
    return sorted(out)


def in_session(session):
    out = []
    for pid in pids():
        found = stat(pid)
        if found and found["session"] == session and found["state"] not in ("Z", "X"):
            out.append(pid)
    return sorted(out)


def descriptors(pid):
    """Descriptor number -> what it refers to."""
    out = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            out[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
    return out


def memory_kb(pid, field="VmRSS"):
    return int(status(pid)[field].split()[0])


@contextlib.contextmanager
def stopped(pid):
    """It does nothing meanwhile: what comes for it waits, and is there at once when it goes on."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: stat(pid)["state"] == "T", what="stopped")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
