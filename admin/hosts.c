#include "admin/hosts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_address(const char *text)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* "address name alias ... # comment"; cut in place. Returns the address when name is one of its
 * names. */
static const char *line_lookup(char *line, const char *name)
{
    line[strcspn(line, "#\n")] = '\0';
    char *rest;
    const char *address = strtok_r(line, " \t", &rest);
    if (!address || !is_address(address))
        return NULL;
    for (const char *word; (word = strtok_r(NULL, " \t", &rest));)
        if (strcasecmp(word, name) == 0)
            return address;
    return NULL;
}

int hosts_lookup(const char *file, const char *name, char *out, size_t cap)
{
    char line[1024];
    int found = -1;
    FILE *in = fopen(file, "re");
    while (in && found != 0 && fgets(line, sizeof(line), in)) {
        const char *address = line_lookup(line, name);
        if (address && strlen(address) < cap) {
            snprintf(out, cap, "%s", address);
            found = 0;
        }
    }
    if (in)
        fclose(in);
    return found;
}
