/* PROXY headers: a prefix of what is accepted wants more, nothing behind it is read, and what was
 * understood can be written and understood again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/proxy_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum proxy_proto_result read_copy(const char *bytes, size_t len, struct proxy_proto *head)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert(copy != NULL);
    memcpy(copy, bytes, len);
    enum proxy_proto_result r = proxy_proto_read(copy, len, head);
    free(copy);
    return r;
}

static void check_written(const struct proxy_proto *head)
{
    for (unsigned version = 1; version <= 2; version++) {
        char out[PROXY_PROTO_OUT_MAX];
        struct proxy_proto again;
        size_t n = proxy_proto_write(version, &head->from, &head->to, out);
        assert(n <= sizeof out);
        assert(read_copy(out, n, &again) == PROXY_PROTO_DONE && again.len_bytes == n);
        if (head->from.u.sa.sa_family == AF_INET)
            assert(net_addr_equal(&again.from, &head->from) &&
                   net_addr_equal(&again.to, &head->to));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct proxy_proto head, prefix;
    enum proxy_proto_result r = read_copy(bytes, size, &head);
    if (r == PROXY_PROTO_ERROR)
        assert(head.error != NULL);
    for (size_t n = 0; r == PROXY_PROTO_MORE && n < size; n++)
        assert(read_copy(bytes, n, &prefix) == PROXY_PROTO_MORE);
    if (r != PROXY_PROTO_DONE)
        return 0;
    assert(head.len_bytes > 0 && head.len_bytes <= size);
    for (size_t n = 0; n < head.len_bytes; n++)
        assert(read_copy(bytes, n, &prefix) == PROXY_PROTO_MORE);
    assert(read_copy(bytes, head.len_bytes, &prefix) == PROXY_PROTO_DONE);
    if (!head.local)
        check_written(&head);
    return 0;
}
