/*
 * cli/top.h: how `ballast top` shows a snapshot. earlier is the snapshot that rates and percentiles
 * count from; NULL: since the start.
 */
#ifndef BALLAST_CLI_TOP_H
#define BALLAST_CLI_TOP_H

#include <stdio.h>
#include "cli/snapshot.h"

struct top_style {
    bool colour;
    unsigned lines; /* of the screen that it is drawn on; 0: it is not drawn on one */
};

void top_write_text(FILE *out, const struct snapshot *now, const struct snapshot *earlier,
                    const struct table_header *h, const struct top_style *style);
/* One JSON object and a newline. */
void top_write_json(FILE *out, const struct snapshot *now, const struct snapshot *earlier,
                    const struct table_header *h);

#endif
