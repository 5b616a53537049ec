#include "shm/override.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/hash.h"

#define NO_WEIGHT UINT32_MAX

const char *override_name(enum override_field field)
{
    return field == OVERRIDE_MODE ? "mode" : "weight";
}

bool override_is_set(const struct entry *e, enum override_field field)
{
    if (field == OVERRIDE_MODE)
        return word_get(&e->mode) != MODE_ENABLED;
    return word_get(&e->weight_override) != NO_WEIGHT;
}

uint32_t override_value(const struct entry *e, enum override_field field)
{
    return field == OVERRIDE_MODE ? word_get(&e->mode) : entry_weight(e);
}

uint32_t override_configured(const struct entry *e, enum override_field field)
{
    return field == OVERRIDE_MODE ? (uint32_t)MODE_ENABLED : word_get(&e->weight);
}

void override_set(struct table *t, uint32_t index, enum override_field field, uint32_t value,
                  const char *call, const char *by)
{
    struct entry *e = entry_at(t, index);
    struct override_mark *mark = &e->overrides[field];
    mark->wall_ms = clock_wall_ms();
    mark->from_file = override_configured(e, field);
    snprintf(mark->call, sizeof mark->call, "%s", call);
    snprintf(mark->by, sizeof mark->by, "%s", by);
    if (field == OVERRIDE_MODE)
        entry_set_mode(t, index, (enum entry_mode)value);
    else
        entry_set_weight_override(t, index, value);
}

void override_clear(struct table *t, uint32_t index, enum override_field field)
{
    if (field == OVERRIDE_MODE)
        entry_set_mode(t, index, MODE_ENABLED);
    else
        entry_set_weight_override(t, index, NO_WEIGHT);
    entry_at(t, index)->overrides[field] = (struct override_mark){0};
}

uint64_t override_tag(const struct table *t, uint32_t index)
{
    const struct entry *e = &t->entries[index];
    const uint64_t words[] = {word_get(&e->incarnation),
                              word_get(&e->weight),
                              word_get(&e->weight_override),
                              word_get(&e->max_connections),
                              word_get(&e->mode),
                              word_get(&e->backup),
                              e->overrides[OVERRIDE_MODE].wall_ms,
                              e->overrides[OVERRIDE_WEIGHT].wall_ms};
    return hash_bytes(t->header->key, words, sizeof words);
}
