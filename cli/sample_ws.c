/* cli/sample_ws.c: WebSocket echo (RFC 6455) for trying tunnels: frames go back as they come,
 * whatever their length, nothing is gathered. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "cli/sample.h"

#define WS_GUID   "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define WS_FIN    0x80
#define WS_MASKED 0x80
enum { WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
enum { WS_PROTOCOL_ERROR = 1002 };

static const struct http1_header *find(const struct sample_conn *c, const char *name)
{
    return http1_find_name(&c->head, c->in, name, strlen(name));
}

static bool value_is(const struct sample_conn *c, const struct http1_header *h, const char *value)
{
    return h && h->value.len == strlen(value) &&
           strncasecmp(c->in + h->value.off, value, h->value.len) == 0;
}

bool sample_ws_wanted(const struct sample_conn *c)
{
    return c->head.upgrade && c->head.is_get && c->head.path.len == 3 &&
           memcmp(c->in + c->head.path.off, "/ws", 3) == 0 &&
           value_is(c, http1_find(&c->head, HTTP1_H_UPGRADE), "websocket") &&
           value_is(c, find(c, "Sec-WebSocket-Version"), "13") &&
           find(c, "Sec-WebSocket-Key") != NULL;
}

void sample_ws_accept(struct sample_conn *c)
{
    const struct http1_header *key = find(c, "Sec-WebSocket-Key");
    unsigned char digest[EVP_MAX_MD_SIZE], accept[64];
    struct sample_out text = {0};
    unsigned len = 0;

    sample_out_add(&text, c->in + key->value.off, key->value.len);
    sample_out_add(&text, WS_GUID, strlen(WS_GUID));
    if (EVP_Digest(text.buf, text.len, digest, &len, EVP_sha1(), NULL) != 1)
        len = 0;
    free(text.buf);
    EVP_EncodeBlock(accept, digest, (int)len);
    sample_out_printf(&c->out,
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nX-Backend: %s\r\n\r\n",
                      (const char *)accept, c->server->options.id);
    c->ws = (struct sample_ws){0};
}

/* How long the head of this frame is; 2 until its second byte is there. */
static size_t head_wants(const struct sample_ws *w)
{
    if (w->head_len < 2)
        return 2;
    unsigned len7 = w->head[1] & 0x7f;
    return 2u + (len7 == 127 ? 8u : len7 == 126 ? 2u : 0u) + ((w->head[1] & WS_MASKED) ? 4u : 0u);
}

static uint64_t frame_length(const struct sample_ws *w)
{
    unsigned len7 = w->head[1] & 0x7f, bytes = len7 == 127 ? 8 : len7 == 126 ? 2 : 0;
    uint64_t len = bytes ? 0 : len7;

    for (unsigned i = 0; i < bytes; i++)
        len = len << 8 | w->head[2 + i];
    return len;
}

static bool frame_is_valid(const struct sample_ws *w)
{
    unsigned opcode = w->head[0] & 0x0f;
    bool control = opcode >= WS_CLOSE;

    if ((w->head[0] & 0x70) || !(w->head[1] & WS_MASKED)) /* reserved bits; clients mask */
        return false;
    if ((opcode > 2 && opcode < WS_CLOSE) || opcode > WS_PONG)
        return false;
    return !control || ((w->head[0] & WS_FIN) && (w->head[1] & 0x7f) <= 125);
}

/* Begins the answer to the frame whose head is complete: the same frame, unmasked; a ping becomes a
 * pong, a pong nothing. */
static void begin_frame(struct sample_conn *c)
{
    struct sample_ws *w = &c->ws;
    size_t mask_at = w->head_len - 4u;
    uint8_t head[10];

    memcpy(head, w->head, mask_at);
    memcpy(w->mask, w->head + mask_at, 4);
    w->left = frame_length(w);
    w->at = 0;
    w->in_payload = true;
    w->drop = (head[0] & 0x0f) == WS_PONG;
    if ((head[0] & 0x0f) == WS_PING)
        head[0] = WS_FIN | WS_PONG;
    head[1] &= 0x7f;
    if (!w->drop)
        sample_out_add(&c->out, head, mask_at);
}

/* Echoes the payload at hand; returns how many bytes that was. */
static uint32_t echo_payload(struct sample_conn *c, char *data, uint32_t len)
{
    struct sample_ws *w = &c->ws;
    uint32_t take = w->left < len ? (uint32_t)w->left : len;

    for (uint32_t i = 0; i < take; i++)
        data[i] = (char)(data[i] ^ w->mask[(w->at + i) & 3]);
    if (!w->drop)
        sample_out_add(&c->out, data, take);
    w->at += take;
    w->left -= take;
    return take;
}

static bool refuse(struct sample_conn *c)
{
    static const unsigned char frame[] = {WS_FIN | WS_CLOSE, 2, WS_PROTOCOL_ERROR >> 8,
                                          WS_PROTOCOL_ERROR & 0xff};

    sample_out_add(&c->out, frame, sizeof(frame));
    c->in_len = 0;
    return false;
}

/* The payload of a frame was read to its end; false after a close frame. */
static bool end_frame(struct sample_ws *w)
{
    bool closing = (w->head[0] & 0x0f) == WS_CLOSE;

    w->in_payload = false;
    w->head_len = 0;
    return !closing;
}

bool sample_ws_read(struct sample_conn *c)
{
    struct sample_ws *w = &c->ws;
    bool open = true;

    for (uint32_t at = 0; open && at < c->in_len;) {
        if (w->in_payload) {
            at += echo_payload(c, c->in + at, c->in_len - at);
        } else {
            w->head[w->head_len++] = (uint8_t)c->in[at++];
            if (w->head_len < head_wants(w))
                continue;
            if (!frame_is_valid(w))
                return refuse(c);
            begin_frame(c);
        }
        if (w->in_payload && w->left == 0)
            open = end_frame(w);
    }
    c->in_len = 0;
    return open;
}
