#include "master/reap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "master/state.h"

static void describe(const siginfo_t *info, struct reaped *out)
{
    out->clean = info->si_code == CLD_EXITED && info->si_status == 0;
    if (info->si_code == CLD_EXITED)
        (void)snprintf(out->text, sizeof out->text, "exit status %d", info->si_status);
    else
        (void)snprintf(out->text, sizeof out->text, "killed by signal %d (%.30s)%s",
                       info->si_status, strsignal(info->si_status),
                       info->si_code == CLD_DUMPED ? ", core dumped" : "");
}

int reap(int pidfd, struct reaped *out)
{
    siginfo_t info = {0};
    int result;
    do {
        result = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
    } while (result == -1 && errno == EINTR);
    if (result == -1)
        return -1;
    if (info.si_pid == 0)
        return 0;
    describe(&info, out);
    return 1;
}

static bool is_known(const struct master *m, pid_t pid)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        if (m->processes[i].pid == pid)
            return true;
    return false;
}

void reap_strays(const struct master *m)
{
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
        pid_t pid = info.si_pid;
        if (is_known(m, pid) || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) == -1)
            return;
        info.si_pid = 0;
    }
}
