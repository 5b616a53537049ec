/* Tables that are not followed: foreign, cut short, of another version, of the dead. */
#include "tests/unit/client/fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static char why[256];

/* A /dev/shm of the test's own. */
static void isolate(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) == -1 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL) == -1)
        SKIP("needs root");
}

static struct ballast_client *try(const char *instance)
{
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    why[0] = '\0';
    return ballast_client_open(instance, &options, why, sizeof why);
}

static void refused(const char *reason)
{
    CHECK(!try(CONF));
    if (!strstr(why, reason))
        fprintf(stderr, "said: %s\n", why);
    CHECK(strstr(why, reason));
}

static void taken(void)
{
    client = try(CONF);
    CHECK_STR(why, "");
    CHECK(client);
    ballast_client_close(client);
}

static const char *path_of_table(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/dev/shm/ballast.%d", getpid());
    return path;
}

static void setup(void)
{
    isolate();
    make_table("round_robin");
    add_backend(1);
    taken();
}

TEST(found_by_its_configuration)
{
    setup();
    CHECK(!try("/nowhere/other.conf"));
    CHECK_STR(why, "no running instance of /nowhere/other.conf");
    CHECK(!try("nowhere/relative.conf"));
    CHECK(strstr(why, "No such file"));
    client = try(NULL);
    CHECK(client);
    ballast_client_close(client);
    CHECK(!try("pid:1"));
    CHECK(strstr(why, "no running instance"));
    CHECK(!try("pid:"));
    CHECK(!try("pid:12x"));
    CHECK(!try("pid:99999999999"));
    CHECK(strstr(why, "names no process"));
}

TEST(another_magic_version_or_size)
{
    setup();
    table.header->magic++;
    refused("not a table of ballast");
    table.header->magic--;
    table.header->version++;
    refused("layout version");
    table.header->version--;
    table.header->header_bytes += 8;
    refused("other sizes");
    table.header->header_bytes -= 8;
    table.header->entries.stride_bytes += 64;
    refused("other sizes");
    table.header->entries.stride_bytes -= 64;
    table.header->total_bytes++;
    refused("other sizes");
    table.header->total_bytes--;
    taken();
}

TEST(words_that_cannot_be)
{
    setup();
    word_set(&table.header->entries_high, ENTRY_MAX + 1);
    refused("makes no sense");
    word_set(&table.header->entries_high, 1);
    word_set(&table.header->slots_high, SLOT_MAX + 1);
    refused("makes no sense");
    word_set(&table.header->slots_high, 4);
    word_set(&table.header->pools_high, POOL_MAX + 1);
    refused("makes no sense");
    word_set(&table.header->pools_high, 1);
    taken();
}

TEST(another_boot_and_another_process)
{
    setup();
    char c = table.header->boot_id[0];
    table.header->boot_id[0] = c == 'x' ? 'y' : 'x';
    refused("does not run any more");
    table.header->boot_id[0] = c;
    table.header->master_start_ticks++;
    refused("does not run any more");
    table.header->master_start_ticks--;
    table.header->pid_namespace++; /* another container: only the heartbeat tells */
    taken();
    table.header->pid_namespace--;
    table.header->master_pid++;
    refused("no running instance");
    table.header->master_pid--;
    taken();
}

TEST(cut_short)
{
    setup();
    int fd = open(path_of_table(), O_RDWR);
    CHECK(fd != -1);
    CHECK_EQ(unlink(path_of_table()), 0);
    struct table_header copy = *table.header;
    fd = open(path_of_table(), O_CREAT | O_RDWR, 0600);
    CHECK(fd != -1);
    refused("not a table of ballast"); /* empty */
    CHECK_EQ(write(fd, &copy, 16), 16);
    refused("not a table of ballast");
    CHECK_EQ(pwrite(fd, &copy, sizeof copy, 0), sizeof copy);
    refused("other sizes");
    CHECK_EQ(ftruncate(fd, (off_t)copy.total_bytes - 1), 0);
    refused("other sizes");
}

TEST(what_others_could_have_made)
{
    setup();
    CHECK_EQ(chown(path_of_table(), 4242, 4242), 0);
    refused("belongs to somebody else");
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    options.owner = 4242;
    client = ballast_client_open(CONF, &options, why, sizeof why);
    CHECK(client);
    ballast_client_close(client);
    CHECK_EQ(chown(path_of_table(), 0, 0), 0);
    CHECK_EQ(chmod(path_of_table(), 0620), 0);
    refused("others may change it");
    CHECK_EQ(chmod(path_of_table(), 0640), 0);
    taken();
}

TEST(things_that_are_no_files_do_not_hold_it_up)
{
    setup();
    CHECK_EQ(mkfifo("/dev/shm/ballast.4711", 0666), 0);
    CHECK_EQ(mkdir("/dev/shm/ballast.4712", 0777), 0);
    CHECK_EQ(symlink(path_of_table(), "/dev/shm/ballast.4713"), 0);
    CHECK_EQ(symlink("/dev/zero", "/dev/shm/ballast.4714"), 0);
    taken();
    CHECK(!try("pid:4711"));
    CHECK(!try("pid:4712"));
    CHECK(!try("pid:4713"));
}

TEST(one_who_may_not_read_is_told_what_to_do)
{
    int status;
    setup();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(setresuid(4242, 4242, 4242), 0);
        refused("table_group");
        exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

TEST(members_of_the_group_may)
{
    int status;
    setup();
    CHECK_EQ(table_share(&table, 4243), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(setresgid(4243, 4243, 4243), 0);
        CHECK_EQ(setresuid(4242, 4242, 4242), 0);
        taken();
        int fd = open(path_of_table(), O_RDWR);
        CHECK(fd == -1);
        exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(table_share(&table, TABLE_NO_GROUP), 0);
    struct stat st;
    CHECK_EQ(fstat(table.fd, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
}

TEST(nothing_is_there)
{
    isolate();
    CHECK(!try(NULL));
    CHECK_STR(why, "no running instance");
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    struct ballast_pick pick;
    options.may_be_absent = 1;
    options.fallback = "unix:/run/x.sock";
    client = ballast_client_open(CONF, &options, why, sizeof why);
    CHECK(client);
    CHECK_EQ(ballast_pick(client, "p", NULL, 0, &pick), BALLAST_FALLBACK);
    CHECK_EQ(pick.address.ss_family, AF_UNIX);
    CHECK_EQ(ballast_client_is_fresh(client, why, sizeof why), 0);
    CHECK_STR(why, "no running instance of " CONF);
    make_table("round_robin");
    add_backend(1);
    client->look_us = client->search_us = 0; /* as if a second had passed */
    CHECK_EQ(ballast_pick(client, "p", NULL, 0, &pick), BALLAST_OK);
    ballast_client_close(client);
}

TEST(options_that_make_no_sense)
{
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    options.size_bytes--;
    CHECK(!ballast_client_open(NULL, &options, why, sizeof why));
    CHECK(strstr(why, "another version of ballast_client.h"));
    options = (struct ballast_options)BALLAST_OPTIONS_INIT;
    options.stale_ms = 999;
    CHECK(!ballast_client_open(NULL, &options, why, sizeof why));
    CHECK_STR(why, "stale_ms is 999: at least 1000");
    options.stale_ms = 0;
    options.fallback = "nonsense";
    CHECK(!ballast_client_open(NULL, &options, why, sizeof why));
    CHECK(strstr(why, "fallback \"nonsense\": "));
    ballast_client_close(NULL);
}

/* Mapped for reading only, and only the part with the backends. */
TEST(the_table_cannot_be_written)
{
    int status;
    setup();
    client = try(CONF);
    CHECK(client->table.mapped_bytes < 3u << 30);
    CHECK(client->table.read_only);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        word_set(&client->table.header->generation, 1);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(status != 0);
}
