/*
 * admin/reload.h: POST /lb/reload. The master is asked once; whoever asks while it works belongs to
 * the next round (the file may have been read before they changed it), which begins when this one
 * is answered. Every waiting request of a round gets the same answer.
 */
#ifndef BALLAST_ADMIN_RELOAD_H
#define BALLAST_ADMIN_RELOAD_H

#include "admin/response.h"

#define RELOAD_WAIT_MS 60000u

struct reload {
    int (*ask)(void *arg); /* sends the question to the master: 0, or -1 */
    void *arg;
    uint32_t round; /* the one under way or the last one */
    bool busy;
    bool again; /* somebody waits for the next round */
};

/* Joins a round. Returns its number, or 0: the master cannot be asked. */
uint32_t reload_join(struct reload *r);
/*
 * The master answered: *round is the one that is over (its waiters are answered with
 * reload_answer); the next begins if it is wanted. False when nothing was asked. When the next
 * cannot be asked, *lost is its number (else 0).
 */
bool reload_end(struct reload *r, uint32_t *round, uint32_t *lost);
/* The response to one waiter. result 0: adopted, anything else: refused; text: what the master
 * said, JSON or lines. */
void reload_answer(struct response *r, uint32_t result, uint32_t generation, const char *text);

/* The whole text of a master's answer: that of fd (which stays the caller's) when there is one,
 * else a copy of text. malloc'd. */
char *reload_text(const char *text, int fd) MUST_CHECK;

#endif
