/* test_checksum: against a sum of two bytes at a time. */
#include "selftest/selftest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/checksum.h"
#include "selftest/segment_check.h"

static uint16_t naive(const uint8_t *bytes, size_t length)
{
    return htons((uint16_t)~naive_sum(bytes, length, 0));
}

static void fill(uint8_t *bytes, size_t length, uint32_t seed)
{
    for (size_t i = 0; i < length; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

/* The example of RFC 1071, section 3: the sum is ddf2. */
START_TEST(test_rfc1071)
{
    const uint8_t bytes[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
    ck_assert_uint_eq(checksum_fold(checksum_sum(bytes, sizeof(bytes), 0)),
                      htons(0x220d));
}
END_TEST

START_TEST(test_lengths_alignments)
{
    for (size_t length = 0; length <= 300; length++)
        for (size_t offset = 0; offset < 9; offset++) {
            uint8_t *bytes = malloc(length + offset + 1);
            fill(bytes, length + offset, (uint32_t)length);
            ck_assert_uint_eq(checksum_fold(checksum_sum(bytes + offset, length, 0)),
                              naive(bytes + offset, length));
            free(bytes);
        }
}
END_TEST

/* All ones carries as much as there is to carry. */
START_TEST(test_carries)
{
    static uint8_t bytes[1 << 20];
    memset(bytes, 0xff, sizeof(bytes));
    for (size_t length = 2; length <= sizeof(bytes); length *= 2) {
        ck_assert_uint_eq(checksum_fold(checksum_sum(bytes, length, 0)), 0);
        ck_assert_uint_eq(checksum_fold(checksum_sum(bytes, length - 1, 0)),
                          htons(0x00ff));
    }
    uint64_t sum = checksum_sum(bytes, sizeof(bytes), UINT64_MAX);
    ck_assert_uint_lt(sum, 1ull << 33);
    ck_assert_uint_eq(checksum_fold(sum), 0);
    ck_assert_uint_eq(checksum_fold(UINT64_MAX), 0);
    ck_assert_uint_eq(checksum_fold(0xffff0000ffff0001), 0xfffe);
    ck_assert_uint_eq(checksum_fold(0xffffffff), 0); /* the most that folding can meet */
    ck_assert_uint_eq(checksum_fold(0xfffffffffffffffe), 1);
    ck_assert_uint_eq(checksum_fold(0), 0xffff);
}
END_TEST

START_TEST(test_parts)
{
    uint8_t bytes[257];
    fill(bytes, sizeof(bytes), 1);
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 2) {
        uint64_t sum = checksum_sum(bytes, cut, 0);
        uint64_t rest = checksum_sum(bytes + cut, sizeof(bytes) - cut, 0);
        ck_assert_uint_eq(checksum_fold(sum + rest), naive(bytes, sizeof(bytes)));
        sum = checksum_sum(bytes + cut, sizeof(bytes) - cut, sum);
        ck_assert_uint_eq(checksum_fold(sum), naive(bytes, sizeof(bytes)));
    }
}
END_TEST

/* The pseudo headers as RFC 9293 and RFC 8200 draw them. */
START_TEST(test_pseudo)
{
    uint8_t four[12], six[40];
    fill(four, sizeof(four), 4);
    fill(six, sizeof(six), 6);
    memcpy(four + 8, (uint8_t[]){ 0, 17, 0x12, 0x34 }, 4);
    memcpy(six + 32, (uint8_t[]){ 0, 0x01, 0x12, 0x34, 0, 0, 0, 6 }, 8);
    ck_assert_uint_eq(checksum_fold(checksum_pseudo4(four, 17, 0x1234)), naive(four, 12));
    ck_assert_uint_eq(checksum_fold(checksum_pseudo6(six, 6, 0x11234)), naive(six, 40));
}
END_TEST

START_TEST(test_update)
{
    uint8_t bytes[40];
    for (uint32_t turn = 0; turn < 100000; turn++) {
        fill(bytes, sizeof(bytes), turn);
        if (turn % 3 == 0)
            memset(bytes, turn % 2 ? 0xff : 0, 20);
        uint16_t before = naive(bytes, sizeof(bytes)), old16, new16 = (uint16_t)turn;
        uint32_t old32, new32 = turn * 2654435761u;
        memcpy(&old16, bytes + 2, 2);
        memcpy(bytes + 2, &new16, 2);
        uint16_t between = naive(bytes, sizeof(bytes));
        ck_assert_uint_eq(checksum_update16(before, old16, new16), between);
        memcpy(&old32, bytes + 6, 4);
        memcpy(bytes + 6, &new32, 4);
        ck_assert_uint_eq(checksum_update32(between, old32, new32),
                          naive(bytes, sizeof(bytes)));
    }
}
END_TEST

START_TEST(test_replace)
{
    uint8_t bytes[40], other[24];
    for (uint32_t turn = 0; turn < 100000; turn++) {
        uint16_t sum, amended;
        fill(bytes, sizeof(bytes), turn);
        fill(other, sizeof(other), turn * 7 + 1);
        sum = naive(bytes, sizeof(bytes));
        uint64_t delta = checksum_replace(bytes + 2, other, 2) +
                         checksum_replace(bytes + 8, other + 2, turn % 11 * 2);
        ck_assert_mem_eq(bytes + 8, other + 2, turn % 11 * 2);
        amended = sum;
        checksum_amend((uint8_t *)&amended, delta);
        ck_assert_uint_eq(amended, naive(bytes, sizeof(bytes)));
        uint16_t was = turn % 100 ? sum : 0, udp = was;
        checksum_amend_udp((uint8_t *)&udp, delta);
        ck_assert_uint_eq(udp, was ? (amended ? amended : 0xffff) : 0);
    }
    uint16_t one = htons(1);
    checksum_amend_udp((uint8_t *)&one, (uint64_t)htons(1));
    ck_assert_uint_eq(one, 0xffff);
}
END_TEST

/* RFC 1624, section 4: where the equation of RFC 1141 gives ffff. */
START_TEST(test_update_rfc1624)
{
    uint16_t updated = checksum_update16(htons(0xdd2f), htons(0x5555), htons(0x3285));
    ck_assert_uint_eq(updated, 0);
}
END_TEST

/* A frame with csum_start 34: what the field held plus the rest, complemented. */
START_TEST(test_complete)
{
    for (size_t length = 52; length < 200; length++) {
        uint8_t *frame = malloc(length), *copy = malloc(length);
        fill(frame, length, (uint32_t)length);
        memcpy(copy, frame, length);
        uint16_t expect = naive(frame + 34, length - 34);
        ck_assert_int_eq(checksum_complete(frame, length, 34, 16 - 2 * (length % 2)), 0);
        memcpy(copy + 34 + 16 - 2 * (length % 2), &expect, 2);
        ck_assert_mem_eq(frame, copy, length);
        free(frame);
        free(copy);
    }
}
END_TEST

START_TEST(test_complete_zero)
{
    uint8_t frame[20];
    memset(frame, 0xff, sizeof(frame));
    ck_assert_int_eq(checksum_complete(frame, sizeof(frame), 0, 6), 0);
    ck_assert_uint_eq(frame[6] << 8 | frame[7], 0xffff);
    ck_assert_int_eq(checksum_complete(frame, sizeof(frame), 0, 16), 0);
    ck_assert_uint_eq(frame[16] << 8 | frame[17], 0);
}
END_TEST

START_TEST(test_complete_bounds)
{
    for (size_t start = 0; start < 70; start++)
        for (size_t offset = 0; offset < 70; offset++) {
            uint8_t *frame = calloc(1, 60);
            bool fits = start + offset + 2 <= 60 && offset % 2 == 0;
            ck_assert_int_eq(checksum_complete(frame, 60, start, offset),
                             fits ? 0 : -EINVAL);
            free(frame);
        }
    uint8_t frame[4] = { 0 };
    ck_assert_int_eq(checksum_complete(frame, 4, SIZE_MAX, 2), -EINVAL);
    ck_assert_int_eq(checksum_complete(frame, 4, 2, SIZE_MAX - 1), -EINVAL);
    ck_assert_int_eq(checksum_complete(frame, 1, 0, 0), -EINVAL);
    ck_assert_int_eq(checksum_complete(frame, 0, 0, 0), -EINVAL);
    ck_assert_mem_eq(frame, ((uint8_t[4]){ 0 }), 4);
}
END_TEST

/* A TCP or UDP frame behind some tags whose checksum is the pseudo header's sum. */
static size_t open_frame(uint8_t *frame, bool v6, int tags, uint8_t protocol,
                         size_t *start)
{
    size_t ip = 14 + 4 * (size_t)tags, l4 = ip + (v6 ? 40 : 24), payload = 33;
    uint16_t length = (uint16_t)((protocol == 6 ? 20 : 8) + payload);
    memset(frame, 0x5a, 200);
    for (int i = 0; i < tags; i++)
        memcpy(frame + 12 + 4 * i, i ? "\x81\x00\x00\x07" : "\x88\xa8\x00\x07", 4);
    memcpy(frame + ip - 2, v6 ? "\x86\xdd\x60" : "\x08\x00\x46", 3);
    frame[ip + (v6 ? 4 : 2)] = 0;
    frame[ip + (v6 ? 5 : 3)] = (uint8_t)(length + (v6 ? 0 : 24));
    memset(frame + ip + 6, 0, v6 ? 0 : 2); /* no fragment */
    frame[ip + (v6 ? 6 : 9)] = protocol;
    uint64_t sum = v6 ? checksum_pseudo6(frame + ip + 8, protocol, length)
                      : checksum_pseudo4(frame + ip + 12, protocol, length);
    uint16_t field = (uint16_t)~checksum_fold(sum);
    memcpy(frame + l4 + (protocol == 6 ? 16 : 6), &field, 2);
    *start = l4;
    return l4 + length;
}

START_TEST(test_find_partial)
{
    bool v6 = _i & 1;
    uint8_t frame[200], protocol = _i & 2 ? 6 : 17;
    size_t wanted, start, offset;
    for (int tags = 0; tags <= 3; tags++) {
        size_t length = open_frame(frame, v6, tags, protocol, &wanted);
        ck_assert(checksum_find_partial(frame, length + 5, &start, &offset)); /* padded */
        ck_assert(checksum_find_partial(frame, length, &start, &offset));
        ck_assert_uint_eq(start, wanted);
        ck_assert_uint_eq(offset, protocol == 6 ? 16 : 6);
        ck_assert_int_eq(checksum_complete(frame, length, start, offset), 0);
        ck_assert(
            !checksum_find_partial(frame, length, &start, &offset)); /* it is full */
        for (size_t cut = 0; cut < wanted + (protocol == 6 ? 18 : 8); cut++)
            ck_assert(!checksum_find_partial(frame, cut, &start, &offset));
    }
    size_t length = open_frame(frame, v6, 0, 1, &wanted);
    ck_assert(!checksum_find_partial(frame, length, &start, &offset));
    length = open_frame(frame, false, 0, protocol, &wanted);
    frame[14 + 6] = 0x20; /* more fragments */
    ck_assert(!checksum_find_partial(frame, length, &start, &offset));
}
END_TEST

static Suite *suite_checksum(void)
{
    Suite *suite = suite_create("checksum");
    TCase *sum = tcase_create("sum");
    tcase_add_test(sum, test_rfc1071);
    tcase_add_test(sum, test_lengths_alignments);
    tcase_add_test(sum, test_carries);
    tcase_add_test(sum, test_parts);
    tcase_add_test(sum, test_pseudo);
    suite_add_tcase(suite, sum);
    TCase *change = tcase_create("change");
    tcase_add_test(change, test_update);
    tcase_add_test(change, test_replace);
    tcase_add_test(change, test_update_rfc1624);
    tcase_add_test(change, test_complete);
    tcase_add_test(change, test_complete_zero);
    tcase_add_test(change, test_complete_bounds);
    tcase_add_loop_test(change, test_find_partial, 0, 4);
    suite_add_tcase(suite, change);
    return suite;
}

SUITE(checksum)
