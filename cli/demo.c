/* cli/demo.c: what `ballast demo` balances: a configuration on ports that are free right now. */
#include <stdio.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/net.h"
#include "cli/cli.h"

#define PORT_TRIES 200u

static uint16_t listen_port, admin_port;

static bool port_is_free(uint16_t port)
{
    struct net_addr addr;
    char text[32], why[128];

    snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    if (net_addr_parse(text, &addr, why, sizeof(why)) == -1)
        return false;
    int fd = net_listen(&addr, 1, 0);
    if (fd == -1)
        return false;
    close(fd);
    return true;
}

/* The first free port from `from` on that is none of the ones chosen already; 0: none. */
static uint16_t choose_port(uint16_t from, const uint16_t *chosen, unsigned count)
{
    for (unsigned port = from; port < from + PORT_TRIES && port <= UINT16_MAX; port++) {
        bool used = false;
        for (unsigned i = 0; i < count; i++)
            used = used || chosen[i] == port;
        if (!used && port_is_free((uint16_t)port))
            return (uint16_t)port;
    }
    return 0;
}

/* All ports of the demo. False when one cannot be had. */
static bool choose_ports(void)
{
    static const uint16_t wanted[] = {8080, 9900, 8001, 8002, 8003};
    uint16_t chosen[ARRAY_LEN(wanted)] = {0};

    for (unsigned i = 0; i < ARRAY_LEN(wanted); i++) {
        chosen[i] = choose_port(wanted[i], chosen, i);
        if (chosen[i] == 0) {
            fprintf(stderr, "ballast demo: no free port from %u to %u\n", wanted[i],
                    wanted[i] + PORT_TRIES - 1);
            return false;
        }
    }
    listen_port = chosen[0];
    admin_port = chosen[1];
    for (unsigned i = 0; i < ARRAY_LEN(sample_ports); i++)
        sample_ports[i] = chosen[2 + i];
    return true;
}

const char *cli_demo_config(struct arena *a)
{
    if (!choose_ports())
        return NULL;
    return arena_printf(
        a,
        "workers = 2\n"
        "pid_file = \"\"\n"
        "admin = { bind = \"127.0.0.1:%u\" }\n"
        "listeners = { web = { bind = \"127.0.0.1:%u\", pool = \"demo\" } }\n"
        "pools = { demo = {\n"
        "  balance = \"round_robin\"\n"
        "  health = { interval = \"1s\", timeout = \"1s\" }\n"
        "  backends = ( { name = \"backend-1\", address = \"127.0.0.1:%u\" },\n"
        "               { name = \"backend-2\", address = \"127.0.0.1:%u\" },\n"
        "               { name = \"backend-3\", address = \"127.0.0.1:%u\" } ) } }\n",
        admin_port, listen_port, sample_ports[0], sample_ports[1], sample_ports[2]);
}

void cli_demo_banner(void)
{
    printf("\n"
           "  ballast %s is balancing\n\n"
           "    balanced service   http://127.0.0.1:%u/     curl it a few times: the backends take "
           "turns\n"
           "    dashboard          http://127.0.0.1:%u/     live, with enable, disable and drain\n"
           "    metrics            http://127.0.0.1:%u/metrics\n"
           "    WebSocket echo     ws://127.0.0.1:%u/ws\n"
           "    sample backends    http://127.0.0.1:%u/  :%u  :%u\n\n"
           "  In another terminal: ballast top, ballast events -f. Ctrl-C stops everything.\n\n",
           BALLAST_VERSION, listen_port, admin_port, admin_port, listen_port, sample_ports[0],
           sample_ports[1], sample_ports[2]);
    fflush(stdout);
}
