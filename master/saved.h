/*
 * master/saved.h: what the API changed, kept over a restart in state_file: overrides (who, when, by
 * what call, against which value of the file) and added backends. Written by the master, a moment
 * after something changed, as a new file that replaces the old one at once. The file is only a
 * memory: one that is damaged is set aside, one that cannot be written is a warning.
 *
 *   ballast-state 1
 *   backend POOL NAME ENDPOINT ADDRESS WEIGHT MAX_CONNECTIONS BACKUP
 *   override POOL NAME FIELD VALUE VALUE_OF_THE_FILE WALL_MS CALL BY
 *   end LINES HASH                         (of every byte before this line)
 *
 * Values are percent-encoded where they hold a space, a percent sign or a control character.
 */
#ifndef BALLAST_MASTER_SAVED_H
#define BALLAST_MASTER_SAVED_H

#include "master/state.h"

struct saved_record {
    struct saved_record *next;
    bool is_override;
    const char *pool, *name;
    const char *endpoint, *address;           /* of a backend */
    uint32_t weight, max_connections, backup; /* of a backend */
    const char *field, *value;                /* of an override: "weight" "5", "mode" "draining" */
    uint32_t from_file;
    uint64_t wall_ms;
    const char *call, *by;
};

/* The whole text for a table; malloc'd, NULL without memory. *records: how many it holds. */
char *saved_format(struct table *t, uint32_t *records) MUST_CHECK;
/* Reads a text into the arena, in order. -1 with why: not one byte of a damaged file is believed.
 */
int saved_parse(const char *text, size_t len_bytes, struct arena *arena, struct saved_record **out,
                char *why, size_t why_cap) MUST_CHECK;
/* Brings one record back. Returns NULL, or why it does not fit the configuration any more. */
const char *saved_apply(struct table *t, const struct saved_record *r);

/* At the start, when the first generation has its rows. */
void saved_load(struct master *m);
void saved_soon(struct master *m); /* something may have changed: looks in a moment */
/* At the end: waits for what is being written, and looks when a look is due. */
void saved_now(struct master *m);

#endif
