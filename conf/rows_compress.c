/* What `compression` may say. */
#include "conf/compress.h"
#include "conf/rows_define.h"

PAIR(struct conf_compression, algorithms, algorithm_count);
PAIR(struct conf_compression, types, type_count);

static const struct conf_row compress_rows[] = {
    {.name = "algorithms",
     .type = CONF_T_CODINGS,
     FIELD(struct conf_compression, algorithms),
     .fallback = "zstd, br, gzip",
     .also = "algo algorithm encodings",
     .help = "Out of `gzip`, `br` (Brotli) and `zstd`: what the client prefers in "
             "`Accept-Encoding` is taken, among equals the first one here"},
    {.name = "types",
     .type = CONF_T_MEDIA_TYPES,
     FIELD(struct conf_compression, types),
     .fallback = "text/html, text/css, text/plain, text/xml, text/javascript, "
                 "application/javascript, application/json, application/xml, "
                 "application/manifest+json, application/problem+json, application/ld+json, "
                 "application/xhtml+xml, application/rss+xml, application/atom+xml, "
                 "application/wasm, image/svg+xml",
     .also = "type gzip_types mime_types content_types",
     .help = "Answers of these media types; `text/*` is all of text. `text/event-stream` is "
             "possible: what a backend sends goes out at once. Each answer that is being "
             "compressed takes some 260 KiB (`gzip`) or 1 MiB of memory; beyond 256 at a time in "
             "a worker they are sent as they are"},
    {.name = "min_size",
     .type = CONF_T_SIZE,
     FIELD(struct conf_compression, min_bytes),
     .fallback = "1k",
     .max = 1ull << 30,
     .also = "gzip_min_length min_length minimum_size",
     .help = "Answers whose Content-Length is below are sent as they are"},
    {.name = "level",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_compression, level),
     .fallback = "2",
     .min = 1,
     .max = 9,
     .also = "gzip_comp_level quality",
     .help = "How much work: `1` is fastest, `9` smallest. Above `4` costs several times the time "
             "for a few percent"},
    {.name = "offload",
     .type = CONF_T_BOOL,
     FIELD(struct conf_compression, offload),
     .fallback = "false",
     .help = "Backends get no `Accept-Encoding`, so that none of them compresses"},
    END};
const struct conf_section conf_section_compression = {
    "compression", compress_rows,
    "Of a listener or a route: answers of backends that go out compressed when the client takes "
    "it. There is none unless this group stands there, `{ }` at least; a route's replaces the "
    "listener's as a whole, `\"off\"` takes it away. Left alone are answers that have a "
    "`Content-Encoding`, a digest, or `Cache-Control: no-transform`, parts of a whole (206), and "
    "clients of HTTP/1.0. `Vary` says what the answer depends on, a strong `ETag` becomes a weak "
    "one."};
