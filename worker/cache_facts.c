/* worker/cache_facts.c: what a response says about being kept. */
#include <string.h>
#include <strings.h>
#include "base/clock.h"
#include "base/http_date.h"
#include "worker/cache_int.h"

static bool add_name(void *arg, const char *name, size_t len)
{
    struct cache_names *n = arg;
    if ((len == 1 && *name == '*') || n->len + len + 1 > sizeof n->text) {
        n->any = true;
        return false;
    }
    n->by_coding |= len == 15 && strncasecmp(name, "accept-encoding", 15) == 0;
    if (n->len)
        n->text[n->len++] = ',';
    for (size_t i = 0; i < len; i++) {
        bool upper = name[i] >= 'A' && name[i] <= 'Z';
        n->text[n->len++] = (char)(upper ? name[i] | 0x20 : name[i]);
    }
    return true;
}

static uint32_t read_age(const char *s, size_t len)
{
    uint64_t age = 0;
    for (size_t i = 0; i < len && s[i] >= '0' && s[i] <= '9' && age < HTTP_CACHE_MOST; i++)
        age = age * 10 + (uint64_t)(s[i] - '0');
    return age < HTTP_CACHE_MOST ? (uint32_t)age : HTTP_CACHE_MOST;
}

static uint32_t later(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void read_field(struct http_cache_facts *f, struct cache_names *names,
                       const struct http1_header *h, const char *base)
{
    const char *value = base + h->value.off;
    if (h->id == HTTP1_H_CACHE_CONTROL)
        http_cache_control_add(&f->control, value, h->value.len);
    else if (h->id == HTTP1_H_SET_COOKIE)
        f->sets_cookie = true;
    else if (h->id == HTTP1_H_DATE && !f->has_date)
        f->has_date = http_date_parse(value, h->value.len, f->now_s, &f->date_s);
    if (h->id != HTTP1_H_OTHER)
        return;
    f->has_validator |= cache_is_named(h, base, "etag") || cache_is_named(h, base, "last-modified");
    if (cache_is_named(h, base, "vary"))
        http_cache_each_name(value, h->value.len, add_name, names);
    else if (cache_is_named(h, base, "age"))
        f->age_s = later(f->age_s, read_age(value, h->value.len));
    else if (cache_is_named(h, base, "content-encoding"))
        names->encoded = true;
    else if (cache_is_named(h, base, "expires") && !f->has_expires) {
        f->has_expires = true;
        if (!http_date_parse(value, h->value.len, f->now_s, &f->expires_s))
            f->expires_s = 0;
    }
}

static uint32_t valid_for(const struct conf_cache *rule, unsigned status)
{
    for (uint32_t i = 0; i < rule->valid_count; i++)
        if (status >= rule->valid[i].from && status <= rule->valid[i].to)
            return rule->valid[i].seconds;
    return HTTP_CACHE_NONE;
}

void cache_facts_gather(const struct txn_cache *tc, const struct http1_head *h, const char *base,
                        struct http_cache_facts *f, struct cache_names *names)
{
    const struct worker *w = tc->t->worker;
    names->len = 0;
    names->any = names->encoded = names->by_coding = false;
    *f = (struct http_cache_facts){.status = h->status,
                                   .authorized = tc->authorized,
                                   .request_no_store = tc->asked.no_store,
                                   .now_s = (int64_t)(clock_wall_ms() / 1000),
                                   .delay_s = (uint32_t)((w->now_us - tc->asked_us) / 1000000),
                                   .valid_s = valid_for(tc->rule, h->status),
                                   .while_revalidate = tc->rule->while_revalidate_ms / 1000,
                                   .if_error = tc->rule->if_error_ms / 1000};
    http_cache_control_init(&f->control);
    for (uint32_t i = 0; i < h->count; i++)
        read_field(f, names, &h->headers[i], base);
    if (names->encoded && !names->by_coding)
        (void)add_name(names, "accept-encoding", 15); /* what backends forget */
    f->vary_any = names->any;
}
