"""make install: every file where a system looks for it, and the service files call the program that was installed."""

import os
import subprocess

from lib.ballast import ROOT, binary

FILES = [
    "sbin/ballast", "share/man/man8/ballast.8", "share/man/man5/ballast.conf.5",
    "share/bash-completion/completions/ballast", "share/zsh/site-functions/_ballast",
    "share/fish/vendor_completions.d/ballast.fish", "lib/systemd/system/ballast.service", "lib/sysusers.d/ballast.conf",
]


def install(tmp_path, *settings):
    # -o all: what is under test was built already, perhaps with other flags.
    subprocess.run(["make", "-s", "-C", ROOT, "-o", "all", "install", f"DESTDIR={tmp_path}",
                    f"BUILD={os.path.relpath(os.path.dirname(binary()), ROOT)}", *settings],
                   check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    return {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}


def test_install_puts_every_file_in_its_place(tmp_path):
    found = install(tmp_path)
    assert found == {f"usr/local/{name}" for name in FILES} | {"etc/init.d/ballast"}
    program = tmp_path / "usr/local/sbin/ballast"
    assert os.access(program, os.X_OK) and os.access(tmp_path / "etc/init.d/ballast", os.X_OK)
    said = subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert said.returncode == 0 and "ballast" in said.stdout


def test_service_files_call_the_installed_program(tmp_path):
    install(tmp_path, "PREFIX=/opt/ballast")
    unit = (tmp_path / "opt/ballast/lib/systemd/system/ballast.service").read_text()
    assert "ExecStart=/opt/ballast/sbin/ballast run" in unit and "/usr/sbin/ballast" not in unit
    assert 'command="/opt/ballast/sbin/ballast"' in (tmp_path / "etc/init.d/ballast").read_text()


def test_a_distribution_installs_under_usr(tmp_path):
    found = install(tmp_path, "PREFIX=/usr")
    assert found == {f"usr/{name}" for name in FILES} | {"etc/init.d/ballast"}
