"""The benchmark works: the short form, whose figures mean nothing."""

import json
import os
import subprocess

from lib.ballast import ROOT, binary


def test_the_short_form():
    command = ["/usr/bin/python3", f"{ROOT}/tests/bench/bench.py", "--build", os.path.dirname(binary()), "--short", "--json",
               "--scenarios", "small,tcp,tls,h2", "--proxies", "ballast,ballast-rules,floor"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {"small", "tcp", "tls", "h2"}
    assert set(result["small"]) == {"ballast", "ballast-rules", "floor"}
    assert all(row["requests"] > 0 and row["failed"] == 0 for rows in result.values() for row in rows.values())
