/* worker/buf.h: sizes, room, growth, reuse. */
#include "worker/buf.h"

#include <sys/socket.h>
#include "tests/unit/harness.h"

static void fill(struct buf *b, uint32_t n, char first)
{
    for (uint32_t i = 0; i < n; i++) {
        char c = (char)(first + (char)(i % 20));
        buf_append(b, &c, 1);
    }
}

TEST(sizes_and_slack)
{
    struct buf_pool p = {0};
    struct buf *small = buf_get(&p, false), *large = buf_get(&p, true);
    CHECK(small && large);
    CHECK(!small->large && large->large);
    CHECK(buf_room(small) + offsetof(struct buf, data) + BUF_SLACK_BYTES <= BUF_SMALL_BYTES);
    CHECK(buf_room(large) >= 64u * 1024 + 1024);
    fill(large, buf_room(large), 'a');
    memcpy(large->data + large->end, "0123456789abcdef", BUF_SLACK_BYTES); /* ASan would object */
    CHECK_EQ(buf_room(large), 0);
    buf_put(&p, small);
    buf_put(&p, large);
    buf_put(&p, NULL);
    CHECK_EQ(p.in_use, 0);
    buf_pool_free(&p);
}

TEST(compact_keeps_the_content)
{
    struct buf_pool p = {0};
    struct buf *b = buf_get(&p, false);
    fill(b, 100, 'a');
    b->start = 90;
    buf_compact(b);
    CHECK_EQ(b->start, 0);
    CHECK_EQ(buf_len(b), 10);
    CHECK_EQ(*buf_at(b), 'a' + 90 % 20);
    buf_put(&p, b);
    buf_pool_free(&p);
}

TEST(reserve_takes_compacts_and_grows)
{
    struct buf_pool p = {0};
    struct buf *b = NULL;
    CHECK(buf_reserve(&p, &b, 100) && !b->large);
    fill(b, buf_room(b), 'a');
    b->start = b->end - 7;
    CHECK(buf_reserve(&p, &b, 1000) && !b->large && b->start == 0 && buf_len(b) == 7);
    fill(b, buf_room(b), 'a');
    uint32_t len = buf_len(b);
    b->start = 3;
    CHECK(buf_reserve(&p, &b, 40000) && b->large);
    CHECK_EQ(buf_len(b), len - 3);
    CHECK(buf_room(b) >= 40000);
    CHECK_EQ(p.in_use, 1);
    fill(b, buf_room(b), 'a');
    CHECK(!buf_reserve(&p, &b, 1)); /* nothing larger: stays as it is */
    CHECK_EQ(buf_room(b), 0);
    buf_put(&p, b);
    buf_pool_free(&p);
}

TEST(reserve_takes_a_large_one_at_once)
{
    struct buf_pool p = {0};
    struct buf *b = NULL;
    CHECK(buf_reserve(&p, &b, 20000) && b->large);
    buf_put(&p, b);
    b = NULL;
    CHECK(!buf_reserve(&p, &b, BUF_LARGE_BYTES));
    buf_put(&p, b);
    CHECK_EQ(p.in_use, 0);
    buf_pool_free(&p);
}

TEST(what_is_put_back_comes_empty)
{
    struct buf_pool p = {0};
    for (int i = 0; i < 1000; i++) {
        struct buf *b = buf_get(&p, i % 2);
        CHECK(b && buf_len(b) == 0 && b->start == 0 && !b->next);
        fill(b, 10, 'a');
        buf_put(&p, b);
    }
    CHECK(p.kept_small <= 1 && p.kept_large <= 1);
    buf_pool_free(&p);
    CHECK(!p.small && !p.large);
}

TEST(recv_appends_and_says_the_end)
{
    int fd[2];
    struct buf_pool p = {0};
    struct buf *b = buf_get(&p, false);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    CHECK_EQ(buf_recv(b, fd[0]), -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(write(fd[1], "abc", 3), 3);
    CHECK_EQ(buf_recv(b, fd[0]), 3);
    CHECK_EQ(write(fd[1], "de", 2), 2);
    close(fd[1]);
    CHECK_EQ(buf_recv(b, fd[0]), 2);
    CHECK_EQ(buf_recv(b, fd[0]), 0);
    CHECK_EQ(buf_len(b), 5);
    CHECK(memcmp(buf_at(b), "abcde", 5) == 0);
    close(fd[0]);
    buf_put(&p, b);
    buf_pool_free(&p);
}
