/* worker/tls_bio.h: what was received ahead comes first and is never lost, whatever OpenSSL asks
 * for; sealed bytes go where they are wanted. */
#include "worker/tls_bio.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "tests/unit/harness.h"

static int ends[2];
static struct tls_bytes bytes;
static BIO *bio;
static struct buf *b;

static void open_it(void)
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    bytes = (struct tls_bytes){0};
    bio = tls_bio_new(&bytes, ends[0]);
    CHECK(bio != NULL);
    b = malloc(sizeof *b + 4096);
    CHECK(b != NULL);
    *b = (struct buf){.cap = 4096, .ahead = BUF_NOTHING_AHEAD};
}

static void close_it(void)
{
    BIO_free(bio);
    tls_bio_free(&bytes);
    free(b);
}

static void receive_ahead(const char *text)
{
    memcpy(b->data, text, strlen(text));
    b->ahead = (int32_t)strlen(text);
    tls_bio_feed(&bytes, b);
    CHECK_EQ(b->ahead, BUF_NOTHING_AHEAD);
}

static const char *read_some(int most)
{
    static char out[4096];
    int n = BIO_read(bio, out, most);
    CHECK(n >= 0);
    out[n] = '\0';
    return out;
}

TEST(what_came_ahead_is_read_first)
{
    open_it();
    CHECK_EQ(write(ends[1], "later", 5), 5);
    receive_ahead("first ");
    CHECK_STR(read_some(100), "first ");
    CHECK(tls_bio_fed(&bytes));
    CHECK_STR(read_some(100), "later");
    close_it();
}

TEST(what_finds_no_room_is_kept_when_its_place_is_written_to)
{
    open_it();
    CHECK_EQ(write(ends[1], "!", 1), 1);
    receive_ahead("one two three");
    CHECK_STR(read_some(3), "one");
    memset(b->data, 'x', b->cap); /* plain bytes are put there */
    CHECK(tls_bio_fed(&bytes));
    CHECK(bytes.left != NULL);
    CHECK_STR(read_some(4), " two");
    CHECK_STR(read_some(100), " three");
    CHECK(bytes.left == NULL);
    CHECK_STR(read_some(100), "!");
    close_it();
}

TEST(what_nobody_asked_for_is_kept)
{
    open_it();
    receive_ahead("unread");
    CHECK(tls_bio_fed(&bytes));
    memset(b->data, 'x', b->cap);
    CHECK_STR(read_some(100), "unread");
    receive_ahead("never read");
    CHECK(tls_bio_fed(&bytes));
    close_it(); /* no leak */
}

TEST(ends_and_errors_are_those_of_a_socket)
{
    char out[8];
    open_it();
    b->ahead = -EAGAIN;
    tls_bio_feed(&bytes, b);
    CHECK_EQ(BIO_read(bio, out, sizeof out), -1);
    CHECK(BIO_should_retry(bio));
    CHECK(tls_bio_fed(&bytes));
    b->ahead = -ECONNRESET;
    tls_bio_feed(&bytes, b);
    CHECK_EQ(BIO_read(bio, out, sizeof out), -1);
    CHECK_EQ(errno, ECONNRESET);
    CHECK(!BIO_should_retry(bio));
    CHECK(!BIO_eof(bio));
    b->ahead = 0;
    tls_bio_feed(&bytes, b);
    CHECK_EQ(BIO_read(bio, out, sizeof out), 0);
    CHECK(!BIO_should_retry(bio));
    CHECK(BIO_eof(bio));
    CHECK(tls_bio_fed(&bytes));
    CHECK_EQ(BIO_read(bio, out, sizeof out), -1); /* the socket itself */
    CHECK(BIO_should_retry(bio));
    close_it();
}

TEST(sealed_bytes_go_to_their_place_or_nowhere)
{
    char place[10] = {0}, out[16];
    open_it();
    tls_bio_open(&bytes, place, sizeof place);
    CHECK_EQ(BIO_write(bio, "12345", 5), 5);
    CHECK_EQ(BIO_write(bio, "678", 3), 3);
    CHECK_EQ(BIO_write(bio, "9abc", 4), -1); /* ASan would object */
    CHECK(!BIO_should_retry(bio));
    CHECK_EQ(tls_bio_close(&bytes), 8);
    CHECK(memcmp(place, "12345678", 8) == 0);
    CHECK_EQ(recv(ends[1], out, sizeof out, 0), -1);
    CHECK_EQ(BIO_write(bio, "sent", 4), 4);
    CHECK_EQ(recv(ends[1], out, sizeof out, 0), 4);
    close_it();
}
