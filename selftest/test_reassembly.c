/* Reassembly: every order gives the packet, every contradiction none, and memory goes back to 0. */
#include "lib/reassembly.h"
#include "selftest/pieces.h"
#include "selftest/selftest.h"

#define SECOND 1000000000ull
#define TIME   (30 * SECOND)

static const struct siphash_key seed = { 1, 2 };
static struct reassembly *table;
static const struct reassembly_counters *counters;
static uint8_t frame[FRAME_MOST], whole[PIECE_MOST], piece[PIECE_MOST];
static uint32_t header, payload; /* of the packet at whole */

static void start_with(struct reassembly_limits limits)
{
    reassembly_free(table);
    table = reassembly_new(&limits, &seed);
    ck_assert_ptr_nonnull(table);
    counters = reassembly_counters(table);
}

static void setup(void)
{
    start_with((struct reassembly_limits)REASSEMBLY_LIMITS);
}

static void check_books(void)
{
    uint64_t ends = counters->completed + counters->held;
    for (int i = 0; i < REASSEMBLY_DROP_COUNT; i++)
        ends += counters->drops[i];
    ck_assert_uint_eq(counters->pieces, ends);
    ck_assert_int_eq(counters->bytes != 0, counters->held != 0);
}

static void teardown(void)
{
    check_books();
    reassembly_expire(table, UINT64_MAX);
    check_books();
    ck_assert_uint_eq(counters->held, 0);
    ck_assert_uint_eq(counters->bytes, 0);
    reassembly_free(table);
    table = NULL;
}

static void make_whole(bool v6, uint8_t options, uint32_t size)
{
    struct made made = { .v6 = v6, .options = options };
    struct look look;
    uint32_t length = frame_make(frame, &made);
    look = frame_look(frame, length);
    header = look.l4 - 14;
    memcpy(whole, frame + 14, header);
    payload = size;
    for (uint32_t i = 0; i < payload; i++)
        whole[header + i] = (uint8_t)(i * 7 + i / 256);
    if (v6) {
        put16(whole + 4, payload);
        return;
    }
    put16(whole + 2, header + payload);
    put16(whole + 4, 77);
    put16(whole + 6, 0);
    put16(whole + 10, 0);
    put16(whole + 10, ~naive_sum(whole, header, 0));
}

/* Hop-by-hop options in front of the fragment header; header counts them. */
static void add_hop_by_hop(void)
{
    memmove(whole + 56, whole + 40, payload);
    memset(whole + 40, 0, 16);
    whole[40] = whole[6];
    whole[41] = 1;
    whole[42] = 1;
    whole[43] = 12;
    whole[6] = 0;
    header = 56;
    put16(whole + 4, 16 + payload);
}

static uint8_t *put(uint32_t from, uint32_t end, bool more, uint64_t now)
{
    uint32_t length = 0, size = piece_make(piece, whole, header, from, end, more, 77);
    uint8_t *bytes = malloc(size);
    memcpy(bytes, piece, size);
    uint8_t *out = reassembly_add(table, bytes, size, now, &length);
    free(bytes);
    check_books();
    if (out) {
        ck_assert_uint_eq(length, header + payload);
        ck_assert_mem_eq(out, whole, length);
    }
    return out;
}

static uint64_t drops(enum reassembly_drop why)
{
    return counters->drops[why];
}

/* --- in order, and out of order ------------------------------------------------------ */

/* Of n pieces in the order that number is: its digits choose among those left. */
static void put_in_order(const uint32_t *cuts, uint32_t n, uint32_t number)
{
    uint32_t left[5] = { 0, 1, 2, 3, 4 };
    for (uint32_t count = n; count; count--) {
        uint32_t chosen = number % count, i = left[chosen];
        number /= count;
        memmove(left + chosen, left + chosen + 1, (count - chosen - 1) * sizeof(*left));
        uint8_t *out = put(cuts[i], cuts[i + 1], i + 1 < n, 0);
        ck_assert_int_eq(out != NULL, count == 1);
    }
}

START_TEST(every_order)
{
    static const uint32_t sizes[] = { 41, 1000, 1480, 3 * 512 };
    static const uint32_t orders[] = { 0, 1, 2, 6, 24, 120 };
    make_whole(_i >= 2, _i == 1 ? 7 : 0, sizes[_i]);
    if (_i == 3)
        add_hop_by_hop();
    uint64_t packets = 0, pieces = 0;
    for (uint32_t n = 2; n <= 5; n++) {
        uint32_t cuts[6] = { 0 };
        for (uint32_t i = 1; i < n; i++)
            cuts[i] = (payload * i / n + i) & ~7u;
        cuts[n] = payload;
        for (uint32_t number = 0; number < orders[n]; number++) {
            put_in_order(cuts, n, number);
            ck_assert_uint_eq(counters->held, 0);
            ck_assert_uint_eq(counters->datagrams, ++packets);
            ck_assert_uint_eq(counters->completed, pieces += n);
        }
    }
}
END_TEST

/* Every piece three times in a row; what comes behind the last one begins another packet. */
START_TEST(duplicates)
{
    make_whole(_i, 0, 100);
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_null(put(96, 100, false, 0));
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_null(put(0, 48, true, 0));
    ck_assert_ptr_nonnull(put(48, 96, true, 0));
    ck_assert_uint_eq(drops(REASSEMBLY_DUPLICATE), 4);
    ck_assert_uint_eq(counters->completed, 3);
    ck_assert_ptr_null(put(48, 96, true, 0));
    ck_assert_uint_eq(counters->held, 1);
}
END_TEST

/* 300 packets that differ in one thing each, piece by piece. */
START_TEST(packets_are_told_apart)
{
    make_whole(_i, 0, 300);
    uint8_t *addresses = whole + (_i ? 8 : 12), size = _i ? 32 : 8;
    for (uint32_t part = 0; part < 3; part++)
        for (uint32_t i = 0; i < 300; i++) {
            uint32_t length, from = part * 104, id = 77;
            uint8_t saved = addresses[i % size];
            if (i < 3u * size)
                addresses[i % size] ^= (uint8_t)(1 << i / size);
            else
                id = 1000 + i;
            piece_make(piece, whole, header, from, part < 2 ? from + 104 : 300, part < 2,
                       id);
            bool out = reassembly_add(table, piece, PIECE_MOST, 0, &length);
            ck_assert_int_eq(out, part == 2);
            addresses[i % size] = saved;
        }
    ck_assert_uint_eq(counters->datagrams, 300);
}
END_TEST

/* RFC 791: the protocol is part of it. RFC 8200: it is not, and that of the first piece counts. */
START_TEST(protocols)
{
    uint32_t length;
    make_whole(_i, 0, 64);
    ck_assert_ptr_null(put(0, 32, true, 0));
    uint8_t *next = _i ? piece + 40 : piece + 9;
    uint32_t size = piece_make(piece, whole, header, 32, 64, false, 77);
    *next = 99;
    if (!_i) {
        put16(piece + 10, 0);
        put16(piece + 10, ~naive_sum(piece, header, 0));
    }
    uint8_t *out = reassembly_add(table, piece, size, 0, &length);
    ck_assert_int_eq(out != NULL, _i);
    if (out)
        ck_assert_mem_eq(out, whole, length);
    else
        ck_assert_ptr_nonnull(put(32, 64, false, 0));
}
END_TEST

/* --- contradictions ------------------------------------------------------------------ */

/* Nothing comes of the packet any more, nor is anything held, until its time is over. */
static void expect_broken(enum reassembly_drop why, uint64_t pieces)
{
    ck_assert_uint_eq(drops(why), pieces);
    ck_assert_uint_eq(counters->broken, 1);
    ck_assert_uint_eq(counters->held, 0);
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_null(put(0, 48, true, TIME - 1));
    ck_assert_ptr_null(put(48, 100, false, TIME - 1));
    ck_assert_uint_eq(drops(REASSEMBLY_BROKEN), 4);
    ck_assert_uint_eq(counters->broken, 1);
    ck_assert_ptr_null(put(0, 48, true, TIME));
    ck_assert_ptr_nonnull(put(48, 100, false, TIME));
}

/* Of every kind, with 24 to 48 and 72 to 80; _i: IPv6. */
START_TEST(overlaps)
{
    static const uint32_t ends[][2] = {
        { 24, 32 }, { 24, 56 }, { 32, 40 }, { 40, 48 }, { 40, 56 }, { 16, 32 },
        { 16, 48 }, { 16, 56 }, { 0, 88 },  { 48, 80 }, { 72, 88 }, { 64, 80 },
    };
    for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
        setup();
        make_whole(_i, 0, 100);
        put(24, 48, true, 0);
        put(72, 80, true, 0);
        put(ends[i][0], ends[i][1], true, 0);
        expect_broken(REASSEMBLY_OVERLAP, 3);
    }
}
END_TEST

START_TEST(the_last_one_overlaps)
{
    make_whole(_i, 0, 100);
    put(24, 48, true, 0);
    put(40, 100, false, 0);
    expect_broken(REASSEMBLY_OVERLAP, 2);
}
END_TEST

START_TEST(same_place_other_bytes)
{
    make_whole(_i, 0, 100);
    put(24, 48, true, 0);
    whole[header + 47] ^= 1;
    put(24, 48, true, 0);
    whole[header + 47] ^= 1;
    expect_broken(REASSEMBLY_OVERLAP, 2);
}
END_TEST

START_TEST(ends_that_differ)
{
    static const struct {
        uint32_t from, end;
        bool more;
    } rows[][2] = {
        { { 72, 100, false }, { 72, 96, false } }, /* two ends */
        { { 72, 96, false }, { 72, 100, false } },
        { { 72, 96, false }, { 80, 100, false } },
        { { 48, 96, false }, { 48, 96, true } }, /* the end, and not the end */
        { { 48, 96, true }, { 48, 96, false } },
        { { 48, 56, false }, { 56, 96, true } }, /* something behind the end */
        { { 56, 96, true }, { 48, 56, false } },
        { { 48, 56, false }, { 64, 72, true } },
        { { 64, 72, true }, { 48, 56, false } },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        setup();
        make_whole(_i, 0, 100);
        put(rows[i][0].from, rows[i][0].end, rows[i][0].more, 0);
        put(rows[i][1].from, rows[i][1].end, rows[i][1].more, 0);
        expect_broken(REASSEMBLY_END, 2);
    }
}
END_TEST

/* One byte more than IP can say; and one that still goes. _i: IPv6 */
START_TEST(too_long)
{
    uint32_t most = _i ? 65535 : 65515;
    make_whole(_i, 0, most);
    put(0, 32768, true, 0);
    ck_assert_ptr_nonnull(put(32768, most, false, 0));
    make_whole(_i, 0, most + 1);
    put(0, 48, true, 0);
    put(65000, most + 1, false, 0);
    make_whole(_i, 0, 100);
    expect_broken(REASSEMBLY_TOO_LONG, 2);
}
END_TEST

/* The first piece's header is longer than that of the other one, and comes first or last. */
START_TEST(too_long_by_its_header)
{
    for (int i = 0; i < 2; i++) {
        bool first = i == _i;
        make_whole(false, first, 65515);
        put(first ? 0 : 32768, first ? 32768 : 65515, first, 0);
    }
    make_whole(false, 0, 100);
    expect_broken(REASSEMBLY_TOO_LONG, 2);
}
END_TEST

START_TEST(too_many)
{
    make_whole(_i, 0, 65 * 8);
    for (uint32_t i = 0; i < 63; i++)
        put(8 * i, 8 * i + 8, true, 0);
    put(0, 8, true, 0); /* came before */
    ck_assert_uint_eq(counters->held, 63);
    put(64 * 8, 65 * 8, false, 0);
    ck_assert_uint_eq(counters->held, 64);
    ck_assert_ptr_null(put(63 * 8, 64 * 8, true, 0));
    make_whole(_i, 0, 100);
    expect_broken(REASSEMBLY_TOO_MANY, 65);
}
END_TEST

/* --- limits -------------------------------------------------------------------------- */

START_TEST(time_is_over)
{
    make_whole(_i, 0, 100);
    put(0, 48, true, 5);
    put(48, 96, true, TIME);
    ck_assert_uint_eq(reassembly_expire(table, TIME + 4), 0);
    ck_assert_uint_eq(reassembly_expire(table, 4), 0);
    ck_assert_uint_eq(counters->held, 2);
    ck_assert_uint_eq(reassembly_expire(table, TIME + 5), 2);
    ck_assert_uint_eq(drops(REASSEMBLY_TIMEOUT), 2);
    ck_assert_ptr_null(put(96, 100, false, TIME + 5));
    ck_assert_uint_eq(counters->held, 1);
}
END_TEST

static void put_of(uint32_t host, uint32_t from, uint32_t end, bool more)
{
    put16(whole + 14, host);
    put16(whole + 10, 0);
    put16(whole + 10, ~naive_sum(whole, header, 0));
    put(from, end, more, 0);
}

/* Four at a time: the fifth makes the oldest give way, be it broken or not. */
START_TEST(the_oldest_gives_way)
{
    struct reassembly_limits limits = REASSEMBLY_LIMITS;
    limits.datagrams = 4;
    start_with(limits);
    make_whole(false, 0, 100);
    put_of(1, 0, 48, true);
    put_of(2, 0, 48, true);
    put_of(2, 8, 48, true);
    put_of(3, 0, 48, true);
    put_of(4, 0, 48, true);
    put_of(1, 48, 96, true);
    put_of(5, 0, 48, true);
    ck_assert_uint_eq(drops(REASSEMBLY_GAVE_WAY), 2);
    put_of(2, 48, 96, true);
    ck_assert_uint_eq(drops(REASSEMBLY_BROKEN), 1);
    put_of(6, 0, 48, true);
    ck_assert_uint_eq(drops(REASSEMBLY_GAVE_WAY), 2);
    for (uint32_t host = 3; host <= 6; host++)
        put_of(host, 48, 100, false);
    ck_assert_uint_eq(counters->datagrams, 4);
    ck_assert_uint_eq(counters->held, 0);
}
END_TEST

/* Memory stays below its limit, whatever comes; who has just sent goes on. */
START_TEST(memory_is_limited)
{
    struct reassembly_limits limits = REASSEMBLY_LIMITS;
    limits.bytes = 20000;
    start_with(limits);
    make_whole(false, 0, 1400);
    for (uint32_t i = 0; i < 1000; i++) {
        put_of(i, 0, 1000, true);
        ck_assert_uint_le(counters->bytes, 20000);
    }
    ck_assert_uint_ge(counters->held, 15);
    ck_assert_uint_eq(counters->held + drops(REASSEMBLY_GAVE_WAY), 1000);
    put_of(999, 1000, 1400, false);
    ck_assert_uint_eq(counters->datagrams, 1);
}
END_TEST

START_TEST(no_room_at_all)
{
    struct reassembly_limits limits = REASSEMBLY_LIMITS;
    limits.bytes = 500;
    start_with(limits);
    make_whole(_i, 0, 1400);
    ck_assert_ptr_null(put(0, 1000, true, 0));
    ck_assert_ptr_null(put(0, 200, true, 0));
    ck_assert_uint_eq(counters->held, 1);
    ck_assert_ptr_null(put(200, 600, true, 0));
    ck_assert_uint_eq(drops(REASSEMBLY_NO_ROOM), 2);
    ck_assert_uint_eq(counters->held, 1);
    whole[_i ? 8 : 15] ^= 1; /* nobody gives way in vain */
    ck_assert_ptr_null(put(0, 1000, true, 0));
    ck_assert_uint_eq(drops(REASSEMBLY_NO_ROOM), 3);
    ck_assert_uint_eq(counters->held, 1);
}
END_TEST

START_TEST(limits_that_are_none)
{
    for (int i = 0; i < 6; i++) {
        struct reassembly_limits limits = REASSEMBLY_LIMITS;
        limits.datagrams = i == 0 ? 0 : limits.datagrams;
        limits.pieces = i == 1 ? 0 : limits.pieces;
        limits.length = i == 2 ? 0 : i == 3 ? 65536 : limits.length;
        limits.bytes = i == 4 ? 0 : limits.bytes;
        limits.time = i == 5 ? 0 : limits.time;
        ck_assert_ptr_null(reassembly_new(&limits, &seed));
    }
}
END_TEST

/* --- what is not a fragment ---------------------------------------------------------- */

START_TEST(whole_at_once)
{
    uint32_t length;
    make_whole(_i, 0, 99);
    ck_assert_ptr_nonnull(put(0, 99, false, 0)); /* of IPv6 with a fragment header */
    uint8_t *out = reassembly_add(table, whole, header + payload + 5, 0, &length);
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(length, header + payload);
    ck_assert_mem_eq(out, whole, length);
    put(0, 48, true, 0); /* of one of the same name */
    ck_assert_ptr_nonnull(put(0, 99, false, 0));
    ck_assert_uint_eq(counters->held, 1);
    ck_assert_uint_eq(counters->completed, 3);
}
END_TEST

/* In memory that ends where the packet is cut off. */
START_TEST(cut_at_every_byte)
{
    make_whole(_i, _i ? 0 : 3, 24);
    if (_i)
        add_hop_by_hop();
    uint32_t length, size = piece_make(piece, whole, header, 8, 24, true, 77);
    for (uint32_t there = 0; there < size; there++) {
        uint8_t *bytes = malloc(there + !there);
        memcpy(bytes, piece, there);
        ck_assert_ptr_null(reassembly_add(table, bytes, there, 0, &length));
        ck_assert_uint_eq(drops(REASSEMBLY_DAMAGED), there + 1);
        free(bytes);
    }
}
END_TEST

/* The same by what the length in the header says; 8 bytes are a piece all the same. */
START_TEST(short_by_their_length)
{
    make_whole(_i, _i ? 0 : 3, 24);
    if (_i)
        add_hop_by_hop();
    uint32_t length, size = piece_make(piece, whole, header, 8, 24, true, 77);
    uint32_t least = _i ? 40 : 0, valid = size - 8, calls = 0;
    for (uint32_t total = least; total < size; total++) {
        uint32_t there = !_i && total < header ? header : total;
        uint8_t *bytes = malloc(there);
        memcpy(bytes, piece, there);
        put16(bytes + (_i ? 4 : 2), total - least);
        if (!_i) {
            put16(bytes + 10, 0);
            put16(bytes + 10, ~naive_sum(bytes, header, 0));
        }
        reassembly_add(table, bytes, there, 0, &length);
        free(bytes);
        ck_assert_uint_eq(drops(REASSEMBLY_DAMAGED), ++calls - (total >= valid));
        ck_assert_uint_eq(counters->held, total >= valid);
    }
}
END_TEST

START_TEST(damaged_pieces)
{
    uint32_t length;
    make_whole(_i, 0, 100);
    put(0, 44, true, 0);  /* not a multiple of 8 */
    put(48, 48, true, 0); /* nothing */
    put(48, 48, false, 0);
    ck_assert_uint_eq(drops(REASSEMBLY_DAMAGED), 3);
    uint32_t size = piece_make(piece, whole, header, 0, 48, true, 77);
    piece[0] ^= 0x50;
    reassembly_add(table, piece, size, 0, &length);
    piece[0] ^= 0x50;
    ck_assert_uint_eq(drops(REASSEMBLY_DAMAGED), 4);
    if (!_i) {
        piece[8] ^= 1; /* what the header's checksum covers */
        reassembly_add(table, piece, size, 0, &length);
        ck_assert_uint_eq(drops(REASSEMBLY_DAMAGED), 5);
        piece[8] ^= 1;
        piece[0] = 0x44;
        reassembly_add(table, piece, size, 0, &length);
        ck_assert_uint_eq(drops(REASSEMBLY_DAMAGED), 6);
    }
}
END_TEST

/* RFC 3168, 5.3: congestion that one piece met is the packet's. */
START_TEST(congestion)
{
    uint32_t length, size;
    make_whole(_i, 0, 100);
    uint8_t *ecn = whole + 1, ce = _i ? 0x30 : 3;
    *ecn = _i ? 0x20 : 2;
    size = piece_make(piece, whole, header, 0, 48, true, 77);
    reassembly_add(table, piece, size, 0, &length);
    *ecn |= ce;
    size = piece_make(piece, whole, header, 48, 100, false, 77);
    const uint8_t *out = reassembly_add(table, piece, size, 0, &length);
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(out[1], *ecn);
    if (!_i)
        ck_assert_uint_eq(naive_sum(out, header, 0), 0xffff);
}
END_TEST

static Suite *suite_reassembly(void)
{
    Suite *suite = suite_create("reassembly");
    TCase *tests = tcase_create("reassembly");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, every_order, 0, 4);
    tcase_add_loop_test(tests, duplicates, 0, 2);
    tcase_add_loop_test(tests, packets_are_told_apart, 0, 2);
    tcase_add_loop_test(tests, protocols, 0, 2);
    tcase_add_loop_test(tests, overlaps, 0, 2);
    tcase_add_loop_test(tests, the_last_one_overlaps, 0, 2);
    tcase_add_loop_test(tests, same_place_other_bytes, 0, 2);
    tcase_add_loop_test(tests, ends_that_differ, 0, 2);
    tcase_add_loop_test(tests, too_long, 0, 2);
    tcase_add_loop_test(tests, too_long_by_its_header, 0, 2);
    tcase_add_loop_test(tests, too_many, 0, 2);
    tcase_add_loop_test(tests, time_is_over, 0, 2);
    tcase_add_test(tests, the_oldest_gives_way);
    tcase_add_test(tests, memory_is_limited);
    tcase_add_loop_test(tests, no_room_at_all, 0, 2);
    tcase_add_test(tests, limits_that_are_none);
    tcase_add_loop_test(tests, whole_at_once, 0, 2);
    tcase_add_loop_test(tests, cut_at_every_byte, 0, 2);
    tcase_add_loop_test(tests, short_by_their_length, 0, 2);
    tcase_add_loop_test(tests, damaged_pieces, 0, 2);
    tcase_add_loop_test(tests, congestion, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(reassembly)
