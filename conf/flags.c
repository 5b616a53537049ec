/* `ballast run --listen ... --backend ...`: the flags as a configuration text, which is then loaded
 * like any other. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "conf/out.h"

/* What a user typed goes into quotes unless it is plainly a number or a truth: a wrong value is
 * then refused by the row. */
static bool is_literal(const char *value)
{
    return strcmp(value, "true") == 0 || strcmp(value, "false") == 0 ||
           (*value && strspn(value, "0123456789") == strlen(value));
}

/* The name of an option as a name of the file's syntax: whatever else was typed is unknown to the
 * rows, and said so. */
static const char *clean_name(const char *name, struct arena *arena)
{
    char *clean = arena_printf(arena, "%s%s", isalpha((unsigned char)*name) ? "" : "x", name);
    for (char *c = clean; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            *c = '-';
    return clean;
}

/* "weight=3", "backup" */
static void write_option(struct out *o, char *option, struct arena *arena)
{
    const char *value = "true";
    char *equals = strchr(option, '=');
    if (equals) {
        *equals = '\0';
        value = equals + 1;
    }
    const char *name = clean_name(option, arena);
    if (is_literal(value) && strcmp(name, "name") != 0)
        out_text(o, ", %s = %s", name, value);
    else
        out_string(o, name, value);
}

static void write_backend(struct out *o, const char *text, struct arena *arena)
{
    char *rest = arena_strdup(arena, text);
    out_group(o, NULL);
    out_string(o, "address", strsep(&rest, ","));
    while (rest)
        write_option(o, strsep(&rest, ","), arena);
    out_group_end(o);
}

static void write_instance(struct out *o, const struct conf_flags *flags)
{
    out_string(o, "pid_file", "");
    if (flags->workers && is_literal(flags->workers))
        out_text(o, "workers = %s\n", flags->workers);
    else if (flags->workers)
        out_string(o, "workers", flags->workers);
    if (flags->log_level) {
        out_group(o, "log");
        out_string(o, "level", flags->log_level);
        out_group_end(o);
    }
    if (flags->admin && strcmp(flags->admin, "off") == 0) {
        out_string(o, "admin", flags->admin);
    } else if (flags->admin) {
        out_group(o, "admin");
        out_string(o, "bind", flags->admin);
        out_group_end(o);
    }
}

static void write_listener(struct out *o, const struct conf_flags *flags)
{
    out_group(o, "listeners");
    out_group(o, "web");
    out_array(o, "bind");
    for (uint32_t i = 0; i < flags->listen_count; i++)
        out_string(o, NULL, flags->listen[i]);
    out_array_end(o);
    out_string(o, "pool", "app");
    out_group_end(o);
    out_group_end(o);
}

const char *conf_from_flags(const struct conf_flags *flags, struct arena *arena)
{
    struct out o;
    out_init(&o, NULL, false);
    write_instance(&o, flags);
    write_listener(&o, flags);
    out_group(&o, "pools");
    out_group(&o, "app");
    if (flags->algorithm)
        out_string(&o, "balance", flags->algorithm);
    out_list(&o, "backends");
    for (uint32_t i = 0; i < flags->backend_count; i++)
        write_backend(&o, flags->backends[i], arena);
    out_list_end(&o);
    out_group_end(&o);
    out_group_end(&o);
    char *text = out_finish(&o);
    const char *kept = arena_strdup(arena, text);
    free(text);
    return kept;
}
