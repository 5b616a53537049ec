"""The rules of the house that a machine can check, as tables. tests/lint/lint.py applies them.

Each pattern row carries `bad`: a line that must be reported. The self-test plants every one of them.
"""

from collections import namedtuple

# ---- layers: what a folder may include, besides itself -------------------------------------------------------------------
# The longest matching folder counts. A name ending in .h allows that one header.
_LOW = ["base", "shm", "conf", "proc"]
LAYERS = {
    "base": [],
    "shm": ["base"],
    "conf": ["base", "shm"],
    "proc": ["base", "shm", "conf"],
    "worker/lb": ["base/base.h", "base/hash.h", "shm"],
    "worker": _LOW,
    "health": _LOW,
    "admin": _LOW,
    "broker": _LOW,
    "cli": _LOW + ["worker/lb"],  # a pure library: `ballast explain` asks the very same algorithms
    "master": _LOW + ["worker", "health", "admin", "broker", "cli"],
    "client": ["base", "shm", "worker/lb"],  # part of other people's programs
    "tests/unit/base": ["base", "tests"],
    "tests/unit/shm": ["base", "shm", "tests"],
    "tests/unit/conf": ["base", "shm", "conf", "tests"],
    "tests/unit/proc": _LOW + ["tests"],
    "tests/unit/worker": _LOW + ["worker", "tests"],
    "tests/unit/health": _LOW + ["health", "tests"],
    "tests/unit/admin": _LOW + ["admin", "tests"],
    "tests/unit/broker": _LOW + ["broker", "tests"],
    "tests/unit/cli": _LOW + ["cli", "tests"],
    "tests/unit/client": ["base", "shm", "worker/lb", "client", "tests"],
    "tests/unit/master": _LOW + ["worker", "health", "admin", "broker", "cli", "master", "tests"],
    "tests/fuzz": _LOW + ["worker", "health", "admin", "cli", "tests"],
    "tests": _LOW + ["worker", "health", "admin", "broker", "cli", "master", "client"],
}
# Only this file may include headers of these folders: it is the one that names every role.
ROLE_HEADERS = ("master/main.c", ["worker", "health", "admin", "broker"])
PRODUCT = ["base", "shm", "conf", "proc", "worker", "health", "admin", "broker", "cli", "master", "client"]

# ---- patterns ----------------------------------------------------------------------------------------------------------
# where: suffixes of the files looked at; inside: folders (None: the whole tree); doors: files where it is allowed.
# code: look at the code only (comments and strings taken out).
Pattern = namedtuple("Pattern", "name regex where inside doors why bad code", defaults=(True,))
C = (".c", ".h")
TEXT = (".c", ".h", ".S", ".py", ".sh", ".md", ".mk", ".html", ".conf", ".service", ".8", ".5", ".1", ".yml", "run", "deps",
        "Makefile")

PATTERNS = [
    Pattern("fork", r"\b(fork|vfork|clone|clone3|daemon|posix_spawnp?)\s*\(", C, PRODUCT, ["proc/spawn.c"],
            "one file forks", "    pid_t pid = fork();"),
    Pattern("wait", r"\b(wait|waitpid|waitid|wait3|wait4)\s*\(", C, PRODUCT, ["master/reap.c"],
            "one file reaps", "    waitpid(pid, &status, 0);"),
    Pattern("thread", r"\bpthread_create\s*\(", C, PRODUCT, ["master/saved_io.c", "worker/checker.c"],
            "processes have one thread, but for what nobody may wait for: password hashes, and a slow disk", "    pthread_create(&t, NULL, run, NULL);"),
    Pattern("exec", r"\bexec(l|lp|le|v|vp|ve|vpe)\s*\(", C, PRODUCT, ["proc/spawn.c", "master/upgrade.c", "master/guard.c"],
            "nothing else starts programs", "    execv(path, argv);"),
    Pattern("shm_open", r"\bshm_(open|unlink)\s*\(", C, PRODUCT, ["shm/table.c", "shm/table_*.c"],
            "one door to the shared object", "    int fd = shm_open(name, O_RDWR, 0600);"),
    Pattern("mmap", r"\b(mmap|mmap64|mremap|munmap)\s*\(", C, PRODUCT,
            ["shm/table.c", "shm/table_*.c", "shm/tickets.c", "shm/purse.c", "proc/bundle.c", "client/born.c"],
            "mappings are the table (shm/table.c), ticket keys (shm/tickets.c), what is lent to a client (shm/purse.c), generations "
            "(proc/bundle.c) and a word that fork wipes (client/born.c)", "    munmap(p, n);"),
    Pattern("libconfig", r"#\s*include\s*<libconfig\.h>|\bconfig_(init|read\w*|lookup\w*|setting_\w+|destroy)\s*\(",
            C, None, ["conf/load.c", "conf/load_*.c"], "conf/load*.c is the only place that knows libconfig",
            "#include <libconfig.h>"),
    Pattern("atomics", r"<stdatomic\.h>|\b__atomic_\w+|\b__sync_\w+|\batomic_\w+\s*\(|\b_Atomic\b", C, PRODUCT,
            ["shm/*", "client/born.c"], "only shm/ knows how a shared word is read and written",
            "    atomic_fetch_add(&n, 1);"),
    Pattern("default loop", r"\bev_(default_loop|loop_fork|default_destroy)\s*\(|\bEV_DEFAULT", C, None,
            ["worker/handover.c"],  # loop_fork: the kernel forgets sockets that another process has now
            "one loop per process, made after fork with ev_loop_new", "    ev_default_loop(0);"),
    Pattern("sleep", r"\b(sleep|usleep|nanosleep|clock_nanosleep|ev_sleep)\s*\(", C, None, [],
            "nobody waits for a length of time", "    usleep(1000);"),
    Pattern("sleep in python", r"\b(time|asyncio)\.sleep\b|\bimport sleep\b", (".py",), None, [],
            "tests wait for a condition (lib.wait)", "    time" + ".sleep(1)"),
    Pattern("sleep in shell", r"(^|[;&|({]|\bdo|\bthen)\s*sleep\s+[0-9.$]", (".sh", "run", "deps", ".mk", "Makefile"),
            None, [], "scripts wait for a condition", "do sleep 1"),
    Pattern("system", r"\b(system|popen)\s*\(", C, None, [], "no shell is ever started", '    system("true");'),
    Pattern("system in python", r"\bos\.(system|popen)\b|shell\s*=\s*True", (".py",), None, [],
            "no shell: a list of arguments", "    os" + '.system("true")'),
    Pattern("unbounded string", r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca|atoi|atol|atof)\s*\(", C, PRODUCT,
            [], "writes or reads without a bound, or cannot report an error", "    strcpy(a, b);"),
    Pattern("close in the data path", r"\bclose\s*\(", C, ["worker"],
            ["worker/conn.c", "worker/upstream.c", "worker/splice.c", "worker/side.c", "worker/udp*.c", "worker/handover*.c"],
            "a connection ends in conn_close or upstream_close, with a reason", "    close(c->io.fd);"),
    Pattern("count in the data path", r"\bcount_(add|sub)\s*\(", C, ["worker"],
            ["worker/account.c", "worker/conn.c", "worker/accept.c", "worker/pick.c", "worker/moved.c"],
            "requests are counted in account.c, connections where they begin and end", "    count_add(&cell->requests, 1);"),
    Pattern("request accounted", r"\baccount_txn\s*\(", C, None, ["worker/account.[ch]", "worker/txn.c"],
            "a request is accounted once, when it ends (txn.c)", "    account_txn(t);"),
    Pattern("transaction state", r"\bt->state\s*=[^=]", C, ["worker"], ["worker/txn.c"],
            "txn_set_state is the one place", "    t->state = 1;"),
    Pattern("unfinished", r"\b(TODO|FIXME|XXX|HACK)\b|(?i:\bfor now\b)|(?i:\bstub(bed)?\b)", TEXT,
            None, [], "finish it or leave it out", "    /* TODO: later */", False),
    Pattern("suppression without reason", r"NOLINT(NEXTLINE|BEGIN|END)?(?!\w)(?!\([a-z0-9.,*-]+\):? \w)|cppcheck-suppress (?!\S+ ; \w)", C, None, [],
            "write NOLINT(check): why, or cppcheck-suppress id ; why", "    f(); // NOLINT", False),
    Pattern("machine path", r"(?<![\w.])/(work|home/\w+|root)/", TEXT + (".json", ".txt", ".ini", ".cfg"), None, [],
            "paths of one machine", "see /ro" + "ot/notes", False),
    Pattern("elsewhere", r"\b(HOUSE|PRODUCT|FACTS|GOALS|FEATURES)\.md\b", TEXT, None, [],
            "that page is not in this tree", "as HOUSE" + ".md says", False),
]

# ---- sizes -------------------------------------------------------------------------------------------------------------
FUNCTION_MAX = 60       # no function is longer
FUNCTION_NINE_IN_TEN = 40
FUNCTION_MEDIAN = 18    # "about 15"
FILE_MAX = 450          # .c and .h outside tests/

# ---- tools -------------------------------------------------------------------------------------------------------------
CPPCHECK = ["--enable=warning,performance,portability", "--std=c11", "--library=posix", "--quiet", "--inline-suppr",
            "--check-level=normal"]
Suppress = namedtuple("Suppress", "id path why")
CPPCHECK_SUPPRESS = [
    Suppress("missingIncludeSystem", "*", "system headers are not read: their prototypes are known to the tool"),
    Suppress("invalidFunctionArg", "proc/bundle.c", "mmap(2): MAP_ANONYMOUS takes -1 for the descriptor; the tool's library does not say so"),
    Suppress("leakReturnValNotUsed", "proc/bundle.c", "MAP_FIXED returns the address it was given"),
    Suppress("invalidFunctionArg", "client/born.c", "as in proc/bundle.c"),
    Suppress("getgrnamCalled", "*", "only the master and tools look up groups, and they have no threads"),
    Suppress("getpwnamCalled", "*", "only the master and tools look up users, and they have no threads"),
    Suppress("readdirCalled", "*", "only processes without threads read folders, and readdir_r is deprecated in glibc"),
    Suppress("nullPointer", "cli/instance.c", "scandir(3) fills the array it counts"),
]

# ---- docs: `<!-- generated: NAME -->` ... `<!-- end -->` holds exactly what tests/lint/print.c prints for NAME ---------------
GENERATED = ["options", "algorithms", "endpoints", "metrics"]
