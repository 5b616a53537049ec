"""The short form of `make chaos`: reloads, a storm of them, a killed worker, a full disk and an upgrade, under every kind of client."""

import os
import subprocess
import sys

from lib.ballast import ROOT, SANITIZER, binary


def test_short():
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "chaos", "chaos.py"), "--short", "--program", binary()],
                          capture_output=True, text=True, timeout=240)
    assert done.returncode == 0 and not SANITIZER.search(done.stdout + done.stderr), done.stdout + done.stderr
    assert done.stdout.count(" met") >= 7, done.stdout
