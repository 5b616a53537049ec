/* The command line of `ballast run`. */
#include <fcntl.h>
#include "conf/conf.h"
#include "master/options.h"
#include "tests/unit/harness.h"

static struct arena arena;
static struct master_options options;

#define PARSE(...)                                                                                 \
    parse((char *[]){(char[]){"run"}, __VA_ARGS__, NULL},                                          \
          (int)ARRAY_LEN(((const char *[]){"run", __VA_ARGS__})))

/* Usage errors and help are expected: they go nowhere. */
static enum options_result parse(char **argv, int argc)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), out = dup(1), err = dup(2);
    fflush(stdout);
    CHECK(null != -1 && dup2(null, 1) == 1 && dup2(null, 2) == 2);
    arena_free(&arena); /* of the one before */
    arena_init(&arena);
    enum options_result result = options_parse(argc, argv, &arena, &options);
    fflush(stdout);
    CHECK(dup2(out, 1) == 1 && dup2(err, 2) == 2);
    close(null);
    close(out);
    close(err);
    return result;
}

static bool text_has(const char *part)
{
    return options.conf_text != NULL && strstr(options.conf_text, part) != NULL;
}

TEST(file)
{
    CHECK_EQ(PARSE("-c", "/dev/null"), OPTIONS_OK);
    CHECK_STR(options.conf_path, "/dev/null");
    CHECK(options.conf_text == NULL);
    CHECK(!options.daemon);
}

TEST(spellings)
{
    CHECK_EQ(PARSE("-c/dev/null", "--daemon", "--debug", "--pid-file=/x"), OPTIONS_OK);
    CHECK_STR(options.conf_path, "/dev/null");
    CHECK(options.daemon && options.debug);
    CHECK_STR(options.pid_file, "/x");
    CHECK_EQ(PARSE("--config=/dev/null"), OPTIONS_OK);
    CHECK_STR(options.conf_path, "/dev/null");
}

TEST(relative_path_becomes_absolute)
{
    CHECK_EQ(chdir("/dev"), 0);
    CHECK_EQ(PARSE("-c", "null"), OPTIONS_OK);
    CHECK_STR(options.conf_path, "/dev/null");
}

TEST(flags_make_a_configuration)
{
    CHECK_EQ(PARSE("--listen", "127.0.0.1:8080", "--backend", "127.0.0.1:8001",
                   "--backend=127.0.0.1:8002,weight=3", "--algorithm", "round_robin", "--admin",
                   "127.0.0.1:9900", "--workers", "3"),
             OPTIONS_OK);
    CHECK(text_has("127.0.0.1:8080"));
    CHECK(text_has("127.0.0.1:8002"));
    struct conf_errors errors;
    conf_errors_init(&errors, &arena);
    const struct conf *conf = conf_load_text(options.conf_text, "flags", &arena, &errors);
    CHECK(conf != NULL);
    CHECK_EQ(conf->workers, 3);
    CHECK_EQ(conf->pools[0].backend_count, 2);
    CHECK_EQ(conf->pools[0].backends[1].weight, 3);
    CHECK_STR(conf->pools[0].balance, "round_robin");
    CHECK_EQ(net_addr_port(&conf->listeners[0].binds[0].addr), 8080);
}

TEST(host_and_port_are_a_listen_address)
{
    CHECK_EQ(PARSE("--host", "127.0.0.1", "--port", "81", "--backend", "127.0.0.1:1"), OPTIONS_OK);
    CHECK(text_has("\"127.0.0.1:81\""));
    CHECK_EQ(PARSE("--port", "81", "--backend", "127.0.0.1:1"), OPTIONS_OK);
    CHECK(text_has("\"*:81\""));
    CHECK_EQ(PARSE("--host", "::1", "--backend", "127.0.0.1:1"), OPTIONS_OK);
    CHECK(text_has("\"[::1]:8080\""));
}

TEST(wrong_usage)
{
    CHECK_EQ(PARSE("--lisen", "x"), OPTIONS_WRONG);
    CHECK_EQ(PARSE("word"), OPTIONS_WRONG);
    CHECK_EQ(PARSE("-"), OPTIONS_WRONG);
    CHECK_EQ(PARSE("-c"), OPTIONS_WRONG);
    CHECK_EQ(PARSE("--daemon=yes", "-c", "/dev/null"), OPTIONS_WRONG);
    CHECK_EQ(PARSE("--listen", "127.0.0.1:1"), OPTIONS_WRONG);
    CHECK_EQ(PARSE("--backend", "127.0.0.1:1"), OPTIONS_WRONG);
    CHECK_EQ(PARSE("--workers", "2"), OPTIONS_WRONG);
    CHECK_EQ(PARSE("-c", "/dev/null", "--backend", "127.0.0.1:1"), OPTIONS_WRONG);
    CHECK_EQ(PARSE("--port", "0", "--backend", "127.0.0.1:1"), OPTIONS_WRONG);
    CHECK_EQ(PARSE("--port", "65536", "--backend", "127.0.0.1:1"), OPTIONS_WRONG);
    CHECK_EQ(PARSE("--port", "8x", "--backend", "127.0.0.1:1"), OPTIONS_WRONG);
}

TEST(help)
{
    CHECK_EQ(PARSE("--help"), OPTIONS_HELP);
    CHECK_EQ(PARSE("-h"), OPTIONS_HELP);
}
