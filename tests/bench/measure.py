"""What a run costs: processor time and memory of a process tree from /proc, requests and latencies from the load
generators (wrk, h2load, handshakes.c)."""

import os
import re
import subprocess

TICKS = os.sysconf("SC_CLK_TCK")
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


def stat_fields(pid):
    """/proc/PID/stat from the third field on, or None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rpartition(b")")[2].split()
    except OSError:
        return None


def tree(root):
    """A process and all its descendants."""
    children = {}
    for name in os.listdir("/proc"):
        fields = stat_fields(name) if name.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(name))
    pids = [root]
    for pid in pids:
        pids += children.get(pid, [])
    return pids


def cpu_s(root):
    """(user, system) seconds a process and its descendants have used, those that ended and were waited for included."""
    user = system = 0
    for pid in tree(root):
        fields = stat_fields(pid)
        if fields:
            user += int(fields[11]) + int(fields[13])
            system += int(fields[12]) + int(fields[14])
    return user / TICKS, system / TICKS


def pss_kb(root):
    total = 0
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        except (OSError, AttributeError):
            continue
    return total


def latency_us(text, percentile):
    found = re.search(rf"^\s+{percentile}%\s+([\d.]+)(us|ms|s|m)", text, re.M)
    return float(found.group(1)) * UNITS[found.group(2)] if found else None


def failures(text):
    """Socket errors of any kind and answers that are neither 2xx nor 3xx."""
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return sum(map(int, errors.groups())) if errors else 0, int(other.group(1)) if other else 0


def wrk(url, connections, seconds, headers, pin):
    """Runs wrk on one thread: requests, seconds, p50/p99 in us, failed."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    for header in headers:
        command += ["-H", header]
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 60, preexec_fn=pin)
    found = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", done.stdout)
    if done.returncode != 0 or not found:
        raise RuntimeError(f"wrk {url}: {done.stdout}{done.stderr}")
    return {
        "requests": int(found.group(1)),
        "seconds": float(found.group(2)) * UNITS[found.group(3)] / 1e6,
        "p50_us": latency_us(done.stdout, 50),
        "p99_us": latency_us(done.stdout, 99),
        "failed": sum(failures(done.stdout)),
    }


def h2load(url, connections, streams, seconds, pin):
    """HTTP/2, so many streams on each connection."""
    command = ["h2load", f"-c{connections}", f"-m{streams}", f"-D{seconds}", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, preexec_fn=pin)
    found = re.search(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed", done.stdout)
    if done.returncode != 0 or not found:
        raise RuntimeError(f"h2load {url}: {done.stdout}{done.stderr}")
    good = int(found.group(3))  # the time ends with requests on their way: those were not done
    return {"requests": good, "seconds": float(seconds), "p50_us": None, "p99_us": None, "failed": int(found.group(2)) - good}


def handshakes(program, port, processes, seconds, pin):
    """Connections that resume a session, one request each; one that is not resumed (but the first) has failed."""
    done = subprocess.run([program, str(port), str(seconds), str(processes)], capture_output=True, text=True,
                          timeout=seconds + 60, check=True, preexec_fn=pin)
    requests, failed, resumed = map(int, done.stdout.split())
    return {"requests": requests, "seconds": float(seconds), "p50_us": None, "p99_us": None,
            "failed": failed + max(0, requests - resumed - processes)}
