#!/usr/bin/python3
"""ballast side by side with a blind relay (the floor) and with the nginx, HAProxy and h2o of this system.

    tests/bench/bench.py [--build DIR] [--rounds N] [--seconds S] [--scenarios small,close,big,tcp,bulk,tls,tlshs,tlsre,h2]
                         [--proxies ballast,ballast-rules,...,floor,nginx,haproxy,haproxy-splice,h2o] [--json] [--short]

The headline is processor time (user + system, all processes of a proxy) per request: it does not depend on who shares the
machine as wall-clock figures do. Rounds are interleaved, proxy by proxy; the median of the rounds is shown, and how far apart
they were. Ratios are medians of the rounds' own. Compare only figures of one run.

ballast-routes has ten routes as well, ballast-limit a rate limit, ballast-log an access log, ballast-rules all of them,
ballast-rules-combined with lines as nginx writes them instead of JSON; these take part only when they are named, and what they cost over ballast is said below the table. Each proxy has one worker on core 0;
wrk and the origin are on core 1. --short runs everything for a second and fails when anything does not work; its figures mean
nothing.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile

import measure
import proxies

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLIENTS = 64
# name -> (kind of port, path, request headers, proxies that take part in no other)
SCENARIOS = {
    "small": ("http", "/", (), ()),
    "close": ("http", "/", ("Connection: close",), ()),
    "big": ("http", "/big", (), ("haproxy-splice",)),
    "tcp": ("tcp", "/", (), ()),
    "bulk": ("tcp", "/big", (), ("haproxy-splice",)),
    "tls": ("tls", "/", (), ()),  # TLS 1.3 kept alive
    "tlshs": ("tls", "/", ("Connection: close",), ()),  # a full handshake per request
    "tlsre": ("tls", "/", (), ()),  # a resumed one
    "h2": ("tls", "/", (), ()),  # HTTP/2 over TLS, 16 connections of 16 streams
}
H2_CLIENTS, H2_STREAMS, HANDSHAKE_CLIENTS = 16, 16, 16
ON_DEMAND = tuple(proxies.EXTRAS)  # only when they are named
PEERS = ("nginx", "haproxy", "haproxy-splice", "h2o")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="where the programs are (default: build)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="length of one run")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--proxies", default="", help="default: all that are installed")
    parser.add_argument("--json", action="store_true", help="the result as JSON instead of tables")
    parser.add_argument("--short", action="store_true", help="one round of one second with few clients: does it work?")
    args = parser.parse_args()
    args.clients, args.h2_clients = CLIENTS, H2_CLIENTS
    if args.short:  # on a busy machine the handshakes of many clients alone take longer than a second
        args.rounds = args.seconds = 1
        args.clients = args.h2_clients = 2
    unknown = set(args.scenarios.split(",")) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return args


def takes_part(name, kinds, scenario):
    kind, _, _, only_here = SCENARIOS[scenario]
    special = any(name in s[3] for s in SCENARIOS.values())
    return kind in kinds and (not special or name in only_here)


def load(proxy, scenario, args, pin):
    kind, path, headers, _ = SCENARIOS[scenario]
    url = f"{'https' if kind == 'tls' else 'http'}://127.0.0.1:{proxy.port[kind]}{path}"
    if scenario == "h2":
        return measure.h2load(url, args.h2_clients, H2_STREAMS, args.seconds, pin)
    if scenario == "tlsre":
        program = os.path.join(ROOT, args.build, "tests/bench/handshakes")
        return measure.handshakes(program, proxy.port[kind], HANDSHAKE_CLIENTS, args.seconds, pin)
    return measure.wrk(url, args.clients, args.seconds, headers, pin)


def run_once(proxy, scenario, args, core):
    user, system = measure.cpu_s(proxy.pid)
    result = load(proxy, scenario, args, proxies.pinned(core))
    user_after, system_after = measure.cpu_s(proxy.pid)
    per_request = 1e6 / max(result["requests"], 1)
    result["user_us"] = (user_after - user) * per_request
    result["system_us"] = (system_after - system) * per_request
    result["cpu_us"] = result["user_us"] + result["system_us"]
    result["core_percent"] = 100 * result["cpu_us"] * result["requests"] / 1e6 / result["seconds"]
    result["requests_per_s"] = result["requests"] / result["seconds"]
    result["pss_kb"] = measure.pss_kb(proxy.pid)
    return result


def median_of(rounds):
    out = {}
    for key in rounds[0]:
        values = [r[key] for r in rounds if r[key] is not None]
        out[key] = sum(values) if key in ("requests", "failed") else statistics.median(values) if values else None
    out["cpu_us_rounds"] = [round(r["cpu_us"], 2) for r in rounds]
    out["spread"] = (max(out["cpu_us_rounds"]) - min(out["cpu_us_rounds"])) / max(out["cpu_us"], 0.01)
    return out


def each_over(row, other):
    """What each round says: a machine that was slower for a while was so for its neighbours as well."""
    return [a / max(b, 0.01) for a, b in zip(row["cpu_us_rounds"], other["cpu_us_rounds"])]


def over(row, other):
    return statistics.median(each_over(row, other)) if other else None


def ratios(results):
    """Adds to every row its cost over the best peer's and over the floor's, round by round."""
    peers = [row for name, row in results.items() if name in PEERS]
    best = min(peers, key=lambda row: row["cpu_us"], default=None)
    for row in results.values():
        row["to_best_peer"] = over(row, best)
        row["to_floor"] = over(row, results.get("floor"))
    return results


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:60}", end="\r", file=sys.stderr, flush=True)


def run_scenario(running, scenario, args, core):
    rounds = {name: [] for name, proxy in running.items() if takes_part(name, proxy.kinds, scenario)}
    for number in range(args.rounds):
        for name in rounds:
            progress(f"{scenario} round {number + 1}/{args.rounds} {name}")
            rounds[name].append(run_once(running[name], scenario, args, core))
    progress("")
    return ratios({name: median_of(results) for name, results in rounds.items()})


def cell(value, form):
    return "-" if value is None else form.format(value)


def table(scenario, results):
    rows = [("proxy", "us/request", "user", "system", "x best peer", "x floor", "spread", "core %", "req/s", "p50 us", "p99 us",
             "failed", "PSS MB")]
    for name, r in results.items():
        rows.append((name, cell(r["cpu_us"], "{:.2f}"), cell(r["user_us"], "{:.2f}"), cell(r["system_us"], "{:.2f}"),
                     cell(r["to_best_peer"], "{:.2f}"), cell(r["to_floor"], "{:.2f}"), cell(r["spread"], "{:.0%}"),
                     cell(r["core_percent"], "{:.0f}"), cell(r["requests_per_s"], "{:.0f}"),
                     cell(r["p50_us"], "{:.0f}"), cell(r["p99_us"], "{:.0f}"),
                     str(r["failed"]), cell(r["pss_kb"] / 1024, "{:.1f}")))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(text.ljust(w) if i == 0 else text.rjust(w)
                               for i, (text, w) in enumerate(zip(row, widths))) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 1) + ("-" if i == 0 else ":") for i, w in enumerate(widths)) + "|")
    return f"\n{scenario}\n\n" + "\n".join(lines)


def extras(results):
    """What more than balancing costs, with the quarter of the rounds below and above that."""
    lines = []
    for name in ON_DEMAND:
        if name in results and "ballast" in results:
            ratios_of_rounds = sorted(each_over(results[name], results["ballast"]))
            quarter = len(ratios_of_rounds) // 4
            low, high = ratios_of_rounds[quarter], ratios_of_rounds[-1 - quarter]
            lines.append(f"\n{name} is {over(results[name], results['ballast']):.3f} x ballast (quartiles {low:.3f} and {high:.3f})")
    return "".join(lines)


def choose(args, build):
    found = proxies.available(build)
    wanted = args.proxies.split(",") if args.proxies else [name for name in found if name not in ON_DEMAND]
    missing = [name for name in wanted if name not in found]
    if missing:
        sys.exit(f"not here: {', '.join(missing)} (there is: {', '.join(found)})")
    return {name: found[name] for name in wanted}


def start_all(stack, chosen, directory, build, cores):
    origin_port = proxies.free_port()
    origin = proxies.Program("origin", [f"{build}/tests/bench/origin", str(origin_port)], [origin_port], cores[1],
                             os.path.join(directory, "origin.log"))
    stack.callback(origin.stop)
    origin.wait_ready()
    running = {}
    for name, (kinds, command) in chosen.items():
        running[name] = proxies.make(name, kinds, command, directory, origin_port, cores[0])
        stack.callback(running[name].stop)
        running[name].start()
    return running


def noise(results, rounds):
    """How much one round differed from another: what is not apart by more than that may be the same."""
    spreads = [row["spread"] for rows in results.values() for row in rows.values()]
    return (f"\nThe costliest and the cheapest of {rounds} rounds were {statistics.median(spreads):.0%} of the cost apart, "
            f"{max(spreads):.0%} at most. Load of the machine: {os.getloadavg()[0]:.1f}.")


def broken(results):
    """(proxy, what happened)"""
    return [(name, f"{scenario}: {name}: {row['requests']} requests, {row['failed']} failed")
            for scenario, rows in results.items() for name, row in rows.items() if row["failed"] or not row["requests"]]


def main():
    args = arguments()
    build = os.path.join(ROOT, args.build)
    allowed = sorted(os.sched_getaffinity(0))
    cores = (allowed[0], allowed[-1])
    with tempfile.TemporaryDirectory(prefix="ballast-bench.") as directory, contextlib.ExitStack() as stack:
        running = start_all(stack, choose(args, build), directory, build, cores)
        results = {s: run_scenario(running, s, args, cores[1]) for s in args.scenarios.split(",")}
    if args.json:
        print(json.dumps(results, indent=2))
    else:
        for scenario, rows in results.items():
            print(table(scenario, rows) + extras(rows))
        print(noise(results, args.rounds))
    problems = broken(results)
    for _, text in problems:
        print(f"failed: {text}", file=sys.stderr)
    sys.exit(any(name not in PEERS for name, _ in problems))


main()
