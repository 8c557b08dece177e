/* test_pcapng: files byte by byte, as libpcap reads them, as rings, and on a full disk. */
#include "selftest/selftest.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/capture_file.h"
#include "lib/pcapng.h"

static char path[40], old[48];

static void setup(void)
{
    strcpy(path, "/tmp/selftest_pcapng_XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    snprintf(old, sizeof(old), "%s.old", path);
}

static void teardown(void)
{
    unlink(path);
    unlink(old);
}

static void check_words(const uint8_t *bytes, const uint32_t *words, uint32_t length)
{
    for (uint32_t i = 0; i < length / 4; i++) {
        uint32_t word;
        memcpy(&word, bytes + 4 * i, 4);
        ck_assert_msg(word == words[i], "word %u is %08x, not %08x", i, word, words[i]);
    }
}

/* The words are the draft's, in the order of this machine; 16-bit fields as their bytes. */
START_TEST(test_head)
{
    uint8_t head[PCAPNG_HEAD];
    const uint32_t words[] = { 0x0a0d0d0a, 44, 0x1a2b3c4d, 1, ~0u, ~0u, 8 << 16 | 4,
                               0x676e6176, 0x64726175, 0, 44,
                               /* interface */
                               1, 32, 1, 262144, 1 << 16 | 9, 9, 0, 32 };
    ck_assert_uint_eq(pcapng_head(head), sizeof(words));
    check_words(head, words, sizeof(words));
}
END_TEST

START_TEST(test_packet)
{
    uint8_t block[128];
    struct pcapng_packet packet = { 0x0123456789abcdef, (const uint8_t *)"abcde", 5, 9,
                                    "verdict" };
    const uint32_t words[] = { 6, 56,         0,    0x01234567,  0x89abcdef, 5,
                               9, 0x64636261, 0x65, 7 << 16 | 1, 0x64726576, 0x00746369,
                               0, 56 };
    memset(block, 0xff, sizeof(block));
    uint32_t length = pcapng_packet(block, &packet);
    ck_assert_uint_eq(length, sizeof(words));
    ck_assert_uint_eq(pcapng_packet_size(&packet), length);
    check_words(block, words, length);
    packet.comment = NULL;
    ck_assert_uint_eq(pcapng_packet(block, &packet), 40);
    ck_assert_uint_eq(pcapng_packet_size(&packet), 40);
}
END_TEST

static void write_numbered(struct pcapng_file *file, uint32_t first, uint32_t n)
{
    uint8_t frame[100] = { 0 };
    for (uint32_t i = first; i < first + n; i++) {
        memcpy(frame, &i, sizeof(i));
        struct pcapng_packet packet = { 1000 + i, frame, 60 + i % 4, 100, "index" };
        ck_assert(pcapng_write(file, &packet));
    }
}

/* As many packets as there are, numbered without a gap; the first one's number. */
static uint32_t read_numbered(const char *from, uint32_t *n)
{
    struct capture_file file;
    struct capture_packet packet;
    struct error err;
    uint32_t first = 0, number;
    ck_assert_msg(!capture_open(&file, from, &err), "%s", err.text);
    for (*n = 0; capture_next(&file, &packet); ++*n) {
        memcpy(&number, packet.bytes, sizeof(number));
        first = *n ? first : number;
        ck_assert_uint_eq(number, first + *n);
        ck_assert_uint_eq(packet.time, 1000 + number);
        ck_assert_uint_eq(packet.length, 60 + number % 4);
        ck_assert_uint_eq(packet.original, 100);
    }
    ck_assert(!file.broken);
    capture_close(&file);
    return first;
}

START_TEST(test_libpcap_reads_it)
{
    struct pcapng_file file;
    uint32_t n;
    ck_assert_int_eq(pcapng_open(&file, path, 0, NULL), 0);
    write_numbered(&file, 0, 1000);
    pcapng_close(&file);
    ck_assert_int_eq(file.error, 0);
    ck_assert_uint_eq(read_numbered(path, &n), 0);
    ck_assert_uint_eq(n, 1000);
    ck_assert_int_ne(access(old, F_OK), 0);
}
END_TEST

/* Both files together are the newest packets; neither is longer than half. */
START_TEST(test_ring)
{
    struct pcapng_file file;
    uint32_t n, m;
    ck_assert_int_eq(pcapng_open(&file, path, 20000, NULL), 0);
    for (uint32_t sent = 0; sent < 1000; sent += 37) {
        write_numbered(&file, sent, 37);
        ck_assert(pcapng_flush(&file));
        uint32_t first = read_numbered(path, &m);
        ck_assert_uint_eq(first + m, sent + 37);
        if (access(old, F_OK))
            continue;
        ck_assert_uint_eq(read_numbered(old, &n) + n, first);
        ck_assert_uint_ge(m + n, 10000 / 112);
        ck_assert_uint_le(m + n, 20000 / 108);
    }
    ck_assert_int_eq(access(old, F_OK), 0);
    pcapng_close(&file);
}
END_TEST

START_TEST(test_full)
{
    struct pcapng_file file;
    struct pcapng_packet packet = { 1, (const uint8_t *)"abcd", 4, 4, NULL };
    struct error err;
    ck_assert_int_eq(pcapng_open(&file, "/dev/full", 0, &err), -ENOSPC);
    ck_assert_str_eq(err.text, "cannot write /dev/full: No space left on device");
    ck_assert_int_lt(pcapng_open(&file, "/nowhere/at/all", 0, &err), 0);
    ck_assert_int_lt(pcapng_open(&file, "/tmp", 0, &err), 0);
    ck_assert_int_eq(pcapng_open(&file, path, 0, &err), 0);
    ck_assert_ptr_nonnull(freopen("/dev/full", "w", file.file));
    packet.time = 2000000000; /* flushed at once */
    ck_assert(!pcapng_write(&file, &packet));
    ck_assert(!pcapng_write(&file, &packet));
    pcapng_close(&file);
    ck_assert_uint_eq(file.lost, 2);
    ck_assert_int_eq(file.error, ENOSPC);
}
END_TEST

static Suite *suite_pcapng(void)
{
    Suite *suite = suite_create("pcapng");
    TCase *tests = tcase_create("pcapng");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_head);
    tcase_add_test(tests, test_packet);
    tcase_add_test(tests, test_libpcap_reads_it);
    tcase_add_test(tests, test_ring);
    tcase_add_test(tests, test_full);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(pcapng)
