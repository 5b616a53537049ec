#!/usr/bin/python3
"""The lint must find what it is for: every rule is broken once in a tree made for it, and must be reported there."""

import contextlib
import io
import os
import sys
import tempfile

import lint
import rules

HEADER = "/*\n * {path}: a header.\n */\n"


def plant(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full) or root, exist_ok=True)
    with open(full, "w", encoding="utf-8", newline="") as f:
        f.write(text)


def reported(files):
    """Rules reported for a tree of files {path: text}: {(path, rule)}."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            plant(root, path, text)
        return {(path, rule) for path, _, rule, _ in lint.text_problems(lint.Tree(root))}


def file_for(row):
    """A path that the row looks at and that is not one of its doors."""
    suffix = row.where[0]
    folder = (row.inside or ["worker"])[0]
    path = f"{folder}/planted{suffix}" if suffix.startswith(".") else suffix
    return path if not lint.matches_any(path, row.doors) else "worker/planted.c"


def door_for(row):
    door = row.doors[0].replace("[ch]", "c")
    return door.replace("*", "door.c" if door.endswith("/*") else "door")


def pattern_cases():
    for row in rules.PATTERNS:
        path = file_for(row)
        yield f"{row.name} is found", {path: row.bad + "\n"}, {(path, row.name)}
        if row.doors:
            yield f"{row.name} passes its door", {door_for(row): row.bad + "\n"}, set()
        if row.code and path.endswith(".c"):
            yield f"{row.name} may be spoken of", {path: f"/* {row.bad} */\n"}, set()


def other_cases():
    low, high = HEADER.format(path="base/low.h"), HEADER.format(path="worker/high.h")
    algorithm = HEADER.format(path="conf/conf.h")
    yield "include upwards", {"worker/high.h": high, "base/a.c": '#include "worker/high.h"\n'}, {("base/a.c", "layer")}
    yield "include downwards", {"base/low.h": low, "worker/a.c": '#include "base/low.h"\n'}, set()
    yield "include sideways", {"worker/high.h": high, "health/a.c": '#include "worker/high.h"\n'}, {("health/a.c", "layer")}
    yield "lb sees conf", {"conf/conf.h": algorithm, "worker/lb/a.c": '#include "conf/conf.h"\n'}, {("worker/lb/a.c", "layer")}
    yield "role outside main", {"worker/high.h": high, "master/reload.c": '#include "worker/high.h"\n'}, {("master/reload.c", "layer")}
    yield "role in main", {"worker/high.h": high, "master/main.c": '#include "worker/high.h"\n'}, set()
    yield "include not from the root", {"base/low.h": low, "base/a.c": '#include "low.h"\n'}, {("base/a.c", "include")}
    yield "header without contract", {"base/low.h": "#define A 1\n"}, {("base/low.h", "contract")}
    yield "no final newline", {"base/a.c": "int a;"}, {("base/a.c", "hygiene")}
    yield "tab", {"base/a.c": "\tint a;\n"}, {("base/a.c", "hygiene")}
    yield "long file", {"base/a.c": "int a;\n" * (rules.FILE_MAX + 1)}, {("base/a.c", "length")}
    yield "long test file", {"tests/unit/base/test_a.c": "int a;\n" * (rules.FILE_MAX + 1)}, set()


def long_function_found():
    with tempfile.TemporaryDirectory() as root:
        plant(root, "base/a.c", "int a(void)\n{\n" + "    (void)0;\n" * rules.FUNCTION_MAX + "    return 0;\n}\n")
        with contextlib.redirect_stdout(io.StringIO()):  # its statistics
            return any(rule == "function length" for _, _, rule, _ in lint.check_functions(lint.Tree(root)))


def main():
    failed = 0
    cases = list(pattern_cases()) + list(other_cases())
    for name, files, wanted in cases:
        found = reported(files)
        if found != wanted:
            failed += 1
            print(f"lint self-test: {name}: reported {sorted(found)}, expected {sorted(wanted)}")
    if not long_function_found():
        failed += 1
        print("lint self-test: a long function is not reported")
    if failed:
        sys.exit(1)
    print(f"lint self-test: {len(cases) + 1} planted cases, all judged as they must be")


if __name__ == "__main__":
    main()
