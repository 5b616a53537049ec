/* cli/top_text.c: `ballast top` for people: a header, then a table per pool with the worst backend
 * first. */
#include <string.h>
#include "cli/top.h"
#include "shm/slot.h"

#define STUCK_MS 3000u

#define RED    "\033[1;31m"
#define YELLOW "\033[33m"
#define GREEN  "\033[32m"
#define BOLD   "\033[1m"
#define DIM    "\033[2m"
#define PLAIN  "\033[0m"

/* A screen being written: counts its lines. */
struct screen {
    FILE *out;
    const struct top_style *style;
    unsigned line;
    unsigned reserved; /* lines kept for the pools to come */
    unsigned hidden;   /* backends that did not fit */
};

static const char *paint(const struct screen *s, const char *code)
{
    return s->style->colour ? code : "";
}

static void end_line(struct screen *s)
{
    fputs(s->style->lines ? "\033[K\n" : "\n", s->out);
    s->line++;
}

/* Room for so many more lines? The last one is kept free for what is hidden. */
static bool fits(const struct screen *s, unsigned lines)
{
    return s->style->lines == 0 || s->line + lines + s->reserved + 1 < s->style->lines;
}

static const char *format_us(double us, char *out, size_t cap)
{
    if (us < 1000)
        snprintf(out, cap, "%.0f us", us);
    else if (us < 1e6)
        snprintf(out, cap, us < 10e3 ? "%.2f ms" : "%.1f ms", us / 1e3);
    else
        snprintf(out, cap, "%.2f s", us / 1e6);
    return out;
}

static const char *format_quantile(const struct histo_sum *h, double q, char *out, size_t cap)
{
    if (h->count == 0)
        snprintf(out, cap, "-");
    else
        format_us(histo_quantile(h, q), out, cap);
    return out;
}

static double per_second(uint64_t now, uint64_t earlier, double seconds)
{
    return seconds > 0 && now >= earlier ? (double)(now - earlier) / seconds : 0;
}

static const char *status_colour(enum entry_status status)
{
    switch (status) {
    case STATUS_UNHEALTHY: return RED;
    case STATUS_OVERLOADED:
    case STATUS_MAINTENANCE:
    case STATUS_DRAINING: return YELLOW;
    case STATUS_HEALTHY: return GREEN;
    case STATUS_UNKNOWN: break;
    }
    return DIM;
}

static void write_state(struct screen *s, const struct snapshot *now)
{
    if (!now->alive)
        fprintf(s->out, "   %sNOT RUNNING: this is what it left behind%s", paint(s, RED),
                paint(s, PLAIN));
    else if (now->workers_ready < now->workers)
        fprintf(s->out, "   %sworkers %u of %u%s", paint(s, RED), now->workers_ready, now->workers,
                paint(s, PLAIN));
    else
        fprintf(s->out, "   workers %u", now->workers);
}

static void write_header(struct screen *s, const struct snapshot *now, const struct table_header *h)
{
    char age[32];
    uint64_t up = now->wall_ms > now->started_wall_ms ? now->wall_ms - now->started_wall_ms : 0;

    fprintf(s->out, "%sballast %.15s%s   pid %u   generation %u", paint(s, BOLD),
            h->product_version, paint(s, PLAIN), now->pid, now->generation);
    if (now->alive)
        fprintf(s->out, "   up %s", why_age(up, age, sizeof(age)));
    write_state(s, now);
    if (now->restarts)
        fprintf(s->out, "   %srestarts %llu%s", paint(s, YELLOW), (unsigned long long)now->restarts,
                paint(s, PLAIN));
    end_line(s);
    if (h->conf_path[0]) {
        fprintf(s->out, "%s%.255s%s", paint(s, DIM), h->conf_path, paint(s, PLAIN));
        end_line(s);
    }
}

/* ---- processes ---- */

/* What the watchdog reports too. */
static bool is_stuck(const struct snapshot_process *p)
{
    return p->state == SLOT_READY && p->still_ms > STUCK_MS;
}

static void write_trouble(struct screen *s, const struct snapshot *now)
{
    char age[32];

    if (now->stopped) {
        fprintf(s->out, "%s! the master is stopped (SIGSTOP, or a debugger): kill -CONT %u%s",
                paint(s, RED), now->pid, paint(s, PLAIN));
        end_line(s);
    }
    for (uint32_t i = 0; now->alive && i < now->process_count; i++) {
        const struct snapshot_process *p = &now->processes[i];
        if (is_stuck(p))
            fprintf(s->out, "%s! %s (pid %u) has not moved for %s%s", paint(s, RED), p->title,
                    p->pid, why_age(p->still_ms, age, sizeof(age)), paint(s, PLAIN));
        else if (p->state == SLOT_DEAD)
            fprintf(s->out, "%s! %s is dead and waits to be started again%s", paint(s, RED),
                    p->title, paint(s, PLAIN));
        else
            continue;
        end_line(s);
    }
}

static const struct snapshot_process *before_of(const struct snapshot *earlier,
                                                const struct snapshot_process *p)
{
    for (uint32_t i = 0; earlier && i < earlier->process_count; i++)
        if (strcmp(earlier->processes[i].title, p->title) == 0)
            return &earlier->processes[i];
    return NULL;
}

static void write_process(struct screen *s, const struct snapshot_process *p,
                          const struct snapshot_process *before, double seconds)
{
    char rate[24] = "-";

    if (before)
        snprintf(rate, sizeof(rate), "%.1f", per_second(p->requests, before->requests, seconds));
    fprintf(s->out, "  %-24s %s%-11s%s %6u %11u %9s %9llu %11llu", p->title,
            paint(s, p->state == SLOT_READY && !is_stuck(p) ? GREEN : RED),
            slot_state_name(p->state), paint(s, PLAIN), p->pid, p->clients, rate,
            (unsigned long long)p->restarts, (unsigned long long)p->requests);
    end_line(s);
}

static void write_processes(struct screen *s, const struct snapshot *now,
                            const struct snapshot *earlier)
{
    double seconds = snapshot_seconds(earlier, now);

    if (!fits(s, 3))
        return;
    end_line(s);
    fprintf(s->out, "%s  %-24s %-11s %6s %11s %9s %9s %11s%s", paint(s, DIM), "process", "state",
            "pid", "clients", "req/s", "restarts", "total", paint(s, PLAIN));
    end_line(s);
    for (uint32_t i = 0; i < now->process_count && fits(s, 1); i++)
        write_process(s, &now->processes[i], before_of(earlier, &now->processes[i]), seconds);
}

/* ---- pools ---- */

static void write_totals(struct screen *s, const struct snapshot *now,
                         const struct snapshot *earlier)
{
    double seconds = snapshot_seconds(earlier, now);
    struct histo_sum recent;
    char p50[24], p99[24];

    snapshot_histo_since(&recent, earlier ? &earlier->histo : NULL, &now->histo);
    fprintf(s->out, "clients %u of %u", now->clients, now->max_connections);
    if (earlier)
        fprintf(s->out, "   req/s %.1f   failed/s %.1f",
                per_second(now->requests, earlier->requests, seconds),
                per_second(now->failed, earlier->failed, seconds));
    fprintf(s->out, "   p50 %s   p99 %s", format_quantile(&recent, 0.5, p50, sizeof(p50)),
            format_quantile(&recent, 0.99, p99, sizeof(p99)));
    fprintf(s->out, "   total %llu, failed %s%llu%s", (unsigned long long)now->requests,
            now->failed ? paint(s, YELLOW) : "", (unsigned long long)now->failed,
            now->failed ? paint(s, PLAIN) : "");
    end_line(s);
    if (earlier)
        fprintf(s->out, "%srates and percentiles over the last %.1f s%s", paint(s, DIM), seconds,
                paint(s, PLAIN));
    else
        fprintf(s->out, "%spercentiles since the start%s", paint(s, DIM), paint(s, PLAIN));
    end_line(s);
}

static void write_backend(struct screen *s, const struct snapshot_backend *b,
                          const struct snapshot_backend *before, double seconds)
{
    struct histo_sum recent;
    char p50[24], p99[24], rate[24] = "-", inflight[32], name[NAME_MAX_BYTES + 10];

    snapshot_histo_since(&recent, before ? &before->histo : NULL, &b->histo);
    if (before)
        snprintf(rate, sizeof(rate), "%.1f", per_second(b->requests, before->requests, seconds));
    if (b->max_connections)
        snprintf(inflight, sizeof(inflight), "%u/%u", b->inflight, b->max_connections);
    else
        snprintf(inflight, sizeof(inflight), "%u", b->inflight);
    snprintf(name, sizeof(name), "%s%s", b->name, b->backup ? " (backup)" : "");
    fprintf(s->out, "  %-24s %s%-11s%s %6u %11s %9s %9s %9s %9llu %9llu %11llu", name,
            paint(s, status_colour(b->status)), entry_status_name(b->status), paint(s, PLAIN),
            b->weight, inflight, rate, format_quantile(&recent, 0.5, p50, sizeof(p50)),
            format_quantile(&recent, 0.99, p99, sizeof(p99)), (unsigned long long)b->failed,
            (unsigned long long)b->status_5xx, (unsigned long long)b->requests);
    end_line(s);
}

static void write_pool_head(struct screen *s, const struct snapshot_pool *p)
{
    const char *colour = p->usable == 0 ? RED : p->usable < p->count ? YELLOW : PLAIN;

    fprintf(s->out, "%spool %s%s   %s%u of %u backends usable%s", paint(s, BOLD), p->name,
            paint(s, PLAIN), paint(s, colour), p->usable, p->count, paint(s, PLAIN));
    if (p->queue)
        fprintf(s->out, "   %s%u requests wait%s", paint(s, YELLOW), p->queue, paint(s, PLAIN));
    if (p->no_backend)
        fprintf(s->out, "   %s%llu requests found none%s", paint(s, RED),
                (unsigned long long)p->no_backend, paint(s, PLAIN));
    end_line(s);
}

/* Why it is out, on a line of its own: it is to be seen on a narrow terminal, too. */
static void write_why(struct screen *s, const struct snapshot_backend *b)
{
    if (!b->why[0] || !fits(s, 1))
        return;
    fprintf(s->out, "      %s%s%s", paint(s, status_colour(b->status)), b->why, paint(s, PLAIN));
    end_line(s);
}

static void write_members(struct screen *s, const struct snapshot *now,
                          const struct snapshot *earlier, const struct snapshot_pool *p)
{
    double seconds = snapshot_seconds(earlier, now);

    fprintf(s->out, "%s  %-24s %-11s %6s %11s %9s %9s %9s %9s %9s %11s%s", paint(s, DIM), "backend",
            "status", "weight", "in flight", "req/s", "p50", "p99", "failed", "5xx", "total",
            paint(s, PLAIN));
    end_line(s);
    for (uint32_t i = p->first; i < p->first + p->count; i++) {
        const struct snapshot_backend *b = &now->backends[i];
        if (!fits(s, 1)) {
            s->hidden++;
            continue;
        }
        write_backend(s, b, snapshot_match(earlier, b, i), seconds);
        write_why(s, b);
    }
}

/* Where there is not room for all, every pool still has its line, those in trouble first. */
static void write_pool(struct screen *s, const struct snapshot *now, const struct snapshot *earlier,
                       const struct snapshot_pool *p)
{
    bool whole = fits(s, 4);

    if (!fits(s, 1)) {
        s->hidden += p->count;
        return;
    }
    if (whole)
        end_line(s);
    write_pool_head(s, p);
    if (whole)
        write_members(s, now, earlier, p);
    else
        s->hidden += p->count;
}

void top_write_text(FILE *out, const struct snapshot *now, const struct snapshot *earlier,
                    const struct table_header *h, const struct top_style *style)
{
    struct screen s = {.out = out, .style = style};

    write_header(&s, now, h);
    write_trouble(&s, now);
    write_totals(&s, now, earlier);
    for (uint32_t i = 0; i < now->pool_count; i++) {
        s.reserved = now->pool_count - i - 1;
        if (s.reserved > style->lines / 2)
            s.reserved = style->lines / 2;
        write_pool(&s, now, earlier, &now->pools[i]);
    }
    s.reserved = 0;
    write_processes(&s, now, earlier);
    if (now->pool_count == 0) {
        fputs("no pools", out);
        end_line(&s);
    }
    if (s.hidden) {
        fprintf(out, "%s  ... and %u backends more: a taller window or --once shows them%s",
                paint(&s, DIM), s.hidden, paint(&s, PLAIN));
        end_line(&s);
    }
}
