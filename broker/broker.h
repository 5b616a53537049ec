/*
 * broker/broker.h: the process that lends places in flight to programs with the client library, so
 * that their requests are in the balancer's counts and keep to its limits. It listens on a
 * SEQPACKET socket beside the table (members of table_group may connect), and is the only one who
 * speaks with clients: they are strangers, as those of a listener. Runs when client_leases is above
 * 0.
 */
#ifndef BALLAST_BROKER_BROKER_H
#define BALLAST_BROKER_BROKER_H

#include "proc/role.h"

extern const struct role broker_role;

#endif
