/* worker/tls_bio.c */
#include "worker/tls_bio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct tls_left {
    uint32_t at, len;
    char bytes[];
};

/* ---- reading ---- */

static bool keep(struct tls_bytes *b, const char *bytes, size_t len)
{
    if (len == 0)
        return true;
    b->left = malloc(sizeof *b->left + len);
    if (!b->left)
        return false;
    *b->left = (struct tls_left){.len = (uint32_t)len};
    memcpy(b->left->bytes, bytes, len);
    return true;
}

static int take_left(struct tls_bytes *b, char *out, int cap)
{
    struct tls_left *l = b->left;
    uint32_t n = l->len - l->at < (uint32_t)cap ? l->len - l->at : (uint32_t)cap;
    memcpy(out, l->bytes + l->at, n);
    l->at += n;
    if (l->at == l->len)
        tls_bio_free(b);
    return (int)n;
}

/* All of it at once: plain bytes may be written where it lies as soon as this returns. */
static int take_fed(struct tls_bytes *b, char *out, int cap)
{
    const char *from = b->fed;
    ssize_t len = b->fed_len, n = len < cap ? len : cap;
    b->fed = NULL;
    if (len < 0) {
        errno = (int)-len;
        return -1;
    }
    memcpy(out, from, (size_t)n);
    if (keep(b, from + n, (size_t)(len - n)))
        return (int)n;
    errno = ENOMEM;
    return -1;
}

static int on_read(BIO *bio, char *out, int cap)
{
    struct tls_bytes *b = BIO_get_data(bio);
    int n;
    errno = 0;
    BIO_clear_retry_flags(bio);
    if (b->left)
        n = take_left(b, out, cap);
    else if (b->fed)
        n = take_fed(b, out, cap);
    else
        n = (int)recv(b->fd, out, (size_t)cap, 0);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    b->ended = n == 0;
    return n;
}

void tls_bio_feed(struct tls_bytes *bytes, struct buf *b)
{
    if (b->ahead == BUF_NOTHING_AHEAD)
        return;
    bytes->fed = b->data;
    bytes->fed_len = b->ahead;
    b->ahead = BUF_NOTHING_AHEAD;
}

bool tls_bio_fed(struct tls_bytes *bytes)
{
    const char *from = bytes->fed;
    bytes->fed = NULL;
    return !from || bytes->fed_len <= 0 || keep(bytes, from, (size_t)bytes->fed_len);
}

/* ---- writing ---- */

static int put(struct tls_bytes *b, const char *from, int len)
{
    if ((uint32_t)len > b->place_cap - b->place_len) {
        errno = EMSGSIZE;
        return -1;
    }
    memcpy(b->place + b->place_len, from, (size_t)len);
    b->place_len += (uint32_t)len;
    return len;
}

static int on_write(BIO *bio, const char *from, int len)
{
    struct tls_bytes *b = BIO_get_data(bio);
    errno = 0;
    BIO_clear_retry_flags(bio);
    int n = b->place ? put(b, from, len) : (int)send(b->fd, from, (size_t)len, MSG_NOSIGNAL);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return n;
}

void tls_bio_open(struct tls_bytes *bytes, char *place, uint32_t cap)
{
    bytes->place = place;
    bytes->place_len = 0;
    bytes->place_cap = cap;
}

uint32_t tls_bio_close(struct tls_bytes *bytes)
{
    bytes->place = NULL;
    return bytes->place_len;
}

/* ---- the object ---- */

static long on_control(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_bytes *b = BIO_get_data(bio);
    (void)number, (void)pointer;
    if (command == BIO_CTRL_EOF)
        return b->ended;
    return command == BIO_CTRL_FLUSH; /* nothing is held back here; of all else it knows nothing */
}

static const BIO_METHOD *method(void)
{
    static BIO_METHOD *made;
    if (made)
        return made;
    made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ballast");
    if (made && BIO_meth_set_read(made, on_read) && BIO_meth_set_write(made, on_write) &&
        BIO_meth_set_ctrl(made, on_control))
        return made;
    BIO_meth_free(made);
    made = NULL;
    return NULL;
}

BIO *tls_bio_new(struct tls_bytes *bytes, int fd)
{
    const BIO_METHOD *m = method();
    BIO *bio = m ? BIO_new(m) : NULL;
    bytes->fd = fd;
    if (!bio)
        return NULL;
    BIO_set_data(bio, bytes);
    BIO_set_init(bio, 1);
    return bio;
}

void tls_bio_free(struct tls_bytes *bytes)
{
    free(bytes->left);
    bytes->left = NULL;
}
