/* What an access log may say. */
#include "conf/rows_define.h"

static const char *const formats[] = {
    [ACCESS_JSON] = "json", [ACCESS_COMBINED] = "combined", [ACCESS_COMMON] = "common", NULL};

static const struct conf_row access_rows[] = {
    {.name = "target",
     .type = CONF_T_ACCESS_TARGET,
     FIELD(struct conf_access_log, target),
     .fallback = "auto",
     .min = 1,
     .also = "path file output",
     .help =
         "A path, `stdout`, `stderr` or `syslog`; `auto` is `/var/log/ballast/access.log` where "
         "that directory can be written, and nothing elsewhere"},
    {.name = "format",
     .type = CONF_T_ENUM,
     FIELD(struct conf_access_log, format),
     .fallback = "json",
     .names = formats,
     .help = "`json`: an object per line; `combined` and `common`: as other servers write them"},
    END};
const struct conf_section conf_section_access_log = {
    "listeners.*.access_log", access_rows,
    "A line for each request, when it ended (tcp: each connection). `access_log = \"off\"`: none. "
    "Lines are written once a second or when there are many, and never wait for a slow reader or a "
    "full disk: what cannot be written is dropped and counted."};
