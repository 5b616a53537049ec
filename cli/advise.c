/*
 * cli/advise.c: `ballast advise`: which balancing algorithm suits. The rules, first match wins, are
 * a table.
 */
#include <stdio.h>
#include <string.h>
#include "cli/arg.h"
#include "cli/commands.h"
#include "conf/rows.h"

struct traffic {
    bool homogeneous, uneven, sessions, is_long, churn;
};

struct rule {
    bool sessions, churn, is_long, uneven; /* what must hold */
    const char *algorithm, *why;
};

static const struct rule rules[] = {
    {true, true, false, false, "consistent_hash",
     "a client keeps its backend, and when backends come and go only their own share moves"},
    {true, false, false, false, "ip_hash",
     "a client keeps its backend as long as the set of backends stays the same"},
    {false, false, true, true, "weighted_least_connections",
     "long requests pile up where they are; counting them against the weights evens it out"},
    {false, false, true, false, "least_connections",
     "long requests pile up where they are; the backend with the fewest in flight comes next"},
    {false, false, false, true, "weighted_round_robin",
     "stronger backends get their larger share, smoothly and without bursts"},
    {false, false, false, false, "round_robin",
     "equal backends and short requests need no more than taking turns"},
};

static bool holds(const struct rule *r, const struct traffic *t)
{
    return (!r->sessions || t->sessions) && (!r->churn || t->churn) &&
           (!r->is_long || t->is_long) && (!r->uneven || t->uneven);
}

static bool available(const char *algorithm)
{
    for (const char *const *name = conf_algorithms; *name; name++)
        if (strcmp(*name, algorithm) == 0)
            return true;
    return false;
}

int command_advise(int argc, char **argv)
{
    struct traffic t = {0};
    const struct cli_arg rows[] = {{"homogeneous", 0, CLI_FLAG, &t.homogeneous, 0},
                                   {"uneven", 0, CLI_FLAG, &t.uneven, 0},
                                   {"sessions", 0, CLI_FLAG, &t.sessions, 0},
                                   {"long", 0, CLI_FLAG, &t.is_long, 0},
                                   {"churn", 0, CLI_FLAG, &t.churn, 0},
                                   {0}};
    enum cli_args_result result = cli_args(argc, argv, rows, NULL);

    if (result != CLI_ARGS_OK)
        return cli_args_status(result);
    if (t.homogeneous && t.uneven)
        return cli_wrong("advise", "backends are either --homogeneous or --uneven");
    const struct rule *r = rules;
    while (!holds(r, &t))
        r++;
    printf("balance = \"%s\"\n  # %s\n", r->algorithm, r->why);
    if (!available(r->algorithm))
        printf("  # (not available in ballast %s)\n", BALLAST_VERSION);
    return 0;
}
