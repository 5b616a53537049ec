#include "conf/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: units_format takes the first that divides. */
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit size_units[] = {
    {"t", 1ull << 40}, {"g", 1ull << 30}, {"m", 1ull << 20}, {"k", 1ull << 10}, {"b", 1}};

static const struct unit *units_of(enum units_kind kind, size_t *count)
{
    *count = kind == UNITS_DURATION ? ARRAY_LEN(duration_units) : ARRAY_LEN(size_units);
    return kind == UNITS_DURATION ? duration_units : size_units;
}

static const struct unit *find_unit(enum units_kind kind, const char *name)
{
    size_t count;
    const struct unit *units = units_of(kind, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    return NULL;
}

enum units_result units_parse(enum units_kind kind, const char *text, uint64_t *out)
{
    uint64_t value = 0;
    bool huge = false;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        huge |= __builtin_mul_overflow(value, 10u, &value) ||
                __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
    if (at == text)
        return UNITS_BAD;
    if (*at == '\0')
        return UNITS_BARE;
    const struct unit *unit = find_unit(kind, at);
    if (!unit)
        return UNITS_BAD;
    if (huge || __builtin_mul_overflow(value, unit->factor, &value))
        return UNITS_HUGE;
    *out = value;
    return UNITS_OK;
}

char *units_format(enum units_kind kind, uint64_t value, char *out)
{
    size_t count;
    const struct unit *units = units_of(kind, &count);
    size_t i = 0;
    if (value == 0) /* "0s", "0b" */
        i = kind == UNITS_DURATION ? count - 2 : count - 1;
    while (value % units[i].factor != 0)
        i++;
    snprintf(out, UNITS_STRLEN, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
    return out;
}
