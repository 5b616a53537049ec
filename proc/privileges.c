#include "proc/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAPABILITY_MAX 63 /* the kernel's sets have 64 bits; EINVAL ends the known ones */

static bool applies(const char *user)
{
    return user[0] != '\0' && geteuid() == 0;
}

static const struct passwd *find_user(const char *user, char *why, size_t why_cap)
{
    errno = 0;
    const struct passwd *p = getpwnam(user);
    if (p == NULL)
        (void)snprintf(why, why_cap, "user \"%s\": %s", user,
                       errno == 0 ? "no such user" : strerror(errno));
    return p;
}

int privileges_check(const char *user, char *why, size_t why_cap)
{
    return !applies(user) || find_user(user, why, why_cap) != NULL ? 0 : -1;
}

/* So that no set-user-id program or file capability could give any of them back. */
static void drop_bounding_set(void)
{
    for (int capability = 0; capability <= CAPABILITY_MAX; capability++)
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == -1)
            return;
}

static int become(const struct passwd *p)
{
    if (initgroups(p->pw_name, p->pw_gid) == -1 || setresgid(p->pw_gid, p->pw_gid, p->pw_gid) == -1)
        return -1;
    return setresuid(p->pw_uid, p->pw_uid, p->pw_uid);
}

static int change_user(const char *user, char *why, size_t why_cap)
{
    const struct passwd *p = find_user(user, why, why_cap);
    if (p == NULL)
        return -1;
    drop_bounding_set();
    if (become(p) == -1) {
        (void)snprintf(why, why_cap, "cannot become user \"%s\": %s", user, strerror(errno));
        return -1;
    }
    if (p->pw_uid != 0 && setuid(0) == 0) {
        (void)snprintf(why, why_cap, "user \"%s\" could become root again", user);
        return -1;
    }
    return 0;
}

/* Started without root but with capabilities (the systemd unit gives CAP_NET_BIND_SERVICE): they
 * are the master's. Root itself keeps its own: whoever says user = "root" means it. */
static int drop_capabilities(char *why, size_t why_cap)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct have[2] = {{0}}, none[2] = {{0}};
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (geteuid() == 0)
        return 0;
    drop_bounding_set(); /* works while the capability for it is there */
    if (syscall(SYS_capget, &head, have) == 0 && memcmp(have, none, sizeof none) == 0)
        return 0;
    if (syscall(SYS_capset, &head, none) == 0)
        return 0;
    (void)snprintf(why, why_cap, "cannot give up capabilities: %s", strerror(errno));
    return -1;
}

int privileges_drop(const char *user, bool keep_dumpable UNUSED, char *why, size_t why_cap)
{
    if (applies(user) && change_user(user, why, why_cap) == -1)
        return -1;
    if (drop_capabilities(why, why_cap) == -1)
        return -1;
#ifndef __SANITIZE_ADDRESS__ /* which looks for leaks as a debugger */
    (void)prctl(PR_SET_DUMPABLE, keep_dumpable ? 1 : 0, 0, 0, 0);
#endif
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
        (void)snprintf(why, why_cap, "cannot set no-new-privileges: %s", strerror(errno));
        return -1;
    }
    return 0;
}
