/* test_clumsy_capture: Clumsy's captures say of every packet what its log of decisions says. */
#include "selftest/selftest.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/clumsy/clumsy.h"
#include "lib/capture_file.h"
#include "selftest/clumsy_rig.h"

#define PACKETS_SENT 3000
#define COMMENT      256

static char before[48], after[48], decisions[48];

static void setup(void)
{
    char folder[] = "/tmp/selftest_capture_XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(before, sizeof(before), "%s/before", folder);
    snprintf(after, sizeof(after), "%s/after", folder);
    snprintf(decisions, sizeof(decisions), "%s/decisions", folder);
}

static void teardown(void)
{
    unlink(before);
    unlink(after);
    unlink(decisions);
    *strrchr(before, '/') = 0;
    rmdir(before);
}

/* The next packet's comment, read block by block without libpcap; false at the end. */
static bool next_comment(FILE *in, char comment[COMMENT])
{
    uint32_t head[2], fixed[5];
    uint16_t option[2];
    uint8_t rest[4096];
    while (fread(head, 4, 2, in) == 2) {
        uint32_t left = head[1] - 8;
        ck_assert_uint_le(left, sizeof(rest));
        ck_assert_uint_eq(fread(rest, 1, left, in), left);
        if (head[0] != 6)
            continue;
        memcpy(fixed, rest, sizeof(fixed));
        uint8_t *at = rest + sizeof(fixed) + ((fixed[3] + 3) & ~3u);
        memcpy(option, at, sizeof(option));
        ck_assert_uint_eq(option[0], 1);
        ck_assert_uint_lt(option[1], COMMENT);
        memcpy(comment, at + 4, option[1]);
        comment[option[1]] = 0;
        return true;
    }
    return false;
}

static void run(const char *settings)
{
    char text[600];
    snprintf(text, sizeof(text), "%s decisions=%s capture.before=%s capture.after=%s",
             settings, decisions, before, after);
    struct rig *rig = rig_new(1, text);
    for (uint64_t i = 0; i < PACKETS_SENT; i++) {
        rig_run(rig, RIG_START + i * 100000);
        rig_send(rig, RIG_FRAME, 0);
    }
    rig_run(rig, RIG_START + 10 * RIG_START);
    ck_assert_uint_eq(rig_counter(rig, "held"), 0);
    ck_assert_uint_eq(rig_counter(rig, "capture_lost"), 0);
    rig_free(rig);
}

/* Every line of the log is in the comment of its packet. */
static void check_before(void)
{
    char line[200], comment[COMMENT], outcome[16], word[64];
    uint64_t index, arrival, packet = UINT64_MAX;
    unsigned copy, lines = 0;
    FILE *log = fopen(decisions, "r"), *in = fopen(before, "rb");
    ck_assert(log && in);
    while (fgets(line, sizeof(line), log)) {
        if (sscanf(line, "%lu %u %lu %15s", &index, &copy, &arrival, outcome) != 4)
            continue;
        lines++;
        for (; packet != index; packet++)
            ck_assert(next_comment(in, comment));
        snprintf(word, sizeof(word), "index=%lu ", index);
        ck_assert_msg(!strncmp(comment, word, strlen(word)), "%s: %s", line, comment);
        if (copy)
            snprintf(word, sizeof(word), " copy=%u verdict=%s", copy, outcome);
        else
            snprintf(word, sizeof(word), " verdict=%s", outcome);
        ck_assert_msg(strstr(comment, word), "%s: %s", line, comment);
    }
    ck_assert_uint_ge(lines, PACKETS_SENT);
    fclose(log);
    fclose(in);
}

/* As many as were delivered, and the times are those of the packets. */
static void check_after(void)
{
    struct capture_file file;
    struct capture_packet packet;
    char comment[COMMENT], line[200];
    uint64_t left = 0, passed = 0;
    FILE *log = fopen(decisions, "r"), *in = fopen(after, "rb");
    ck_assert(log && in && !capture_open(&file, after, NULL));
    while (capture_next(&file, &packet)) {
        unsigned long index, delay;
        unsigned copy;
        ck_assert(next_comment(in, comment));
        ck_assert_int_eq(
            sscanf(comment, "index=%lu copy=%u delay_ns=%lu", &index, &copy, &delay), 3);
        ck_assert_uint_eq(packet.time, RIG_START + index * 100000 + delay);
        left++;
    }
    while (fgets(line, sizeof(line), log))
        passed += strstr(line, " pass ") != NULL;
    ck_assert_uint_eq(left, passed);
    ck_assert_uint_gt(left, PACKETS_SENT / 2);
    capture_close(&file);
    fclose(log);
    fclose(in);
}

START_TEST(same_as_the_log)
{
    run("loss=5% owd=20ms jitter.half=5ms duplicate=5% corrupt=5% "
        "mtu.max=1500 reorder=1%");
    check_before();
    check_after();
}
END_TEST

/* A queue that decides late: the comment says so, and what left is there. */
START_TEST(queued)
{
    char comment[COMMENT];
    unsigned n = 0, waiting = 0;
    run("rate=6mbit queue.aqm=codel queue.limit=20p");
    FILE *in = fopen(before, "rb");
    for (; next_comment(in, comment); n++)
        waiting += strstr(comment, "verdict=queued") != NULL;
    fclose(in);
    ck_assert_uint_eq(n, PACKETS_SENT);
    ck_assert_uint_gt(waiting, 0);
    check_after();
}
END_TEST

/* What cannot be begun is an error before anything is changed. */
START_TEST(full_disk)
{
    struct graph *graph = rig_graph("capture.before=/dev/full");
    struct engine *engine = test_engine(1);
    struct error err;
    ck_assert_int_lt(engine_configure(engine, graph, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "capture: cannot write /dev/full"));
    engine_free(engine);
}
END_TEST

static long size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) ? -1 : (long)st.st_size;
}

/* A change of which a part cannot be is none: nothing is lost, files go on. */
START_TEST(refused_change)
{
    static const char *const wrong[] = { "capture.after=/no/such", "decisions=/no/such" };
    char text[400];
    snprintf(text, sizeof(text), "decisions=%s capture.before=%s", decisions, before);
    struct rig *rig = rig_new(1, text);
    rig_send_many(rig, 50);
    rig_breathe(rig, RIG_START);
    snprintf(text, sizeof(text), "decisions=%s capture.before=%s loss=100%% %s",
             _i ? "" : decisions, before, wrong[_i]);
    struct graph *graph = rig_graph(_i ? strstr(text, "capture") : text);
    struct error err;
    ck_assert_int_lt(engine_configure(rig->engine, graph, &err), 0);
    ck_assert_msg(strstr(err.text, "/no/such"), "%s", err.text);
    rig_send_many(rig, 50);
    rig_breathe(rig, RIG_START + 1000);
    ck_assert_uint_eq(rig->count, 100);
    ck_assert_uint_eq(rig_counter(rig, "drop_loss"), 0);
    rig_free(rig);
    ck_assert_int_gt(size_of(before), 100 * RIG_FRAME);
    ck_assert_int_gt(size_of(decisions), 100 * 10);
}
END_TEST

static Suite *suite_clumsy_capture(void)
{
    Suite *suite = suite_create("clumsy_capture");
    TCase *tests = tcase_create("clumsy_capture");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, same_as_the_log);
    tcase_add_test(tests, queued);
    tcase_add_test(tests, full_disk);
    tcase_add_loop_test(tests, refused_change, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(clumsy_capture)
