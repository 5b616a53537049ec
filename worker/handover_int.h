/* worker/handover_int.h: what the two ends of a hand-over say to each other. A record is a
 * struct handover_record, then the bytes that it counts; the answer is a struct handover_answer. */
#ifndef BALLAST_WORKER_HANDOVER_INT_H
#define BALLAST_WORKER_HANDOVER_INT_H

#include "worker/access_log.h"
#include "worker/handover.h"

#define HANDOVER_MAGIC   0x4A4D0E12u
#define HANDOVER_VERSION 1u /* of the records: changes whenever what they mean does */
#define HANDOVER_BYTES                                                                             \
    (sizeof(struct handover_record) + 2 * BUF_LARGE_BYTES + sizeof(struct access_note))

/* Bytes in a pipe between two sockets: its descriptors come along. */
struct handover_pipe {
    uint32_t bytes, cap; /* 0: there is none */
};

struct handover_tunnel {
    char pool[NAME_MAX_BYTES], backend[NAME_MAX_BYTES];
    uint32_t entry, incarnation; /* in the same table; else by name */
    uint32_t route;              /* of the listener, as written; INDEX_NONE: the fallback */
    uint64_t started_us, sent_us, bytes_in, bytes_out;
    uint16_t status;
    uint8_t attempts;
    bool bulk_in, bulk_out, client_eof, up_eof, client_shut, up_shut, send_broken;
    uint32_t to_client_bytes, note_bytes;
    struct handover_pipe to_client, to_backend;
};

struct handover_record {
    uint32_t magic, version, record_bytes;
    uint32_t bind_id;
    uint64_t id;
    uint64_t table; /* whose key begins like this */
    uint64_t deadline_us;
    uint32_t served, in_bytes;
    struct peer peer, dest;
    uint8_t protocol;
    bool eof, limited, has_tunnel;
    struct handover_tunnel tunnel;
};
/* Descriptors, in this order: client, backend, to_client (read, write), to_backend (read, write).
 */

struct handover_answer {
    uint64_t id;
    bool taken;
};

/* The bytes of a note that are in use. */
uint32_t handover_note_bytes(const struct access_note *n);

#endif
