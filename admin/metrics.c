#include "admin/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include "admin/api.h"

/* ---- a growing text; 10,000 backends make 40 MB, so no printf per line ---- */

#define CHUNK_BYTES   65536u
#define OBJECT_BYTES  3500u /* what there is to say of a backend; a guess too low costs a copy */
#define OBJECTS_AHEAD 8u
#define HUGE_BYTES    (2u << 20)

struct text {
    char *buf;
    size_t len, cap;
    bool failed;
};

/* A long text in huge pages where there are any: the kernel takes longer to find 8,000 small ones
 * than we to fill them. */
static bool text_grow(struct text *t, size_t cap)
{
    void *grown = NULL;
    if (posix_memalign(&grown, cap >= HUGE_BYTES ? HUGE_BYTES : sizeof(void *), cap) != 0) {
        t->failed = true;
        return false;
    }
    if (cap >= HUGE_BYTES)
        (void)madvise(grown, cap / HUGE_BYTES * HUGE_BYTES, MADV_HUGEPAGE);
    if (t->len)
        memcpy(grown, t->buf, t->len);
    free(t->buf);
    t->buf = grown;
    t->cap = cap;
    return true;
}

static inline bool text_reserve(struct text *t, size_t more)
{
    if (t->buf && t->cap - t->len >= more)
        return true;
    size_t cap = t->cap;
    while (cap - t->len < more)
        cap *= 2;
    return text_grow(t, cap);
}

static inline void put(struct text *t, const char *s, size_t len)
{
    memcpy(t->buf + t->len, s, len);
    t->len += len;
}

static inline void put_uint(struct text *t, uint64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    put(t, digits + at, sizeof(digits) - at);
}

/* v in units of 10^-decimals */
static void put_decimal(struct text *t, uint64_t v, uint32_t decimals)
{
    uint64_t unit = 1;
    for (uint32_t i = 0; i < decimals; i++)
        unit *= 10;
    put_uint(t, v / unit);
    if (decimals == 0)
        return;
    put(t, ".", 1);
    for (v %= unit; unit >= 10; v %= unit) {
        unit /= 10;
        put_uint(t, v / unit);
    }
}

static void text_line(struct text *t, const char *line)
{
    size_t len = strlen(line);
    if (len && text_reserve(t, len))
        put(t, line, len);
}

/* ---- samples ---- */

struct sample {
    const char *name; /* with its suffix */
    size_t name_len;
    const char *label; /* after the object's own, "" for none */
    size_t label_len;
};

static inline void put_sample(struct text *t, const struct sample *s,
                              const struct metrics_labels *labels, uint64_t value,
                              uint32_t decimals)
{
    if (!text_reserve(t, s->name_len + labels->len + s->label_len + 48))
        return;
    put(t, s->name, s->name_len);
    if (labels->len || s->label_len) {
        put(t, "{", 1);
        put(t, labels->text, labels->len);
        if (labels->len && s->label_len)
            put(t, ",", 1);
        put(t, s->label, s->label_len);
        put(t, "}", 1);
    }
    put(t, " ", 1);
    if (value < 10 && decimals == 0)
        t->buf[t->len++] = (char)('0' + value);
    else
        put_decimal(t, value, decimals);
    put(t, "\n", 1);
}

static struct sample sample_of(const char *name, const char *label)
{
    return (struct sample){name, strlen(name), label, strlen(label)};
}

static const char *object_at(const struct metrics_set *s, uint32_t index)
{
    return s->objects + s->stride_bytes * index;
}

/* Each family of metrics walks over all objects: megabytes, of which it needs two lines each. */
static inline void expect_object(const struct metrics_set *s, uint32_t index, size_t offset)
{
    if (index < s->count) {
        __builtin_prefetch(object_at(s, index));
        __builtin_prefetch(object_at(s, index) + offset);
    }
}

static uint64_t value_at(const char *object, size_t offset)
{
    uint64_t v;
    memcpy(&v, object + offset, sizeof(v));
    return v;
}

static void put_values(struct text *t, const struct metrics_set *s, const struct metrics_row *row)
{
    char name[96];
    struct sample samples[8];
    snprintf(name, sizeof(name), "%s%s", row->name, row->type == METRIC_COUNTER ? "_total" : "");
    for (uint32_t k = 0; k < row->series_count && k < ARRAY_LEN(samples); k++)
        samples[k] = sample_of(name, row->series[k].label);
    for (uint32_t i = 0; i < s->count; i++) {
        const char *object = object_at(s, i);
        expect_object(s, i + OBJECTS_AHEAD, row->series[0].offset);
        for (uint32_t k = 0; k < row->series_count && k < ARRAY_LEN(samples); k++)
            put_sample(t, &samples[k], (const struct metrics_labels *)(const void *)object,
                       value_at(object, row->series[k].offset), row->decimals);
    }
}

/* le="0.001" ... le="+Inf"; canonical floats as OpenMetrics wants them, which the classic format
 * takes too. */
static const char *const le_labels[METRICS_LE_COUNT + 1] = {
    "le=\"0.001\"", "le=\"0.0025\"", "le=\"0.005\"", "le=\"0.01\"", "le=\"0.025\"",
    "le=\"0.05\"",  "le=\"0.1\"",    "le=\"0.25\"",  "le=\"0.5\"",  "le=\"1.0\"",
    "le=\"2.5\"",   "le=\"5.0\"",    "le=\"10.0\"",  "le=\"+Inf\"",
};

static void put_histogram(struct text *t, const struct metrics_set *s,
                          const struct metrics_row *row)
{
    char bucket[96], sum[96], count[96];
    struct sample les[METRICS_LE_COUNT + 1];
    snprintf(bucket, sizeof(bucket), "%s_bucket", row->name);
    snprintf(sum, sizeof(sum), "%s_sum", row->name);
    snprintf(count, sizeof(count), "%s_count", row->name);
    struct sample sum_sample = sample_of(sum, ""), count_sample = sample_of(count, "");
    for (uint32_t k = 0; k <= METRICS_LE_COUNT; k++)
        les[k] = sample_of(bucket, le_labels[k]);
    for (uint32_t i = 0; i < s->count; i++) {
        const char *object = object_at(s, i);
        const struct metrics_labels *labels = (const void *)object;
        const struct metrics_histo *h = (const void *)(object + row->series[0].offset);
        for (uint32_t k = 0; k < METRICS_LE_COUNT; k++)
            put_sample(t, &les[k], labels, h->at_most[k], 0);
        put_sample(t, &les[METRICS_LE_COUNT], labels, h->count, 0);
        put_sample(t, &sum_sample, labels, h->sum_us, 6);
        put_sample(t, &count_sample, labels, h->count, 0);
    }
}

static void put_header(struct text *t, const struct metrics_row *row, bool openmetrics)
{
    static const char *const types[] = {"gauge", "counter", "histogram"};
    char line[512];
    const char *suffix = row->type == METRIC_COUNTER && !openmetrics ? "_total" : "";
    snprintf(line, sizeof(line), "# HELP %s%s %s\n# TYPE %s%s %s\n", row->name, suffix, row->help,
             row->name, suffix, types[row->type]);
    text_line(t, line);
    if (openmetrics && *row->unit) {
        snprintf(line, sizeof(line), "# UNIT %s %s\n", row->name, row->unit);
        text_line(t, line);
    }
}

char *metrics_text(const struct metrics_copy *m, bool openmetrics, size_t *len_bytes)
{
    struct text t = {.cap = CHUNK_BYTES + (size_t)m->sets[SCOPE_BACKEND].count * OBJECT_BYTES};
    size_t count;
    const struct metrics_row *rows = metrics_rows(&count);
    for (size_t i = 0; i < count; i++) {
        put_header(&t, &rows[i], openmetrics);
        if (rows[i].type == METRIC_HISTOGRAM)
            put_histogram(&t, &m->sets[rows[i].scope], &rows[i]);
        else
            put_values(&t, &m->sets[rows[i].scope], &rows[i]);
    }
    if (openmetrics)
        text_line(&t, "# EOF\n");
    *len_bytes = t.len;
    if (!t.failed)
        return t.buf;
    free(t.buf);
    return NULL;
}

/* ---- which format ---- */

/* The q of one media range, "type;q=0.5;...": 1 when it has none. */
static double quality(const char *range, size_t len)
{
    for (size_t i = 0; i + 3 < len; i++)
        if (range[i] == ';') {
            size_t at = i + 1;
            while (at < len && range[at] == ' ')
                at++;
            if (at + 2 < len && strncasecmp(range + at, "q=", 2) == 0)
                return strtod(range + at + 2, NULL);
        }
    return 1;
}

static double best_quality(const char *accept, const char *type)
{
    double best = 0;
    size_t type_len = strlen(type);
    while (*accept) {
        accept += strspn(accept, " ,\t");
        size_t len = strcspn(accept, ",");
        bool same = len >= type_len && strncasecmp(accept, type, type_len) == 0 &&
                    (len == type_len || strchr("; \t", accept[type_len]));
        double q = same ? quality(accept, len) : 0;
        best = q > best ? q : best;
        accept += len;
    }
    return best;
}

bool metrics_wants_openmetrics(const char *accept)
{
    if (!accept)
        return false;
    double q = best_quality(accept, "application/openmetrics-text");
    return q > 0 && q >= best_quality(accept, "text/plain");
}

void api_metrics(struct api *a, const struct request *q, struct response *r)
{
    bool openmetrics = metrics_wants_openmetrics(q->accept);
    struct metrics_copy copy;
    size_t len_bytes;
    char *text = NULL;
    if (metrics_load(&copy, a->table) == 0) {
        if (metrics_load_certificates(&copy, a->conf) == 0)
            text = metrics_text(&copy, openmetrics, &len_bytes);
        metrics_unload(&copy);
    }
    if (!text)
        response_problem(r, 503, "no-memory", "out of memory");
    else
        response_text(r,
                      openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                  : "text/plain; version=0.0.4; charset=utf-8",
                      text, len_bytes);
}
