/* test_codel: CoDel follows the control law of RFC 8289 and forgets as it says. */
#include "selftest/selftest.h"

#include <math.h>

#include "apps/clumsy/codel.h"
#include "selftest/queue_rig.h"

#define LENGTH 1250 /* bytes take 1 ms */

struct drops {
    double times[4096]; /* ms */
    int count;
    uint64_t shortest; /* wait of a dropped one */
};

static void note_drop(struct rig *rig, const struct queue_packet *packet)
{
    struct drops *drops = rig->user;
    if (drops->count < 4096)
        drops->times[drops->count++] = (double)rig->now / MS;
    if (rig->now - packet->arrival < drops->shortest)
        drops->shortest = rig->now - packet->arrival;
}

/* Largest deviation from a gap of interval / sqrt(count), ms. */
static double off_law(const double *times, int count)
{
    double ideal = times[0], worst = 0;
    for (int i = 1; i < count; i++) {
        ideal += 100 / sqrt(i);
        worst = fmax(worst, fabs(times[i] - ideal));
    }
    return worst;
}

/* Senders that do not react, at twice the rate. Packets leave every millisecond, so that is
 * how exact a drop can be. */
START_TEST(test_codel_law)
{
    struct drops drops = { .shortest = UINT64_MAX };
    struct rig rig;
    rig_open(&rig, rig_aqm(AQM_CODEL), (struct limit){ .packets = 100000 });
    rig.user = &drops;
    rig.on_drop = note_drop;
    for (uint64_t t = S; t < 6 * S; t += MS / 2)
        rig_offer(&rig, t, (struct queue_packet){ .length = LENGTH });
    rig.on_drop = NULL;
    ck_assert_int_gt(drops.count, 500);
    ck_assert_uint_ge(drops.shortest, 5 * MS);
    ck_assert_double_le(fabs(drops.times[0] - 1110), 2);
    ck_assert_double_le(off_law(drops.times, drops.count), 1.001);

    double constant[500], linear[500];
    for (int i = 0; i < 500; i++) {
        constant[i] = 100 * i;
        linear[i] = i ? linear[i - 1] + 100.0 / i : 0;
    }
    ck_assert_double_gt(off_law(constant, 500), 100);
    ck_assert_double_gt(off_law(linear, 500), 100);
    rig_close(&rig);
}
END_TEST

/* A window of so many packets: each that is sent brings the next. */
static uint64_t standing_drops(unsigned window)
{
    struct rig rig;
    rig_open(&rig, rig_aqm(AQM_CODEL), (struct limit){ .packets = 1000 });
    for (unsigned i = 0; i < window; i++)
        rig_offer(&rig, S, (struct queue_packet){ .length = LENGTH });
    for (uint64_t t = S + MS; t < 11 * S; t += MS)
        rig_offer(&rig, t, (struct queue_packet){ .length = LENGTH });
    rig_close(&rig);
    return rig.aqm;
}

START_TEST(test_codel_target)
{
    ck_assert_uint_eq(standing_drops(5), 0);
    ck_assert_uint_gt(standing_drops(8), 0);
}
END_TEST

static const struct codel_conf codel_conf = { CODEL_TARGET, CODEL_INTERVAL };

/* Heads that are all bad, one each millisecond, for some time; the times of drops, ms. */
static int bad_time(struct codel *codel, uint64_t *now, unsigned ms, double *times)
{
    int count = 0;
    for (unsigned i = 0; i < ms; i++, *now += MS)
        if (codel_drops(codel, &codel_conf, *now, 6 * MS, 10000))
            times[count++] = (double)*now / MS;
    return count;
}

static void good_time(struct codel *codel, uint64_t *now, unsigned ms)
{
    for (unsigned i = 0; i < ms; i++, *now += MS)
        ck_assert(!codel_drops(codel, &codel_conf, *now, 5 * MS - 1, 10000));
}

/* It leaves the state at the first good packet. When it comes back soon it goes on nearly
 * where it was, later from the start. */
START_TEST(test_codel_memory)
{
    const unsigned pauses[] = { 500, 3000 };
    for (int k = 0; k < 2; k++) {
        struct codel codel = { 0 };
        uint64_t now = S;
        double first[200], again[200];
        int drops = bad_time(&codel, &now, 2000, first);
        ck_assert_int_gt(drops, 50);
        ck_assert_double_eq(first[0], 1100);
        good_time(&codel, &now, 1);
        ck_assert(!codel.dropping);
        good_time(&codel, &now, pauses[k] - 1);
        double start = (double)now / MS;
        ck_assert_int_gt(bad_time(&codel, &now, 400, again), 1);
        ck_assert_double_eq(again[0], start + 100);
        double gap = k == 0 ? 100 / sqrt(drops - 1) : 100;
        ck_assert_double_le(fabs(again[1] - again[0] - gap), 1);
    }
}
END_TEST

/* It takes an interval without a break. */
START_TEST(test_codel_interval)
{
    struct codel codel = { 0 };
    uint64_t now = S;
    double times[200];
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(bad_time(&codel, &now, 100, times), 0);
        good_time(&codel, &now, 1);
    }
    ck_assert_int_eq(bad_time(&codel, &now, 101, times), 1);
}
END_TEST

/* Packets that wait for ever, and how many of them are dropped at the head. */
static uint64_t dropped_of_waiting(int aqm, unsigned packets, bool flows)
{
    struct rig rig;
    rig_open(&rig, rig_aqm(aqm), (struct limit){ .packets = 1000 });
    for (unsigned i = 0; i < packets; i++)
        rig_push(&rig, (struct queue_packet){ .length = 1514, .flow = flows ? i : 0 });
    for (unsigned i = 0; i < packets; i++) {
        rig.now += 200 * MS;
        rig_send(&rig, rig.now);
    }
    rig_close(&rig);
    return rig.aqm;
}

/* So many small packets in a flow beside another that has always more. */
static bool loses_last_of_flow(unsigned small)
{
    struct rig rig;
    rig_open(&rig, rig_aqm(AQM_FQ_CODEL), (struct limit){ .packets = 1000 });
    for (unsigned i = 0; i < small; i++)
        rig_push(&rig, (struct queue_packet){ .length = 100, .flow = 2 });
    for (unsigned i = 0; i < 100; i++)
        rig_push(&rig, (struct queue_packet){ .length = 1514, .flow = 1 });
    while (rig_send(&rig, rig.now))
        rig.now += 50 * MS;
    ck_assert_uint_eq(rig.seen[rig.offered - 1], 1);
    bool lost = rig.seen[small - 1] == 2;
    rig_close(&rig);
    return lost;
}

/* The last MTU keeps the link at work. What waits in other flows does, too: then the last
 * packet of a flow may go. */
START_TEST(test_codel_last)
{
    ck_assert_uint_eq(dropped_of_waiting(AQM_CODEL, 3, false), 0);
    ck_assert_uint_eq(dropped_of_waiting(AQM_CODEL, 4, false), 1);
    uint64_t lost = 0;
    for (unsigned thin = 1; thin < 40; thin++)
        lost += loses_last_of_flow(thin);
    ck_assert_uint_gt(lost, 0);
}
END_TEST

static Suite *suite_codel(void)
{
    Suite *suite = suite_create("codel");
    TCase *tcase = tcase_create("codel");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_codel_law);
    tcase_add_test(tcase, test_codel_target);
    tcase_add_test(tcase, test_codel_memory);
    tcase_add_test(tcase, test_codel_interval);
    tcase_add_test(tcase, test_codel_last);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(codel)
