/* ClientHellos: the outcome does not depend on the pieces in which the bytes came, and nothing
 * behind them is read. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum client_hello_result read_copy(struct client_hello *h, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert(copy != NULL);
    memcpy(copy, bytes, len);
    enum client_hello_result r = client_hello_read(h, copy, len);
    free(copy);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_hello whole, fed;
    enum client_hello_result want = read_copy(&whole, data, size), got = CLIENT_HELLO_MORE;
    for (size_t n = 0; n <= size && got == CLIENT_HELLO_MORE; n += n < 64 ? 1 : 1 + n % 17)
        got = read_copy(&fed, data, n);
    if (got == CLIENT_HELLO_MORE)
        got = read_copy(&fed, data, size);
    assert(got == want);
    if (want == CLIENT_HELLO_ERROR)
        assert(whole.error != NULL);
    if (want != CLIENT_HELLO_DONE)
        return 0;
    assert(strcmp(whole.host, fed.host) == 0 && whole.alpn_len == fed.alpn_len);
    assert(memcmp(whole.alpn, fed.alpn, whole.alpn_len) == 0);
    assert(strlen(whole.host) == whole.host_len && whole.alpn_len <= sizeof whole.alpn);
    assert(!client_hello_offers(&whole, "\1", 1) || whole.alpn_len > 0);
    return 0;
}
