/*
 * conf/dump.h: writes what a section's rows describe.
 */
#ifndef BALLAST_CONF_DUMP_H
#define BALLAST_CONF_DUMP_H

#include "conf/out.h"
#include "conf/rows.h"

/* base: the struct that the section describes. */
void dump_section(struct out *o, const struct conf_section *section, const void *base);

/* What a row is, for the docs (Markdown). */
void dump_row_type(struct out *o, const struct conf_row *row);
void dump_row_default(struct out *o, const struct conf_row *row);
void dump_row_bounds(struct out *o, const struct conf_row *row);
void dump_row_help(struct out *o, const struct conf_row *row);

/* Was a CONF_OMIT setting left out? */
bool dump_is_unset(const struct conf_row *row, const void *field);

#endif
