#include "base/traceparent.h"

#include "base/digits.h"

/* Lower case hexadecimal digits; false: others. */
static bool read_hex(const char *s, uint32_t digits, uint64_t *value)
{
    *value = 0;
    for (uint32_t i = 0; i < digits; i++) {
        bool digit = s[i] >= '0' && s[i] <= '9';
        if (!digit && (s[i] < 'a' || s[i] > 'f'))
            return false;
        *value = *value << 4 | (uint64_t)(digit ? s[i] - '0' : s[i] - 'a' + 10);
    }
    return true;
}

bool traceparent_read(const char *value, uint32_t len, uint64_t id[2])
{
    uint64_t version, parent, flags;
    if (len < TRACEPARENT_BYTES || value[2] != '-' || value[35] != '-' || value[52] != '-')
        return false;
    if (!read_hex(value, 2, &version) || !read_hex(value + 3, 16, &id[0]) ||
        !read_hex(value + 19, 16, &id[1]) || !read_hex(value + 36, 16, &parent) ||
        !read_hex(value + 53, 2, &flags))
        return false;
    /* later versions may have more behind what is known */
    bool ends = len == TRACEPARENT_BYTES || (version > 0 && value[TRACEPARENT_BYTES] == '-');
    return ends && version != 0xff && (id[0] || id[1]) && parent;
}

void traceparent_write_id(char out[TRACE_ID_BYTES], const uint64_t id[2])
{
    digits_hex(out, id[0]);
    digits_hex(out + 16, id[1]);
}

void traceparent_write(char out[TRACEPARENT_BYTES], const uint64_t id[2], uint64_t parent,
                       bool sampled)
{
    out[0] = out[1] = out[53] = '0';
    out[2] = out[35] = out[52] = '-';
    traceparent_write_id(out + 3, id);
    digits_hex(out + 36, parent);
    out[54] = sampled ? '1' : '0';
}
