/* worker/account.h: ACCOUNT: the only place that counts requests, attempts and bytes. Single-writer
 * words: a few ns each. */
#ifndef BALLAST_WORKER_ACCOUNT_H
#define BALLAST_WORKER_ACCOUNT_H

#include "worker/cache.h"

void account_txn(struct txn *t); /* once, when it ends */
/* A connection was closed before its protocol began. */
void account_refused(struct worker *w, uint32_t listener_row);
/* How a client's TLS handshake ended. */
enum account_handshake { TLS_FULL, TLS_RESUMED, TLS_FAILED };
void account_tls(struct conn *c, enum account_handshake how);
void account_sent(struct txn *t); /* an attempt was handed to a backend connection */
void account_response(struct txn *t, unsigned status); /* its response head arrived */
void account_answer(struct txn *t); /* the first datagram of a backend, which has no status */
void account_attempt_failed(struct txn *t, bool connect_error, bool timeout);
void account_retry(struct txn *t);
/* Rate limits: one of them refused, one let it through, all of them did. */
void account_rate_limited(struct txn *t, uint32_t limit);
void account_rate_passed(struct txn *t, uint32_t limit, bool delayed, bool evicted);
void account_rate_request(struct txn *t, bool delayed);
void account_log_dropped(struct worker *w, uint32_t lines); /* of an access log */
/* An answer is compressed; so much of one became so much. */
void account_compression(struct txn *t);
void account_compressed(struct txn *t, uint64_t in, uint64_t out);
/* The response cache: what became of a request; it waits for another's fetch; a response that was
 * not kept to the end; bytes of stored bodies. */
void account_cache(struct txn *t, enum cache_result result);
void account_cache_waits(struct worker *w);
void account_cache_abandoned(struct worker *w);
void account_cache_served(struct worker *w, uint64_t n);
/* Bytes moved, as they move. */
void account_client_in(struct txn *t, uint64_t n);
void account_client_out(struct txn *t, uint64_t n);
void account_backend_in(struct txn *t, uint64_t n);
void account_backend_out(struct txn *t, uint64_t n);

#endif
