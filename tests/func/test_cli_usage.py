"""The commands that need no running instance: help, version, check, show, advise, and what wrong usage gets."""

import json
import os
import socket
import subprocess

import pytest

from lib.ballast import binary, environment, run

GOOD = """
listeners = { web = { bind = "127.0.0.1:18080", pool = "app" } }
pools = { app = { backends = [ "127.0.0.1:9001", "127.0.0.1:9002" ] } }
"""
COMMANDS = ("run", "check", "show", "reload", "stop", "quit", "reopen", "top", "events", "backend", "load", "demo", "advise", "help")


@pytest.fixture
def conf(tmp_path):
    def write(text):
        path = tmp_path / "ballast.conf"
        path.write_text(text)
        return str(path)

    return write


def test_version():
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("ballast ") and done.stdout.split()[1][0].isdigit()


def test_overview_names_every_command():
    for words in (["--help"], ["help"]):
        done = run(*words)
        assert done.returncode == 0
        for name in COMMANDS:
            assert f"\n  {name} " in done.stdout, name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    done = run("help", name)
    assert done.returncode == 0
    assert f"usage: ballast {name}" in done.stdout


@pytest.mark.parametrize("name", [c for c in COMMANDS if c != "help"])
def test_every_command_takes_help(name):
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"ballast {name}" in done.stdout


@pytest.mark.parametrize("topic, word", [("options", "max_connections"), ("signals", "USR2"), ("exit-status", "wrong usage")])
def test_topics(topic, word):
    done = run("help", topic)
    assert done.returncode == 0
    assert word in done.stdout


@pytest.mark.parametrize("words, hint", [
    (["chekc"], "did you mean `check`?"),
    (["relaod"], "did you mean `reload`?"),
    (["plan", "--exitcode"], "did you mean `--exit-code`?"),
    (["upgrad"], "did you mean `upgrade`?"),
    (["xyzzy"], "unknown command `xyzzy`"),
    (["help", "optoins"], "did you mean `options`?"),
    (["help", "xyzzy"], "nothing is known of `xyzzy`"),
    (["help", "wieght"], "did you mean `weight`?"),
    (["help", ""], "nothing is known"),
    (["help", "*"], "nothing is known"),
    (["help", "."], "nothing is known"),
    (["top", "--jsno"], "did you mean `--json`?"),
    (["check", "-q"], "unknown option `-q`"),
    (["check", "--config"], "wants a value"),
    (["check", "more", "words"], "unexpected word `more`"),
    (["top", "--pid", "twelve"], "not a process id"),
    (["top", "--once=1"], "takes no value"),
    (["top", "--interval", "1"], "a unit"),
    (["top", "--interval", "1ms"], "at least"),
    (["backend"], "--port"),
    (["backend", "--port", "0"], "--port"),
    (["backend", "--port", "65536"], "whole number"),
    (["backend", "--port", "1", "--fail-rate", "1.5"], "from 0 to 1"),
    (["backend", "--ports", "8003-8001"], "8001-8003"),
    (["backend", "--port", "1", "--body-size", "5q"], "size"),
    (["advise", "--uneven", "--homogeneous"], "either"),
])
def test_wrong_usage(words, hint):
    done = run(*words)
    assert done.returncode == 2, done.stderr
    assert hint in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("name, words, never", [
    ("weight", ["pools.*.backends.weight", "default 1", "0 to 256", "listeners.*.routes.split.weight"], ["pools.*.health"]),
    ("health.interval", ["pools.*.health.interval", 'default "10s"'], ["timeout", "weight"]),
    ("pools.health.interval", ["pools.*.health.interval"], ["timeout"]),
    ("circuit_breaker", ["pools.*.circuit_breaker.failure_threshold", "default 5", "success_threshold"], ["health"]),
    ("drain_timeout", ["drain_timeout", 'default "30s"'], ["connect"]),
    ("maxconn", ["max_connections"], ["weight"])])
def test_settings_are_explained(name, words, never):
    done = run("help", name)
    assert done.returncode == 0
    titles = "\n".join(line for line in done.stdout.splitlines() if line and line[0] != " ")
    assert all(word in done.stdout for word in words) and not any(word in titles for word in never), done.stdout
    assert all(len(line) <= 78 for line in done.stdout.splitlines() if line.startswith(" ")) and "`" not in done.stdout


def test_every_setting_of_the_page_is_explained():
    page = run("help", "options").stdout
    for name in {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}:
        done = run("help", name)
        assert done.returncode == 0 and name in done.stdout, name


def test_check_says_ok(conf):
    path = conf(GOOD)
    for words in (["check", "-c", path], ["check", f"--config={path}"], ["check", f"-c{path}"], ["-t", "-c", path]):
        done = run(*words)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}: ok\n", ""), words


def test_check_reports_every_error_with_its_place(conf):
    path = conf(GOOD.replace("pool = ", "pol = ").replace("backends = ", "balance = \"leastconn\", backends = "))
    done = run("check", "-c", path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{path}:2: error:" in done.stderr and 'did you mean "pool"?' in done.stderr
    assert f"{path}:3: error:" in done.stderr and "least_connections" in done.stderr


def test_check_of_a_file_that_is_not_there(tmp_path):
    done = run("check", "-c", tmp_path / "none.conf")
    assert done.returncode == 1
    assert "No such file" in done.stderr


def test_show_prints_defaults_and_loads_again(conf, tmp_path):
    first = run("show", "-c", conf(GOOD))
    assert first.returncode == 0
    assert "drain_timeout" in first.stdout and "max_connections" in first.stdout
    again = tmp_path / "again.conf"
    again.write_text(first.stdout)
    second = run("show", "-c", again)
    assert second.returncode == 0, second.stderr
    assert second.stdout == first.stdout


def test_show_json_without_secrets(conf, tmp_path):
    token = tmp_path / "token"
    token.write_text("open-sesame\n")
    path = conf(GOOD + f'admin = {{ bind = "127.0.0.1:19900", token_file = "{token}" }}\n')
    done = run("show", "--json", "-c", path)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["pools"]["app"]["balance"] == "round_robin"
    assert "open-sesame" not in done.stdout
    assert "open-sesame" not in run("show", "-c", path).stdout


def test_show_of_a_bad_file(conf):
    done = run("show", "-c", conf("listeners = {"))
    assert done.returncode == 1
    assert done.stdout == "" and "error:" in done.stderr


@pytest.mark.parametrize("flags, algorithm", [
    ([], "round_robin"),
    (["--homogeneous"], "round_robin"),
    (["--uneven"], "weighted_round_robin"),
    (["--long"], "least_connections"),
    (["--long", "--uneven"], "weighted_least_connections"),
    (["--sessions"], "ip_hash"),
    (["--sessions", "--churn"], "consistent_hash"),
    (["--sessions", "--churn", "--long"], "consistent_hash"),
])
def test_advise(flags, algorithm, conf):
    done = run("advise", *flags)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == f'balance = "{algorithm}"'
    # What is not said to be missing must be accepted.
    path = conf(GOOD.replace("backends =", f'balance = "{algorithm}", backends ='))
    assert (run("check", "-c", path).returncode != 0) == ("not available" in done.stdout)


def test_no_instance_is_an_error(tmp_path):
    path = tmp_path / "ballast.conf"
    path.write_text(GOOD)
    for name in ("reload", "stop", "quit", "reopen", "top", "events"):
        done = run(name, "-c", path)
        assert done.returncode == 1, name
        assert "no instance runs with" in done.stderr
        assert run(name, "--pid", os.getpid()).returncode == 1


def test_demo_takes_no_options():
    assert run("demo", "--fast").returncode == 2


def test_backend_on_a_taken_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        done = run("backend", "--port", s.getsockname()[1])
    assert done.returncode == 1
    assert "cannot listen on 127.0.0.1:" in done.stderr


@pytest.mark.parametrize("words", [["--version"], ["help"], ["help", "options"], ["show"], ["show", "--json"], ["check"], ["advise"]])
def test_output_that_is_lost_is_an_error(conf, words):
    """A full disk under `ballast show > backup.conf`."""
    argv = [*words, "-c", conf(GOOD)] if words[0] in ("show", "check") else words
    with open("/dev/full", "wb") as full:
        done = subprocess.run([binary(), *argv], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=30, env=environment())
    assert done.returncode == 1 and "No space left on device" in done.stderr


def test_a_reader_that_leaves_is_no_error_message(conf):
    for name in ("show", "help"):
        argv = [binary(), "show", "-c", conf(GOOD)] if name == "show" else [binary(), "help", "options"]
        source, sink = os.pipe()
        os.close(source)
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.PIPE, text=True, timeout=30,
                              env=environment())
        os.close(sink)
        assert done.stderr == "" and done.returncode != 0


@pytest.mark.parametrize("command", ["reload", "stop", "quit", "reopen", "upgrade", "top", "events", "plan"])
@pytest.mark.parametrize("pid", ["0", "-1", "abc", "4294967296"])
def test_a_pid_is_one(command, pid):
    """0 is not "whichever runs"."""
    done = run(command, f"--pid={pid}")
    assert done.returncode == 2 and "not a process id" in done.stderr


@pytest.mark.skipif(os.path.exists("/etc/ballast/ballast.conf"), reason="ballast is installed here")
def test_first_contact_says_what_to_try():
    done = run()
    assert done.returncode == 1
    assert "/etc/ballast/ballast.conf" in done.stderr and "ballast demo" in done.stderr
