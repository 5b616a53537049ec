"""make install: every file where a system looks for it, and the service files call the program that was installed."""

import os
import subprocess

import pytest

from lib.ballast import ROOT, binary, sanitized

FILES = [
    "sbin/ballast", "share/man/man8/ballast.8", "share/man/man5/ballast.conf.5",
    "share/man/man3/ballast_client.3",
    "share/bash-completion/completions/ballast", "share/zsh/site-functions/_ballast",
    "share/fish/vendor_completions.d/ballast.fish", "lib/systemd/system/ballast.service", "lib/sysusers.d/ballast.conf",
    "include/ballast_client.h", "lib/libballast-client.a", "lib/libballast-client.so", "lib/libballast-client.so.0",
    "lib/libballast-client.so.0.1.0", "lib/pkgconfig/ballast-client.pc", "share/ballast/ballast_client.py", "share/ballast/ballast.conf",
    "share/ballast/logrotate", "share/ballast/prometheus.rules.yml", "share/ballast/grafana-dashboard.json",
]
PROGRAM = """
#include <ballast_client.h>
#include <stdio.h>
int entry_add = 1; /* names of the library's own insides are free */
int main(void)
{
    char why[256];
    struct ballast_client *client = ballast_client_open("/nowhere/at-all.conf", NULL, why, sizeof why);
    puts(client ? "opened" : why);
    return entry_add - 1;
}
"""


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


@pytest.mark.skipif(sanitized(), reason="the program would have to be sanitized too")
@pytest.mark.parametrize("linked", ["shared", "static"])
def test_a_program_with_the_client_library(tmp_path, linked):
    install(tmp_path)
    local = tmp_path / "usr/local"
    assert f"libdir={'/usr/local/lib'}\n" in (local / "lib/pkgconfig/ballast-client.pc").read_text()
    (tmp_path / "p.c").write_text(PROGRAM)
    library = ["-L", local / "lib", "-lballast-client"] if linked == "shared" else [local / "lib/libballast-client.a"]
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-std=c99", "-I", local / "include", "-o", tmp_path / "p",
                    tmp_path / "p.c", *library], check=True, stdin=subprocess.DEVNULL, timeout=60)
    said = subprocess.run([tmp_path / "p"], env={"LD_LIBRARY_PATH": str(local / "lib")}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30)
    assert said.returncode == 0 and said.stdout.startswith("no running instance of /nowhere/at-all.conf")
