/* What a forked child inherits, and what it does not. */
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include "tests/unit/harness.h"
#include "tests/unit/proc/rig.h"

/* Value of a line of /proc/PID/status, e.g. "CapEff". */
static const char *status_of(pid_t pid, const char *key)
{
    static char line[256];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    CHECK(f != NULL);
    size_t len = strlen(key);
    while (fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, len) == 0 && line[len] == ':')
            break;
    fclose(f);
    line[strcspn(line, "\n")] = '\0';
    return line + len + 1 + strspn(line + len + 1, " \t");
}

static unsigned count_fds(pid_t pid)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    CHECK(d != NULL);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

static void stop(void)
{
    tell(control, CTL_STOP, 0);
    CHECK_EQ(rig_end(), 0);
}

TEST(foreign_descriptors_are_closed)
{
    unsigned with, without;
    rig_open();
    struct spawn s = rig_spawn();
    rig_start(&s);
    expect(control, CTL_READY);
    without = count_fds(child_pid);
    tell(control, CTL_STOP, 0);
    wait_readable(pidfd);
    for (int i = 0; i < 50; i++)
        CHECK(open("/dev/null", O_RDONLY) != -1);
    s.stay_open[0] = open("/dev/null", O_RDONLY);
    s.stay_open[1] = -1;
    rig_start(&s);
    expect(control, CTL_READY);
    with = count_fds(child_pid);
    CHECK_EQ(with, without + 1); /* the one that was to stay */
    stop();
}

TEST(signals_of_the_terminal_are_ignored_and_none_is_blocked)
{
    static const int signals[] = {SIGINT,  SIGTERM, SIGQUIT,  SIGHUP,
                                  SIGUSR1, SIGUSR2, SIGWINCH, SIGPIPE};
    rig_open();
    rig_serve();
    CHECK_STR(status_of(child_pid, "SigBlk"), "0000000000000000");
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        CHECK_EQ(kill(child_pid, signals[i]), 0);
    struct ctl_msg m = {.type = CTL_RELOADED};
    CHECK_EQ(ctl_send(control, &m, NULL), 0);
    expect(control, CTL_RELOAD); /* alive and well */
    stop();
}

TEST(signal_pending_in_the_parent_is_not_the_childs)
{
    sigset_t set, before;
    rig_open();
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &set, &before), 0);
    CHECK_EQ(raise(SIGUSR2), 0);
    rig_serve();
    CHECK_STR(status_of(child_pid, "ShdPnd"), "0000000000000000");
    CHECK_STR(status_of(child_pid, "SigPnd"), "0000000000000000");
    sigset_t now;
    CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &now), 0);
    CHECK(sigismember(&now, SIGUSR2)); /* the parent's mask is as it was */
    CHECK(!sigismember(&now, SIGTERM));
    stop();
}

TEST(short_name_says_the_role)
{
    rig_open();
    rig_serve();
    CHECK_STR(status_of(child_pid, "Name"), "ballast:w3");
    stop();
}

TEST(no_new_privileges)
{
    rig_open();
    rig_serve();
    CHECK_STR(status_of(child_pid, "NoNewPrivs"), "1");
    stop();
}

TEST(root_becomes_the_user_without_capabilities)
{
    char want[64];
    if (geteuid() != 0)
        SKIP("only root can change the user");
    const struct passwd *nobody = getpwnam("nobody");
    if (nobody == NULL)
        SKIP("there is no user nobody");
    rig_open();
    struct spawn s = rig_spawn();
    s.user = "nobody";
    rig_start(&s);
    expect(control, CTL_READY);
    snprintf(want, sizeof want, "%u\t%u\t%u\t%u", nobody->pw_uid, nobody->pw_uid, nobody->pw_uid,
             nobody->pw_uid);
    CHECK_STR(status_of(child_pid, "Uid"), want);
    snprintf(want, sizeof want, "%u\t%u\t%u\t%u", nobody->pw_gid, nobody->pw_gid, nobody->pw_gid,
             nobody->pw_gid);
    CHECK_STR(status_of(child_pid, "Gid"), want);
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        CHECK_STR(status_of(child_pid, sets[i]), "0000000000000000");
    stop();
}

TEST(unknown_user_is_refused)
{
    if (geteuid() != 0)
        SKIP("only root can change the user");
    rig_open();
    struct spawn s = rig_spawn();
    s.user = "no-such-user-here";
    rig_start(&s);
    CHECK(strstr(expect(control, CTL_REFUSED).text, "no such user") != NULL);
    CHECK_EQ(WEXITSTATUS(rig_end()), 1);
    CHECK_EQ(witness->starts, 0);
}

struct errand_seen {
    unsigned wanted;
    int keep_fd;
};

/* 7: all is as promised. */
static int look_around(void *data)
{
    const struct errand_seen *seen = data;
    if (fcntl(seen->keep_fd, F_GETFD) == -1 || count_fds(getpid()) != seen->wanted)
        return 1;
    return getuid() == geteuid() ? 7 : 2;
}

TEST(errand_keeps_one_descriptor_and_tells_how_it_went)
{
    int errand_pidfd;
    siginfo_t info = {0};
    for (int i = 0; i < 50; i++)
        CHECK(open("/dev/null", O_RDONLY) != -1);
    struct errand_seen seen = {.keep_fd = open("/dev/null", O_RDONLY)};
    seen.wanted = 3 + 1 + 1; /* and the folder that it reads */
    struct spawn_errand e = {
        .title = "errand", .run = look_around, .data = &seen, .keep_fd = seen.keep_fd};
    CHECK_EQ(spawn_errand(&e, &errand_pidfd), 0);
    CHECK_EQ(waitid(P_PIDFD, (id_t)errand_pidfd, &info, WEXITED), 0);
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(info.si_status, 7);
}

TEST(daemon_parent_waits_for_the_byte)
{
    int said[2];
    CHECK_EQ(pipe(said), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int ready = spawn_daemon();
        CHECK(ready != -1);
        CHECK_EQ(getsid(0), getpid());
        CHECK_EQ(write(said[1], "d", 1), 1);
        CHECK_EQ(write(ready, "", 1), 1);
        _exit(3);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 0); /* the parent's, although the daemon failed later */
    char byte;
    CHECK_EQ(read(said[0], &byte, 1), 1);
}

TEST(daemon_that_dies_before_it_is_ready_is_a_failure)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (spawn_daemon() == -1)
            _exit(0);
        _exit(0); /* without a word */
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 1);
}
