"""What is installed beside the binary: manual pages, completion, the systemd unit, the OpenRC script."""

import importlib.util
import os
import re
import shutil
import subprocess

import pytest

from lib.ballast import ROOT, binary, run

PKG = os.path.join(ROOT, "pkg")
COMMANDS = re.findall(r"(?m)^  ([a-z]+) ", run("help").stdout.split("topics")[0]) if os.path.exists(binary()) else []


def pkg(*parts):
    return os.path.join(PKG, *parts)


def read(*parts):
    with open(pkg(*parts), encoding="utf-8") as f:
        return f.read()


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


def options_of(command):
    """The options of a command's usage line, without --help."""
    usage = run("help", command).stdout
    return set(re.findall(r"--[a-z][a-z-]*", usage)) | set(re.findall(r"(?<![\w-])-[a-z]\b", usage))


@needs("mandoc")
@pytest.mark.parametrize("page", ["ballast.8", "ballast.conf.5", "ballast_client.3"])
def test_manual_pages_are_valid(page):
    done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", pkg("man", page)], capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


def test_the_page_of_settings_is_what_the_program_knows():
    spec = importlib.util.spec_from_file_location("generate", pkg("man", "generate.py"))
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.page(binary()) == read("man", "ballast.conf.5"), "run pkg/man/generate.py build/ballast"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_manual_names_every_command_and_option(command):
    page = read("man", "ballast.8")
    assert re.search(rf"(?m)^\.It Cm {command}$", page)
    for option in options_of(command):
        assert re.search(rf"Fl {re.escape(option[1:])}\b", page), option


def complete(*words):
    """What bash offers for the last word."""
    script = f"""source {pkg('completion', 'ballast.bash')}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ballast; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split("\n")) - {""}


def test_bash_completes_commands():
    assert set(COMMANDS) <= complete("ballast", "")
    assert complete("ballast", "re") == {"reload", "reopen"}
    assert {"options", "signals", "check"} <= complete("ballast", "help", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_completes_every_option(command):
    assert options_of(command) <= complete("ballast", command, "-") | {"-t"}


def test_bash_completes_files_and_algorithms(tmp_path):
    (tmp_path / "my file.conf").touch()
    assert complete("ballast", "check", "-c", f"{tmp_path}/my") == {f"{tmp_path}/my file.conf"}
    known = re.search(r"\| `balance` \| (.*?) \|", run("help", "options").stdout)[1].replace("`", "").split(", ")
    assert complete("ballast", "run", "--algorithm", "") == set(known)
    for shell in ("zsh", "fish"):
        assert set(known) <= set(read("completion", f"ballast.{shell}").replace("(", " ").replace(")", " ").replace("'", " ").split())


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_know_the_same_commands_and_options(shell):
    text = read("completion", f"ballast.{shell}")
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", text), command
        for option in options_of(command):
            name = option.lstrip("-")
            assert option in text or f"-l {name}" in text or f"-s {name}" in text, f"{command} {option}"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_can_read_their_file(shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", pkg("completion", f"ballast.{shell}")], check=True)


@needs("systemd-analyze")
def test_systemd_unit_verifies(tmp_path):
    text = read("systemd", "ballast.service")
    unit = tmp_path / "ballast.service"
    unit.write_text(re.sub(r"(?m)^Documentation=.*\n", "", text.replace("/usr/sbin/ballast", binary())))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    newer = re.compile("notify-reload|ReloadSignal")  # known to systemd 253 and later, passed over by older ones
    told = [line for line in done.stderr.splitlines() if "ballast" in line and not newer.search(line)]
    assert told == [], done.stderr


@needs("systemd-analyze")
def test_systemd_unit_is_hardened():
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", pkg("systemd", "ballast.service")],
                          capture_output=True, text=True, env=dict(os.environ, SYSTEMD_COLORS="0"))
    score = re.search(r"exposure level for ballast\.service: ([0-9.]+)", done.stdout)
    assert score, done.stdout + done.stderr
    assert float(score[1]) <= 2.0


def test_systemd_unit_uses_what_the_program_has():
    text = read("systemd", "ballast.service")
    for words in re.findall(r"(?m)^Exec\w+=/usr/sbin/ballast (\w+)", text):
        assert words in COMMANDS
    assert text.index("Type=notify\n") < text.index("Type=notify-reload\n"), "systemd 252 passes over what it does not know"
    assert "ExecReload=/bin/kill -USR2 $MAINPID" in text


def test_openrc_script():
    subprocess.run(["sh", "-n", pkg("openrc", "ballast")], check=True)
    text = read("openrc", "ballast")
    used = set(re.findall(r'"\$\{command\}" (\w+)', text))
    assert {"check", "stop", "reload", "reopen"} == used <= set(COMMANDS)
