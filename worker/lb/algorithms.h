/* worker/lb/algorithms.h: the rows, one per file of this folder. */
#ifndef BALLAST_WORKER_LB_ALGORITHMS_H
#define BALLAST_WORKER_LB_ALGORITHMS_H

#include "worker/lb/lb.h"

extern const struct lb_algorithm lb_round_robin;
extern const struct lb_algorithm lb_weighted_round_robin;
extern const struct lb_algorithm lb_least_connections;
extern const struct lb_algorithm lb_weighted_least_connections;
extern const struct lb_algorithm lb_least_response_time;
extern const struct lb_algorithm lb_random;
extern const struct lb_algorithm lb_power_of_two;
extern const struct lb_algorithm lb_first;
extern const struct lb_algorithm lb_ip_hash;
extern const struct lb_algorithm lb_url_hash;
extern const struct lb_algorithm lb_consistent_hash;
extern const struct lb_algorithm lb_maglev;

#endif
