#!/usr/bin/python3
"""Checks the rules of the house (tests/lint/rules.py) over the tree. Prints what is wrong as file:line: [rule] text,
the function lengths, and `make lint: ok` when nothing is wrong.

    lint.py --build DIR -- CFLAGS...          everything
    lint.py --text [--root DIR]               only what needs no tools
    lint.py --build DIR --write-docs          rewrites the generated tables of the docs
"""

import argparse
import concurrent.futures
import fnmatch
import hashlib
import os
import re
import statistics
import subprocess
import sys
import time

import rules

SKIP_DIRS = {".git", "__pycache__", ".pytest_cache", ".hypothesis"}
OWN = "tests/lint/"  # holds the words it looks for
CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


class Tree:
    """The files of a source tree, read once."""

    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.paths = sorted(self._walk())
        self._text, self._code = {}, {}

    def _walk(self):
        for folder, dirs, names in os.walk(self.root):
            dirs[:] = [d for d in dirs if d not in SKIP_DIRS and not (d == "build" or d.startswith("build-"))]
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.root)
                if not path.endswith((".pyc", ".png", ".gz")) and os.path.isfile(os.path.join(self.root, path)):
                    yield path

    def named(self, suffixes):
        return [p for p in self.paths if p.endswith(suffixes)]

    def text(self, path):
        if path not in self._text:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace", newline="") as f:
                self._text[path] = f.read()
        return self._text[path]

    def code(self, path):
        """The text with comments and strings blanked, lines kept. #include lines keep their quotes."""
        if path not in self._code:
            self._code[path] = strip(self.text(path)) if path.endswith(rules.C) else self.text(path)
        return self._code[path]


def strip(text):
    def blank(match):
        start = text.rfind("\n", 0, match.start()) + 1
        if match.group().startswith('"') and text[start:match.start()].lstrip().startswith("#"):
            return match.group()
        return re.sub(r"[^\n]", " ", match.group())

    return CODE.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def matches_any(path, globs):
    return any(fnmatch.fnmatch(path, g) for g in globs)


# ---- text rules ------------------------------------------------------------------------------------------------------------
def check_patterns(tree):
    for row in rules.PATTERNS:
        regex = re.compile(row.regex, re.M)
        for path in tree.named(row.where):
            if path.startswith(OWN) or matches_any(path, row.doors):
                continue
            if row.inside and path.split("/")[0] not in row.inside:
                continue
            text = tree.code(path) if row.code else tree.text(path)
            for found in regex.finditer(text):
                yield path, line_of(text, found.start()), row.name, f"`{found.group().strip()}`: {row.why}"


def layer_of(path):
    best = ""
    for name in rules.LAYERS:
        if path.startswith(name + "/") and len(name) > len(best):
            best = name
    return best


def allowed_include(path, layer, target):
    if target.startswith(layer + "/") or target.rpartition("/")[0] == path.rpartition("/")[0]:
        return True
    for allowed in rules.LAYERS[layer]:
        if target == allowed or target.startswith(allowed + "/"):
            return True
    return False


def check_includes(tree):
    known = set(tree.paths)
    for path in tree.named(rules.C):
        layer = layer_of(path)
        if not layer:
            continue
        text = tree.code(path)
        for found in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', text, re.M):
            target, line = found.group(1), line_of(text, found.start())
            if target not in known:
                yield path, line, "include", f'"{target}" is not a file of this tree (write includes from the root)'
            elif not allowed_include(path, layer, target):
                yield path, line, "layer", f'{layer} does not see "{target}"'
            elif roles_outside_main(path, target):
                yield path, line, "layer", f'only {rules.ROLE_HEADERS[0]} names the roles, not "{target}"'


def roles_outside_main(path, target):
    door, folders = rules.ROLE_HEADERS
    library = layer_of(target) not in folders  # worker/lb is one, not a role
    return path.startswith("master/") and path != door and target.split("/")[0] in folders and not library


def check_headers(tree):
    for path in tree.named((".h",)):
        head = tree.text(path)[:400]
        if path.startswith("tests/"):
            continue
        if not head.startswith("/*") or path not in head:
            yield path, 1, "contract", "a header opens with its contract: /* path: purpose, who runs it, ownership, errors"


def check_hygiene(tree):
    for path in tree.paths:
        text = tree.text(path)
        if "\0" in text or path.startswith("tests/fuzz/corpus") or path.startswith("tests/data/"):
            continue
        if text and not text.endswith("\n"):
            yield path, line_of(text, len(text)), "hygiene", "no newline at the end"
        if "\r" in text:
            yield path, line_of(text, text.index("\r")), "hygiene", "carriage return"
        if path.endswith((".c", ".h", ".py")) and "\t" in text:
            yield path, line_of(text, text.index("\t")), "hygiene", "tab"
        found = re.search(r"[ \t]+$", text, re.M)
        if found and path.endswith((".c", ".h", ".py", ".md", ".sh")):
            yield path, line_of(text, found.start()), "hygiene", "white space at the end of a line"
        if path.endswith(rules.C) and not path.startswith("tests/") and text.count("\n") > rules.FILE_MAX:
            yield path, rules.FILE_MAX, "length", f"{text.count(chr(10))} lines: a file is one noun, {rules.FILE_MAX} at most"


TEXT_CHECKS = [check_patterns, check_includes, check_headers, check_hygiene]


def text_problems(tree):
    for check in TEXT_CHECKS:
        yield from check(tree)


# ---- function lengths ------------------------------------------------------------------------------------------------------
def functions(tree):
    """[(lines, name, path, line)] outside tests/."""
    sources = [p for p in tree.named(rules.C) if not p.startswith("tests/")]
    done = subprocess.run(["ctags", "-x", "--c-kinds=f", "--language-force=C", "--fields=+ne",
                           "--_xformat=%N\t%F\t%n\t%{end}", "-L", "-"],
                          input="\n".join(sources) + "\n", capture_output=True, text=True, cwd=tree.root, check=True)
    out = []
    for line in done.stdout.splitlines():
        name, path, start, end = line.split("\t")
        if end:
            out.append((int(end) - int(start) + 1, name, path, int(start)))
    return sorted(out)


def check_functions(tree):
    found = functions(tree)
    if not found:
        return
    lengths = [f[0] for f in found]
    median, nine = statistics.median(lengths), lengths[(len(lengths) * 9 + 9) // 10 - 1]
    print(f"functions: {len(lengths)}, median {median:g} lines, nine in ten at most {nine}, longest {lengths[-1]} "
          f"({found[-1][1]} in {found[-1][2]})")
    if median > rules.FUNCTION_MEDIAN:
        yield ".", 0, "function length", f"median {median:g}, at most {rules.FUNCTION_MEDIAN}"
    if nine > rules.FUNCTION_NINE_IN_TEN:
        yield ".", 0, "function length", f"nine in ten are up to {nine}, at most {rules.FUNCTION_NINE_IN_TEN}"
    for length, name, path, line in found:
        if length > rules.FUNCTION_MAX:
            yield path, line, "function length", f"{name} is {length} lines, at most {rules.FUNCTION_MAX}"


# ---- tools -----------------------------------------------------------------------------------------------------------------
def tool_lines(command, cwd, rule):
    """Runs a tool; what it prints as problems when it fails."""
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode == 0:
        return []
    out = []
    for line in (done.stdout + done.stderr).splitlines():
        found = re.match(r"([^:\s][^:]*):(\d+):(?:\d+:)? (.*)", line)
        if found:
            path = os.path.relpath(os.path.join(cwd, found.group(1)), cwd)
            out.append((path, int(found.group(2)), rule, found.group(3)))
    return out or [(".", 0, rule, (done.stdout + done.stderr).strip()[-2000:])]


def check_format(tree):
    """The first difference of each file: `make format` mends them all."""
    found = {}
    for problem in tool_lines(["clang-format", "--dry-run", "-Werror", *tree.named(rules.C)], tree.root, "format"):
        found.setdefault(problem[0], problem)
    return list(found.values())


def check_mandoc(tree):
    pages = [p for p in tree.paths if re.search(r"\.[158]$", p)]
    return tool_lines(["mandoc", "-Tlint", "-Wwarning", *pages], tree.root, "mandoc") if pages else []


def check_cppcheck(tree, build, flags):
    cache = os.path.join(build, "lint-cppcheck")
    os.makedirs(cache, exist_ok=True)
    defines = [f for f in flags if f.startswith(("-D", "-I"))]
    suppress = [f"--suppress={s.id}" + ("" if s.path == "*" else f":{s.path}") for s in rules.CPPCHECK_SUPPRESS]
    sources = [p for p in tree.named((".c",)) if not p.startswith("tests/")]
    options = [o for o in rules.CPPCHECK if o != "--check-level=normal"]
    return tool_lines(["cppcheck", *options, *suppress, *defines, f"-j{os.cpu_count()}", f"--cppcheck-build-dir={cache}",
                       "--error-exitcode=1", "--template={file}:{line}: {id}: {message}", *sources], tree.root, "cppcheck")


def check_tidy(tree, build, flags):
    """clang-tidy over every source file; a file whose content, headers and settings did not change is not looked at again."""
    cache = os.path.join(build, "lint-tidy")
    os.makedirs(cache, exist_ok=True)
    common = hashlib.sha256(" ".join(flags).encode())
    for path in tree.named((".h",)) + [".clang-tidy"]:
        common.update(path.encode() + tree.text(path).encode())

    def one(path):
        key = common.copy()
        key.update(path.encode() + tree.text(path).encode())
        mark = os.path.join(cache, key.hexdigest())
        if os.path.exists(mark):
            return []
        found = tool_lines(["clang-tidy", "--quiet", path, "--", *flags], tree.root, "clang-tidy")
        if not found:
            open(mark, "w", encoding="ascii").close()
        return [f for f in found if "note:" not in f[3]]

    sources = [p for p in tree.named((".c",)) if not p.startswith("tests/")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(one, sources):
            yield from found


# ---- docs ------------------------------------------------------------------------------------------------------------------
MARK = re.compile(r"(<!-- generated: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.S)


def printed(build, name):
    """What the rows print for a generated part; None when there is no such part."""
    program = os.path.join(build, "tests/lint/print")
    done = subprocess.run([program, name], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def check_docs(tree, build, write=False):
    seen = set()
    for path in tree.named((".md",)):
        text = tree.text(path)

        def part(found):
            wanted = printed(build, found.group(2))
            seen.add(found.group(2))
            return found.group() if wanted is None else found.group(1) + wanted + found.group(4)

        for found in MARK.finditer(text):
            if printed(build, found.group(2)) is None:
                yield path, line_of(text, found.start()), "docs", f"nothing prints the part {found.group(2)}"
        fresh = MARK.sub(part, text)
        if fresh != text and write:
            with open(os.path.join(tree.root, path), "w", encoding="utf-8") as f:
                f.write(fresh)
        elif fresh != text:
            yield path, 0, "docs", "a generated part is not what the program prints: make docs"
    for name in sorted(set(rules.GENERATED) - seen):
        yield "docs", 0, "docs", f"no page holds the generated part {name}"


# ---- main ------------------------------------------------------------------------------------------------------------------
def everything(tree, build, flags):
    found = []
    for name, check in (
        ("text rules", lambda: text_problems(tree)),
        ("function lengths", lambda: check_functions(tree)),
        ("clang-format", lambda: check_format(tree)),
        ("docs", lambda: check_docs(tree, build)),
        ("man pages", lambda: check_mandoc(tree)),
        ("cppcheck", lambda: check_cppcheck(tree, build, flags)),
        ("clang-tidy", lambda: check_tidy(tree, build, flags)),
    ):
        start = time.monotonic()
        new = list(check())
        print(f"{name}: {len(new)} problem(s), {time.monotonic() - start:.1f} s", flush=True)
        found += new
    return found


def main():
    parser = argparse.ArgumentParser(description="Checks the rules of the house.")
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    parser.add_argument("--build", default="build")
    parser.add_argument("flags", nargs="*", help="after --: how the compiler is called")
    parser.add_argument("--text", action="store_true", help="only the rules that need no tool")
    parser.add_argument("--write-docs", action="store_true", help="rewrite the generated parts of the docs")
    args = parser.parse_args()
    tree = Tree(args.root)
    build = os.path.join(tree.root, args.build)
    if args.write_docs:
        found = list(check_docs(tree, build, write=True))
    elif args.text:
        found = list(text_problems(tree))
    else:
        found = everything(tree, build, args.flags)
    for path, line, rule, text in found:
        print(f"{path}:{line}: [{rule}] {text}")
    if found:
        print(f"make lint: {len(found)} problem(s)")
        sys.exit(1)
    print("make lint: ok")


if __name__ == "__main__":
    main()
