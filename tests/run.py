#!/usr/bin/python3
"""Runs the tests of one or more builds and adds up the counts.

    tests/run.py [--unit | --func] [-j N] BUILD... [FILE...]

The last line is `N passed, N failed`; the exit status is 0 only when something passed and nothing failed. A unit
program ends its output with its own `N passed, N failed`; the end-to-end tests are pytest's.
"""

import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COUNTS = re.compile(r"(\d+) passed, (\d+) failed")
SUMMARY = re.compile(r"(\d+) (passed|failed|errors?|skipped)\b")
UNIT_TIMEOUT_S = 600
FUNC_TIMEOUT_S = 1500
AGAIN_MAX = 5  # more failures than this are no accident


def say(text):
    print(text, flush=True)


def run_unit(program):
    """(passed, failed, output) of one unit program."""
    try:
        done = subprocess.run([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=UNIT_TIMEOUT_S, cwd=ROOT)
    except subprocess.TimeoutExpired as error:
        return 0, 1, f"no end after {error.timeout} s"
    found = COUNTS.findall(done.stdout)
    passed, failed = map(int, found[-1]) if found else (0, 0)
    if done.returncode != 0 and failed == 0:
        failed = 1
    if not found and done.returncode == 0:
        return 0, 1, done.stdout + "\nit ended without saying how many tests passed"
    return passed, failed, done.stdout


def unit(build, jobs):
    sources = sorted(glob.glob("tests/unit/*/test_*.c", root_dir=ROOT) +
                     glob.glob("tests/unit/*/*/test_*.c", root_dir=ROOT))
    programs = [os.path.join(ROOT, build, source[:-2]) for source in sources]
    total_passed = total_failed = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for program, (passed, failed, output) in zip(programs, pool.map(run_unit, programs)):
            total_passed, total_failed = total_passed + passed, total_failed + failed
            if failed:
                say(f"FAILED {os.path.relpath(program, ROOT)}\n{output}")
    say(f"unit tests of {build}: {total_passed} passed, {total_failed} failed")
    return total_passed, total_failed


def count(output):
    """(passed, failed) of pytest's last summary line."""
    for line in reversed(output):
        found = dict((kind.rstrip("s"), int(n)) for n, kind in SUMMARY.findall(line))
        if found and " in " in line:
            return found.get("passed", 0), found.get("failed", 0) + found.get("error", 0)
    return 0, 0


def pytest(build, arguments):
    """(status, passed, failed, names of those that failed) of one run of pytest."""
    env = dict(os.environ, BALLAST_BIN=os.path.join(ROOT, build, "ballast"), PYTHONDONTWRITEBYTECODE="1")
    command = ["/usr/bin/python3", "-m", "pytest", "-q", *arguments]
    process = subprocess.Popen(["timeout", "-k", "10", str(FUNC_TIMEOUT_S), *command], env=env, cwd=ROOT,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace")
    output = []
    for line in process.stdout:
        output.append(line)
        print(line, end="", flush=True)
    status = process.wait()
    names = [line.split(" - ")[0].split(" ", 1)[1].strip() for line in output if line.startswith(("FAILED ", "ERROR "))]
    return (status, *count(output), names)


def func(build, jobs, files):
    """(passed, failed) of the end-to-end tests. What failed is run again alone: a test that passes then met a machine
    that had no time for it, and is named as unsteady; one that fails twice has failed."""
    status, passed, failed, names = pytest(build, ["-r", "fEs", *(["-n", str(jobs)] if jobs > 1 else []), *files])
    if status == 1 and 0 < failed == len(names) <= AGAIN_MAX:
        say(f"{failed} of {build} failed: again, one at a time")
        status, again, failed, _ = pytest(build, ["-v", "-r", "f", *names])
        passed += again
        say(f"UNSTEADY: {again} passed only when run alone")
    if status != 0 and failed == 0:
        say(f"pytest ended with status {status}")
        failed = 1
    say(f"end-to-end tests of {build}: {passed} passed, {failed} failed")
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description="Runs the tests of one or more builds.")
    parser.add_argument("--unit", action="store_true", help="only the unit tests")
    parser.add_argument("--func", action="store_true", help="only the end-to-end tests")
    parser.add_argument("-j", type=int, default=4, help="tests at a time")
    parser.add_argument("what", nargs="+", help="build directories, then test files")
    args = parser.parse_args()
    builds = [w for w in args.what if not w.endswith(".py") and ".py::" not in w]
    files = [w for w in args.what if w not in builds] or ["tests/func"]
    counts = []
    for build in builds:
        if not args.func:
            counts.append(unit(build, args.j))
        if not args.unit:
            counts.append(func(build, args.j, files))
    passed, failed = sum(c[0] for c in counts), sum(c[1] for c in counts)
    say(f"{passed} passed, {failed} failed")
    sys.exit(0 if passed and not failed else 1)


main()
