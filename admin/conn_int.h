/*
 * admin/conn_int.h: between conn.c (what happens) and conn_io.c (bytes in and out of the socket).
 */
#ifndef BALLAST_ADMIN_CONN_INT_H
#define BALLAST_ADMIN_CONN_INT_H

#include "admin/conn.h"

#define CONN_HEAD_BYTES 16384u
#define CONN_IN_BYTES   32768u

#define CONN_IDLE_S   60.
#define CONN_HEAD_S   10.
#define CONN_BODY_S   30.
#define CONN_WRITE_S  30. /* without progress */
#define CONN_LINGER_S 2.

enum step {
    STEP_AGAIN,   /* the state has work to do */
    STEP_BLOCKED, /* until the socket or a timer says more */
    STEP_GONE     /* the connection was freed */
};

/* Reads once. STEP_AGAIN: there are new bytes. */
enum step conn_recv(struct conn *c) MUST_CHECK;
/* Sends what is left. STEP_AGAIN: all is sent. */
enum step conn_send(struct conn *c) MUST_CHECK;
void conn_buffer_drop(struct conn *c);
void conn_deadline(struct conn *c, double seconds);
void conn_advance(struct conn *c);
/* Fills c->peer. */
void conn_name_peer(struct conn *c, int fd);

#endif
