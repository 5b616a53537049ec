"""make deb: Debian packages of this tree, that install what they promise. The objects of the build under test are used again."""

import os
import re
import shutil
import subprocess

import pytest

from lib.ballast import ROOT, binary, sanitized

pytestmark = [pytest.mark.skipif(shutil.which("dh") is None, reason="debhelper is not installed"),
              pytest.mark.skipif(sanitized(), reason="nobody packages a sanitized program")]

PACKAGES = {"ballast", "libballast-client0", "libballast-client-dev"}
NEEDED = ["Makefile", "LICENSE", "README.md", "client", "docs", "pkg"]


def output(*argv, **options):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200, **options)
    assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def make_packages(at):
    """{name: path}, of the program under test."""
    tree = at / "tree"
    tree.mkdir()
    output("cp", "-a", *NEEDED, tree, cwd=ROOT)
    shutil.copytree(tree / "pkg/debian", tree / "debian")
    output("dpkg-buildpackage", "-us", "-uc", "-b", "-nc", "-d", cwd=tree,
           env=dict(os.environ, DEB_BUILD_OPTIONS="nocheck noddebs", MADE=os.path.dirname(binary())))
    return {p.name.split("_")[0]: p for p in at.glob("*.deb")}


def check_installed(root):
    program = root / "usr/sbin/ballast"
    assert output(program, "--version") == output(binary(), "--version")
    assert output(program, "check", "-c", root / "etc/ballast/ballast.conf").endswith(": ok\n")
    assert "ExecStart=/usr/sbin/ballast run" in (root / "usr/lib/systemd/system/ballast.service").read_text()
    for name in ("usr/share/man/man8/ballast.8.gz", "usr/share/bash-completion/completions/ballast", "etc/logrotate.d/ballast",
                 "usr/lib/sysusers.d/ballast.conf", "usr/share/ballast/prometheus.rules.yml", "usr/include/ballast_client.h"):
        assert (root / name).is_file(), name
    assert not (root / "etc/init.d").exists(), "that one is for OpenRC"
    libraries = list(root.glob("usr/lib/*/libballast-client.so.0"))
    assert len(libraries) == 1 and libraries[0].resolve().is_file()


def check_control(package, at):
    output("dpkg-deb", "-e", package, at)
    assert set((at / "conffiles").read_text().split()) == {"/etc/ballast/ballast.conf", "/etc/logrotate.d/ballast"}
    depends = output("dpkg-deb", "-f", package, "Depends")
    for library in ("libev4", "libssl3", "libc6", "libnghttp2-14"):
        assert library in depends
    for script in ("postinst", "prerm", "postrm"):
        assert "#DEBHELPER#" not in (at / script).read_text()
        output("sh", "-n", at / script)
    postinst = (at / "postinst").read_text()
    assert "ballast upgrade" in postinst
    assert not re.search(r"deb-systemd-invoke.* (re)?start ", postinst), "nothing is cut by an upgrade"


def test_packages(tmp_path):
    packages = make_packages(tmp_path)
    assert set(packages) == PACKAGES
    root = tmp_path / "root"
    for path in packages.values():
        assert output("dpkg-deb", "-f", path, "Version").strip() == output(binary(), "--version").split()[1]
        output("dpkg-deb", "-x", path, root)
    check_installed(root)
    check_control(packages["ballast"], tmp_path / "control")
    if shutil.which("lintian"):
        said = output("lintian", "--allow-root", "--fail-on", "none", *map(str, packages.values()))
        assert not [line for line in said.splitlines() if line.startswith("E:")], said
