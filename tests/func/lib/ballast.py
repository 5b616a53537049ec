"""One running instance of ballast, and the other commands of the binary."""

import os
import pwd
import re
import subprocess
from signal import SIGKILL, SIGTERM, SIGUSR2

from lib import http, procs
from lib.net import free_port, listening
from lib.wait import poll, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
START_S = 30.0
STOP_S = 30.0
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:")
SETTING = r"(?m)^\s*{}\s*[=:]"


def binary():
    """The program under test: $BALLAST_BIN, or what `make` built."""
    return os.path.abspath(os.environ.get("BALLAST_BIN") or os.path.join(ROOT, "build", "ballast"))


def sanitized():
    """Is the program under test built with AddressSanitizer, which brings an allocator of its own?"""
    with open(binary(), "rb") as f:
        return b"__asan_init" in f.read()


def environment(extra=None):
    env = dict(os.environ)
    env.setdefault("ASAN_OPTIONS", "abort_on_error=0:exitcode=99:detect_stack_use_after_return=0")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "JOURNAL_STREAM"):
        env.pop(name, None)
    env.update(extra or {})
    return env


def run(*args, timeout=60.0, stdin=None, env=None, cwd=None):
    """Runs `ballast ARGS` to its end: a CompletedProcess with text in stdout and stderr."""
    done = subprocess.run([binary(), *map(str, args)], input=stdin, stdin=None if stdin else subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout, env=environment(env), cwd=cwd)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


class Ballast:
    """An instance in a directory of its own.

    text: the configuration. What it does not set at top level is put before it: admin on a free port, pid_file in the
    directory, two workers, no change of user when started as root, log to stderr at level info, a short drain_timeout.
    argv: instead of a text, the arguments after `ballast` (then admin_port says where the admin API is, if anywhere).
    """

    def __init__(self, directory, text=None, argv=None, admin_port=None, env=None, wait=True, workers=2, prefix=(),
                 log_level="info", user=None):
        self.directory = str(directory)
        self.conf_path = os.path.join(self.directory, "ballast.conf")
        self.log_path = os.path.join(self.directory, "log")
        self.state_path = os.path.join(self.directory, "state")
        self.pid_path = os.path.join(self.directory, "ballast.pid")
        self.admin_port = admin_port
        self.workers, self.log_level = workers, log_level
        self.user = user or pwd.getpwuid(os.getuid()).pw_name
        self.stopped = False
        self.expect_crash = False  # a test that kills the master on purpose sets it: then only leftovers are checked
        self.token = None
        if text is not None:
            self.write(text)
            argv = ["run", "-c", self.conf_path]
        self.argv = [*prefix, binary(), *map(str, argv)]
        self._log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                                        env=environment(env), cwd=self.directory, start_new_session=True)
        self.session = self.process.pid
        if wait:
            self.wait_ready()

    # ---- configuration -------------------------------------------------------------------------------------------
    def full_text(self, text):
        """The configuration with what this instance adds."""
        if self.admin_port is None and not re.search(SETTING.format("admin"), text):
            self.admin_port = free_port()
        added = {
            "pid_file": f'"{self.pid_path}"',
            "state_file": f'"{self.state_path}"',
            "workers": str(self.workers),
            "user": f'"{self.user}"',
            "drain_timeout": '"5s"',
            "log": f'{{ level = "{self.log_level}" }}',
        }
        if self.admin_port is not None:
            added["admin"] = f'{{ bind = "127.0.0.1:{self.admin_port}" }}'
        lines = [f"{name} = {value}" for name, value in added.items() if not re.search(SETTING.format(name), text)]
        # After the test's own text, so that the line numbers in messages are those of the test.
        return text.rstrip("\n") + "\n" + "\n".join(lines) + "\n"

    def write(self, text, raw=False):
        """Replaces the configuration file, as an editor does: a new file renamed over the old one."""
        new = self.conf_path + ".new"
        with open(new, "w", encoding="utf-8") as f:
            f.write(text if raw else self.full_text(text))
        os.replace(new, self.conf_path)

    # ---- life ----------------------------------------------------------------------------------------------------
    @property
    def pid(self):
        """The master."""
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def wait_ready(self, seconds=START_S):
        def ready():
            assert self.running(), f"exited with {self.process.returncode} while starting:\n{self.log()}"
            if self.admin_port is not None:
                return self.request("GET", "/health/live", deadline=5.0).status == 200
            return any(listening(port) for port in self._ports())

        problem = None
        try:
            wait_until(lambda: not self.running() or ready(), seconds, "ready")
        except AssertionError as error:
            problem = error
        if problem or not self.running():
            raise AssertionError(f"ballast did not become ready (status {self.process.poll()}): {problem}\n{self.log()}")

    def _ports(self):
        words = " ".join(self.argv)
        if os.path.exists(self.conf_path):
            with open(self.conf_path, encoding="utf-8") as f:
                words += f.read()
        return [int(p) for p in re.findall(r"(?:--listen[ =]|bind\s*=\s*\[?\s*\")\S*?:(\d+)", words)]

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self, seconds=STOP_S):
        """Waits for the master's end: its exit status (negative: the signal that killed it)."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {seconds:g} s later; processes {self.table}\n{self.log()}")

    def stop(self, number=SIGTERM, seconds=STOP_S):
        """Asks to stop and asserts that it ends with status 0 and leaves nothing behind."""
        self.stopped = True
        if self.running():
            self.signal(number)
        status = self.wait(seconds)
        assert status == 0, f"exit status {status}\n{self.log()}"
        self.check_clean()

    def check_clean(self):
        """Nothing is left of a finished instance: no process, no table, no sanitizer report."""
        left = poll(lambda: not procs.in_session(self.session), 10.0)
        assert left, f"processes left: { {p: procs.title(p) for p in procs.in_session(self.session)} }\n{self.log()}"
        if not self.expect_crash:
            shm = f"/dev/shm/ballast.{self.pid}"
            assert not os.path.exists(shm), f"{shm} is left\n{self.log()}"
            assert not os.path.lexists(shm + ".lease"), f"{shm}.lease is left\n{self.log()}"
        self.check_log()

    def check_log(self):
        text = self.log()
        assert not SANITIZER.search(text), f"sanitizer report:\n{text}"
        assert "Assertion" not in text, f"assertion:\n{text}"

    def close(self):
        """End of the test: stops what still runs, asserts a clean end, and removes leftovers of a crash."""
        try:
            if not self.stopped and not self.expect_crash:
                self.stop()
            else:
                self._kill()
                self.check_clean()
        finally:
            self._kill()
            self._log.close()
            shm = f"/dev/shm/ballast.{self.pid}"
            for path in (shm, shm + ".lease"):
                if os.path.lexists(path):
                    os.unlink(path)

    def _kill(self):
        for pid in [self.pid] if self.running() else []:
            os.kill(pid, SIGKILL)
            self.process.wait()
        if not poll(lambda: not procs.in_session(self.session), 8.0 if self.expect_crash else 0.5):
            for pid in procs.in_session(self.session):
                os.kill(pid, SIGKILL)

    # ---- looking at it ---------------------------------------------------------------------------------------------
    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    @property
    def table(self):
        """Living children by role, as their titles say: {"worker 0": pid, ..., "health": pid, "admin": pid}."""
        out = {}
        for pid in procs.children(self.pid):
            name = procs.title(pid)
            if name.startswith("ballast: "):
                out[name[len("ballast: "):]] = pid
        return out

    @property
    def worker_pids(self):
        return {name: pid for name, pid in self.table.items() if name.startswith("worker ")}

    # ---- admin API ---------------------------------------------------------------------------------------------------
    def request(self, method, path, body=None, headers=(), deadline=10.0):
        headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
        if self.token:
            headers.append(("Authorization", f"Bearer {self.token}"))
        return http.request(self.admin_port, method, path, headers, body, deadline, f"127.0.0.1:{self.admin_port}")

    def admin(self, path, method="GET", body=None, status=200):
        """The JSON the admin API answers; asserts the status."""
        response = self.request(method, path, body)
        assert response.status == status, f"{method} {path}: {response.status} {response.text}"
        return response.json()

    def metrics(self):
        """{"name{labels}": value} of GET /metrics."""
        out = {}
        for line in self.request("GET", "/metrics").text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                out[name] = float(value)
        return out

    @property
    def generation(self):
        return self.request("GET", "/lb/health").json()["generation"]  # 503 when a pool is down

    def events(self, since=0):
        return self.admin(f"/lb/events?since={since}")["events"]

    def backends(self):
        """Backends by name."""
        return {b["name"]: b for b in self.admin("/lb/backends")["backends"]}

    def servers(self):
        """server_details by id."""
        return {s["id"]: s for s in self.admin("/lb/stats")["server_details"]}

    def wait_status(self, name, status, seconds=30.0):
        wait_until(lambda: self.backends()[name]["status"] == status, seconds, f"backend {name} {status}")

    def wait_healthy(self, seconds=30.0):
        """Until the first check of every backend passed: before, those that are known to be healthy come first."""
        wait_until(lambda: all(b["status"] == "healthy" for b in self.backends().values()), seconds, "all backends healthy")

    # ---- changing it -------------------------------------------------------------------------------------------------
    def reload(self, text=None, number=SIGUSR2, seconds=30.0):
        """Replaces the configuration (if given), sends the signal and waits until every process serves the new generation."""
        before = self.generation
        if text is not None:
            self.write(text)
        self.signal(number)
        wait_until(lambda: self.generation > before and self.adopted(), seconds, f"all on a generation after {before}")

    def adopted(self):
        """Every process serves the instance's generation: GO reaches each of them in its own time."""
        generation, rows = self.generation, self.admin("/lb/workers")
        return all(p["generation"] == generation for p in rows["workers"] + rows["services"] if p["state"] == "ready")

    def reloads(self, result):
        """How many reloads ended so: "ok" or "failed"."""
        return self.metrics()[f'ballast_reloads_total{{result="{result}"}}']

    def reload_refused(self, text, raw=False, seconds=30.0):
        """Reloads a file that must be refused; returns the new part of the log."""
        before, start = self.generation, len(self.log())
        failed = self.reloads("failed")
        self.write(text, raw)
        self.signal(SIGUSR2)
        wait_until(lambda: self.reloads("failed") > failed, seconds, "reload refused")
        assert self.generation == before
        return self.log()[start:]
