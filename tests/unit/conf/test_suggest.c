#include "conf/suggest.h"
#include "tests/unit/harness.h"

static const char *suggest(const char *wanted, const char *const *from)
{
    struct suggest s;
    suggest_init(&s, wanted);
    for (; *from; from++)
        suggest_offer(&s, *from);
    return s.best;
}

static const char *const names[] = {"weight", "max_connections", "name",  "address",
                                    "backup", "keepalive",       "pools", NULL};

TEST(distance)
{
    CHECK_EQ(suggest_distance("", ""), 0);
    CHECK_EQ(suggest_distance("abc", ""), 3);
    CHECK_EQ(suggest_distance("", "abc"), 3);
    CHECK_EQ(suggest_distance("weight", "weight"), 0);
    CHECK_EQ(suggest_distance("wieght", "weight"), 1); /* a transposition is one mistake */
    CHECK_EQ(suggest_distance("weigth", "weight"), 1);
    CHECK_EQ(suggest_distance("wight", "weight"), 1);
    CHECK_EQ(suggest_distance("weights", "weight"), 1);
    CHECK_EQ(suggest_distance("weight", "height"), 1);
    CHECK_EQ(suggest_distance("kitten", "sitting"), 3);
    CHECK_EQ(suggest_distance("Max-Connections", "max_connections"), 0);
}

TEST(distance_is_symmetric)
{
    for (size_t i = 0; names[i]; i++)
        for (size_t j = 0; names[j]; j++)
            CHECK_EQ(suggest_distance(names[i], names[j]), suggest_distance(names[j], names[i]));
}

TEST(long_names_are_far_apart)
{
    char name[SUGGEST_NAME_MAX + 2];
    memset(name, 'a', sizeof name);
    name[SUGGEST_NAME_MAX] = '\0';
    CHECK_EQ(suggest_distance(name, name), 0);
    name[SUGGEST_NAME_MAX] = 'a';
    name[SUGGEST_NAME_MAX + 1] = '\0';
    CHECK_EQ(suggest_distance(name, "a"), UINT32_MAX);
}

TEST(closest)
{
    CHECK_STR(suggest("wieght", names), "weight");
    CHECK_STR(suggest("keep_alive", names), "keepalive");
    CHECK_STR(suggest("maxconnections", names), "max_connections");
    CHECK_STR(suggest("adress", names), "address");
    CHECK_STR(suggest("pool", names), "pools");
}

TEST(nothing_close)
{
    CHECK(suggest("colour", names) == NULL);
    CHECK(suggest("x", names) == NULL);
    CHECK(suggest("", names) == NULL);
}

TEST(a_beginning_counts)
{
    static const char *const algorithms[] = {"round_robin", "least_connections", NULL};
    CHECK_STR(suggest("leastconn", algorithms), "least_connections");
    CHECK_STR(suggest("RoundRobin", algorithms), "round_robin");
    CHECK(suggest("le", algorithms) == NULL);
}

TEST(aliases)
{
    struct suggest s;
    suggest_init(&s, "maxconn");
    suggest_offer_alias(&s, "max_connections", "limit maxconn max_conns");
    suggest_offer(&s, "max_con");
    CHECK_STR(s.best, "max_connections");
    suggest_init(&s, "max");
    suggest_offer_alias(&s, "max_connections", "limit maxconn max_conns");
    suggest_offer_alias(&s, "max_connections", NULL);
    CHECK(s.best == NULL);
}
