#include "proc/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READING  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define OLDEST   13u /* rights to files of the first version */
#define TRUNCATE 15u /* with that to truncate, since the third */
#define DEVICES  16u /* with that to ioctl() devices, since the fifth: the newest */

/* Modules and settings of OpenSSL, time zones, and what libc asks of the system. */
static const char *const for_libraries[] = {
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/ssl",
    "/etc/pki",
    "/etc/crypto-policies",
    "/proc/sys/crypto",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/urandom",
    "/sys/devices/system/cpu",
};

/* The rights that this version of the interface knows. */
static uint64_t known_rights(int version)
{
    unsigned count = version >= 5   ? DEVICES
                     : version >= 3 ? TRUNCATE
                                    : OLDEST + (version == 2 ? 1 : 0);
    return (1ull << count) - 1;
}

static int allow_reading(int rules, const char *path)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC), rc = 0;
    if (fd == -1)
        return 0; /* what is not there is not needed */
    struct landlock_path_beneath_attr rule = {LANDLOCK_ACCESS_FS_READ_FILE, fd};
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        rule.allowed_access = READING;
    rc = (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return rc;
}

static int restrict_to(int rules, enum sandbox s)
{
    for (size_t i = 0; s == SANDBOX_NO_FILES && i < ARRAY_LEN(for_libraries); i++)
        if (allow_reading(rules, for_libraries[i]) == -1)
            return -1;
    return (int)syscall(SYS_landlock_restrict_self, rules, 0);
}

static int version_here(void)
{
#ifdef __SANITIZE_ADDRESS__
    return 0;
#else
    int v = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return v == -1 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM) ? 0 : v;
#endif
}

int sandbox_enter(enum sandbox s)
{
    int version = version_here();
    if (version <= 0)
        return version;
    struct landlock_ruleset_attr handled = {known_rights(version)};
    if (s == SANDBOX_READ_ONLY)
        handled.handled_access_fs &= ~(uint64_t)READING;
    int rules = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    int rc = rules == -1 ? -1 : restrict_to(rules, s), saved = errno;
    if (rules != -1)
        (void)close(rules);
    errno = saved;
    return rc == -1 ? -1 : version;
}
