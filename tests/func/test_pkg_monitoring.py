"""pkg/prometheus and pkg/grafana: every metric, label and value that they name is one that a running instance has."""

import json
import os
import re
import shutil
import subprocess

import pytest

from lib import http, tls
from lib.ballast import ROOT
from lib.net import free_port

RULES = os.path.join(ROOT, "pkg/prometheus/ballast.rules.yml")
DASHBOARD = os.path.join(ROOT, "pkg/grafana/ballast.json")
SELECTOR = re.compile(r"(?<![\w:])(ballast_\w+)(?![\w:])(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
# what Prometheus adds
ADDED = {"instance", "job", "le"}


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def rules():
    """Every expression of the rules, by its name."""
    found = {}
    for block in re.split(r"\n      - ", text_of(RULES)):
        name = re.match(r"(?:alert|record): (\S+)", block)
        if name:
            expr = re.search(r"\n        expr: (?:\|\n((?:          .*\n?)+)|(.*))", block)
            assert expr and name[1] not in found, name[1]
            found[name[1]] = (expr[1] or expr[2]).strip()
    return found


def panels():
    return [p for p in json.loads(text_of(DASHBOARD))["panels"] if p["type"] != "row"]


def expressions():
    board = json.loads(text_of(DASHBOARD))
    out = [(f"rule {name}", expr) for name, expr in rules().items()]
    out += [(f"panel {p['title']}", t["expr"]) for p in panels() for t in p["targets"]]
    out += [(f"variable {v['name']}", v["definition"]) for v in board["templating"]["list"] if v["type"] == "query"]
    return out + [("annotation", a["expr"]) for a in board["annotations"]["list"]]


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """{metric: {label: values}} of an instance."""
    from lib.ballast import Ballast
    from lib.origin import Origin

    port, origin = free_port(), Origin()
    cert, key = tls.Authority(tmp_path_factory.mktemp("ca")).issue("a", ["a.test"])
    b = Ballast(tmp_path_factory.mktemp("metrics"), f"""
listeners = {{ web = {{ bind = "127.0.0.1:{port}", pool = "app" }}
  safe = {{ bind = "127.0.0.1:{free_port()}", pool = "app", tls = {{ certificates = ( {{ cert = "{cert}", key = "{key}" }} ) }} }} }}
pools = {{ app = {{ backends = [ "{origin.address}" ] }} }}
""")
    try:
        assert http.get(port).status == 200
        found = {}
        for line in b.request("GET", "/metrics").text.splitlines():
            name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups() if not line.startswith("#") else (None, None)
            if name:
                of = found.setdefault(name, {})
                for label, value in re.findall(r'(\w+)="([^"]*)"', labels or ""):
                    of.setdefault(label, set()).add(value)
        yield found
        b.stop()
        b.check_clean()
    finally:
        b.close()
        origin.stop()


def test_there_is_something_to_check():
    assert len(rules()) > 15 and len(panels()) > 30
    assert all(SELECTOR.search(expr) or name in ("rule BallastDown",) or ":ballast_" in expr for name, expr in expressions())


def test_every_metric_label_and_value_exists(known):
    for where, expr in expressions():
        for metric, matchers in SELECTOR.findall(expr):
            assert metric in known, f"{where}: there is no {metric}"
            for label, operator, value in MATCHER.findall(matchers):
                assert label in known[metric] or label in ADDED, f"{where}: {metric} has no label {label}"
                if operator == "=":
                    assert value in known[metric].get(label, {value}), f"{where}: {metric} is never {label}={value}"


def test_what_is_grouped_by_and_shown_exists(known):
    for where, expr in expressions():
        labels = {label for metric, _ in SELECTOR.findall(expr) for label in known[metric]} | ADDED
        for group in re.findall(r"\bby \(([^)]*)\)", expr):
            assert set(re.split(r", *", group)) <= labels, f"{where}: by ({group})"
    for p in panels():
        for t in p["targets"]:
            shown = set(re.findall(r"{{(\w+)}}", t["legendFormat"]))
            kept = re.findall(r"\bby \(([^)]*)\)", t["expr"])
            labels = set(re.split(r", *", kept[0])) if kept else \
                {label for metric, _ in SELECTOR.findall(t["expr"]) for label in known[metric]} | ADDED
            assert shown <= labels, p["title"]


def test_a_recording_is_made_before_it_is_used():
    names = rules()
    for where, expr in expressions():
        for recorded in re.findall(r"\b(?:listener|pool):[\w:]+", expr):
            assert recorded in names, f"{where}: nobody records {recorded}"


def test_every_alert_says_how_bad_it_is_and_what_to_do():
    for block in text_of(RULES).split("- alert: ")[1:]:
        assert re.search(r"severity: (critical|warning|info)\b", block), block
        assert "summary:" in block and "description:" in block, block


def test_the_panels_do_not_overlap():
    taken = {}
    for p in json.loads(text_of(DASHBOARD))["panels"]:
        at = p["gridPos"]
        assert at["x"] + at["w"] <= 24
        for place in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert place not in taken, (p["title"], taken[place])
            taken[place] = p["title"]
    ids = [p["id"] for p in json.loads(text_of(DASHBOARD))["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_the_rules():
    done = subprocess.run(["promtool", "check", "rules", RULES], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="logrotate is not installed")
def test_logrotate_takes_its_file(tmp_path):
    copy = tmp_path / "ballast"
    copy.write_text(text_of(os.path.join(ROOT, "pkg/logrotate/ballast")))
    copy.chmod(0o644)
    done = subprocess.run(["logrotate", "-d", "-s", tmp_path / "state", copy], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "error:" not in done.stderr, done.stderr
