/*
 * admin/session_int.h: between session.c (what happens) and session_io.c (bytes in and out of the
 * socket).
 */
#ifndef BALLAST_ADMIN_SESSION_INT_H
#define BALLAST_ADMIN_SESSION_INT_H

#include "admin/session.h"

#define SESSION_HEAD_BYTES 16384u
#define SESSION_IN_BYTES   32768u

#define SESSION_IDLE_S   60.
#define SESSION_HEAD_S   10.
#define SESSION_BODY_S   30.
#define SESSION_WRITE_S  30. /* without progress */
#define SESSION_LINGER_S 2.

enum step {
    STEP_AGAIN,   /* the state has work to do */
    STEP_BLOCKED, /* until the socket or a timer says more */
    STEP_GONE     /* the connection was freed */
};

/* Reads once. STEP_AGAIN: there are new bytes. */
enum step session_recv(struct session *c) MUST_CHECK;
/* Sends what is left. STEP_AGAIN: all is sent. */
enum step session_send(struct session *c) MUST_CHECK;
void session_buffer_drop(struct session *c);
void session_deadline(struct session *c, double seconds);
void session_advance(struct session *c);
/* Fills c->peer. */
void session_name_peer(struct session *c, int fd);

#endif
