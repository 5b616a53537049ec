/*
 * master/processes.h: the spawn table: which processes the instance wants, starting them, their
 * deaths. A dead process's gauges are taken back at once and its successor starts at once; only one
 * that dies young again and again waits, from 50 ms doubling to 10 s.
 */
#ifndef BALLAST_MASTER_PROCESSES_H
#define BALLAST_MASTER_PROCESSES_H

#include "master/state.h"

void processes_init(struct master *m);
/* Worker 0 at this place, the others behind it, round and round. */
void processes_place_workers(struct master *m, uint32_t base);
void processes_watch(struct process *p); /* pid, pidfd and control_fd are there */
/* Does the current generation want this process? */
bool process_wanted(const struct process *p);
bool process_alive(const struct process *p);
/* Starts what is wanted and not there, cancels the backoff of what is not wanted any more. */
void processes_start_missing(struct master *m);
/* Is anybody left, of this role (SLOT_EMPTY: of any)? */
bool processes_alive(const struct master *m, enum slot_role role);

/* Sends; a process that cannot be told is killed: its successor starts from the current state. */
void process_send(struct process *p, const struct ctl_msg *msg, const int *fds);
void process_tell(struct process *p, uint32_t type, uint32_t number);
void process_set_state(struct process *p, enum process_state state);
void process_drain(struct process *p, uint32_t deadline_ms); /* 0: no limit */
void process_kill(struct process *p);
/* A life-cycle event of this process in the ring and the log. */
void process_event(struct process *p, const char *from, const char *to, const char *reason);

#define PROCESS_EACH(m, p)                                                                         \
    for (struct process *p = (m)->processes; p < (m)->processes + SLOT_MAX; p++)

#endif
