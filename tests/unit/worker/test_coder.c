/* Codings: any input, any room, decodes to what went in; what is flushed can be decoded at once. */
#include "tests/unit/harness.h"

#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include "worker/coder.h"

#define INPUT_BYTES 300000u

static uint8_t input[INPUT_BYTES], packed[2 * INPUT_BYTES], unpacked[INPUT_BYTES + 1];

static void fill_input(bool noise)
{
    uint32_t x = 1;
    for (uint32_t i = 0; i < INPUT_BYTES; i++) {
        x = x * 1664525u + 1013904223u;
        input[i] = noise ? (uint8_t)(x >> 24) : (uint8_t) "abcdefgh"[x >> 29];
    }
}

static size_t unpack_gzip(size_t len)
{
    z_stream z = {.next_in = packed,
                  .avail_in = (uInt)len,
                  .next_out = unpacked,
                  .avail_out = sizeof unpacked};
    CHECK_EQ(inflateInit2(&z, 31), Z_OK);
    (void)inflate(&z, Z_SYNC_FLUSH);
    size_t n = z.total_out;
    inflateEnd(&z);
    return n;
}

static size_t unpack_zstd(size_t len)
{
    ZSTD_DCtx *d = ZSTD_createDCtx();
    ZSTD_inBuffer in = {packed, len, 0};
    ZSTD_outBuffer out = {unpacked, sizeof unpacked, 0};
    CHECK(!ZSTD_isError(ZSTD_decompressStream(d, &out, &in)));
    ZSTD_freeDCtx(d);
    return out.pos;
}

static size_t unpack(enum conf_coding coding, size_t len)
{
    return coding == CODING_GZIP ? unpack_gzip(len) : unpack_zstd(len);
}

/* One operation, with so much room at a time. Returns how many bytes it made. */
static size_t feed(struct coder *c, const uint8_t *in, size_t len, enum coder_op op, size_t room,
                   uint8_t *to)
{
    struct coder_io io = {.in = in, .in_len = len, .out = to};
    enum coder_result r;
    do {
        io.out_room = room;
        r = coder_step(c, &io, op);
        CHECK(r != CODER_FAILED);
    } while (r == CODER_FULL);
    CHECK_EQ(io.in_len, 0);
    return (size_t)(io.out - to);
}

static void round_trip(struct coder *c, enum conf_coding coding, size_t part, size_t room)
{
    size_t made = 0;
    CHECK(coder_begin(c, part == INPUT_BYTES ? INPUT_BYTES : CODER_SIZE_UNKNOWN));
    for (size_t at = 0; at < INPUT_BYTES; at += part) {
        size_t n = INPUT_BYTES - at < part ? INPUT_BYTES - at : part;
        made += feed(c, input + at, n, CODER_RUN, room, packed + made);
    }
    made += feed(c, input, 0, CODER_END, room, packed + made);
    CHECK_EQ(unpack(coding, made), INPUT_BYTES);
    CHECK(memcmp(unpacked, input, INPUT_BYTES) == 0);
}

static const enum conf_coding decodable[] = {CODING_GZIP, CODING_ZSTD};

TEST(every_size_of_part_and_room)
{
    static const size_t parts[] = {INPUT_BYTES, 16384, 1000, 77};
    static const size_t rooms[] = {16384, 1000, 20};
    for (unsigned i = 0; i < ARRAY_LEN(decodable); i++) {
        struct coder *c = coder_new(decodable[i], 3);
        for (unsigned k = 0; k < ARRAY_LEN(parts) * ARRAY_LEN(rooms) * 2; k++) {
            fill_input(k & 1);
            round_trip(c, decodable[i], parts[k / 2 % 4], rooms[k / 8]);
        }
        coder_free(c);
    }
}

TEST(what_is_flushed_is_there)
{
    fill_input(false);
    for (unsigned i = 0; i < ARRAY_LEN(decodable); i++) {
        struct coder *c = coder_new(decodable[i], 1);
        CHECK(coder_begin(c, CODER_SIZE_UNKNOWN));
        size_t made = 0;
        for (size_t at = 0; at < 50; at++) {
            made += feed(c, input + at * 10, 10, CODER_RUN, 1000, packed + made);
            made += feed(c, input, 0, CODER_FLUSH, 1000, packed + made);
            CHECK_EQ(unpack(decodable[i], made), (at + 1) * 10);
        }
        coder_free(c);
    }
}

TEST(an_abandoned_stream_leaves_nothing)
{
    fill_input(false);
    for (unsigned i = 0; i < ARRAY_LEN(decodable); i++) {
        struct coder *c = coder_new(decodable[i], 9);
        for (unsigned k = 0; k < 3; k++) {
            CHECK(coder_begin(c, 5000000));
            (void)feed(c, input, 40000, CODER_RUN, 16384, packed);
            round_trip(c, decodable[i], INPUT_BYTES, 16384);
        }
        coder_free(c);
    }
}

/* Its decoder is another library: the end-to-end tests decode with curl. */
TEST(brotli_begins_anew)
{
    struct coder *c = coder_new(CODING_BROTLI, 4);
    size_t first = 0;
    fill_input(false);
    for (unsigned k = 0; k < 5; k++) {
        CHECK(coder_begin(c, CODER_SIZE_UNKNOWN));
        size_t made = feed(c, input, INPUT_BYTES, CODER_RUN, 16384, packed);
        made += feed(c, input, 0, CODER_FLUSH, 100, packed + made);
        made += feed(c, input, 0, CODER_END, 16384, packed + made);
        first = k ? first : made;
        CHECK_EQ(made, first);
        CHECK(made > 1000 && made < INPUT_BYTES / 2);
        CHECK(coder_begin(c, 10));
        (void)feed(c, input, 10, CODER_RUN, 16384, packed);
    }
    coder_free(c);
}
