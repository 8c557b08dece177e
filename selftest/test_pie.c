/* test_pie: PIE follows RFC 8033 step by step, and holds its target. */
#include "selftest/selftest.h"

#include <math.h>

#include "apps/clumsy/pie.h"
#include "selftest/queue_rig.h"
#include "lib/statistics.h"

#define LENGTH 1250 /* bytes take 1 ms */

/* Flows that halve their windows when they lose a packet and widen them otherwise, an echo of
 * 50 ms after it has been sent or dropped. */
#define FLOWS 20
#define ECHO  (50 * MS)

struct echo {
    uint64_t time;
    uint32_t flow;
    bool lost;
};

struct world {
    struct echo echoes[1 << 16];
    uint64_t head, tail;
    double window[FLOWS], flying[FLOWS];
    uint64_t halved[FLOWS]; /* once in a round trip */
    double waited;
    uint64_t counted;
};

static void echo(struct rig *rig, const struct queue_packet *packet, bool lost)
{
    struct world *world = rig->user;
    world->echoes[world->tail++ & 0xffff] =
        (struct echo){ rig->now + ECHO, (uint32_t)packet->flow, lost };
}

static void world_sent(struct rig *rig, const struct queue_packet *packet, uint64_t now)
{
    struct world *world = rig->user;
    echo(rig, packet, false);
    if (now > 20 * S) {
        world->waited += (double)(now - packet->arrival) / MS;
        world->counted++;
    }
}

static void world_dropped(struct rig *rig, const struct queue_packet *packet)
{
    echo(rig, packet, true);
}

static void hear(struct world *world, const struct echo *heard)
{
    uint32_t flow = heard->flow;
    world->flying[flow]--;
    if (!heard->lost) {
        world->window[flow] += 1 / world->window[flow];
    } else if (heard->time > world->halved[flow]) {
        world->window[flow] = fmax(1, world->window[flow] / 2);
        world->halved[flow] = heard->time + ECHO + 20 * MS;
    }
}

/* Mean wait in ms between the 20th and the 60th second. */
static double reacting(struct queue_conf conf)
{
    struct world *world = calloc(1, sizeof(*world));
    struct rig rig;
    rig_open(&rig, conf, (struct limit){ .packets = 300 });
    rig.user = world;
    rig.on_sent = world_sent;
    rig.on_drop = world_dropped;
    for (uint32_t i = 0; i < FLOWS; i++)
        world->window[i] = 2;
    for (uint64_t t = S; t < 60 * S; t += MS / 4) {
        rig_run(&rig, t);
        while (world->head != world->tail &&
               world->echoes[world->head & 0xffff].time <= t)
            hear(world, &world->echoes[world->head++ & 0xffff]);
        for (uint32_t i = 0; i < FLOWS; i++)
            while (world->flying[i] + 1 <= world->window[i]) {
                world->flying[i]++;
                rig_offer(&rig, t, (struct queue_packet){ .length = LENGTH, .flow = i });
            }
    }
    double mean = world->waited / (double)world->counted;
    rig.on_drop = NULL;
    rig_close(&rig);
    free(world);
    return mean;
}

START_TEST(test_pie_target)
{
    struct queue_conf conf = rig_aqm(AQM_PIE);
    double standard = reacting(conf);
    conf.target = 45 * MS;
    double other = reacting(conf);
    ck_assert_msg(standard > 0.75 * 15 && standard < 1.25 * 15, "%f ms", standard);
    ck_assert_msg(other > 0.75 * 45 && other < 1.25 * 45, "%f ms", other);
    ck_assert_double_gt(reacting((struct queue_conf){ 0 }), 100);
}
END_TEST

static const struct pie_conf pie_conf = { PIE_TARGET, PIE_INTERVAL };

/* 100 ms at 10 Mbit/s. */
static const struct pie_backlog congested = { .bytes = 125000, .rate = LINK };
static const struct pie_backlog idle = { .rate = LINK };

/* RFC 8033, 4.2 and 5.5, by hand: a delay of 100 ms appears and stays. */
START_TEST(test_pie_update)
{
    struct pie pie = { 0 };
    pie_advance(&pie, &pie_conf, S, &congested);
    double p = 0, old = 0;
    for (uint64_t i = 1; i <= 40; i++) {
        double step = (0.1 - 0.015) / 8 + (0.1 - old) * 1.25;
        step /= p < 1e-6   ? 2048
                : p < 1e-5 ? 512
                : p < 1e-4 ? 128
                : p < 1e-3 ? 32
                : p < 1e-2 ? 8
                : p < 0.1  ? 2
                           : 1;
        p += step;
        old = 0.1;
        pie_advance(&pie, &pie_conf, S + i * 15 * MS - 1, &congested);
        ck_assert(i == 1 || fabs(pie.probability - (p - step)) < 1e-12);
        pie_advance(&pie, &pie_conf, S + i * 15 * MS, &congested);
        ck_assert_double_lt(fabs(pie.probability - p), 1e-12);
    }
    ck_assert_double_gt(p, 0.1);
    double before = pie.probability;
    struct pie_backlog grown = { .bytes = 1250000, .rate = LINK };
    pie_advance(&pie, &pie_conf, S + 41 * 15 * MS, &grown);
    ck_assert_double_lt(fabs(pie.probability - before - 0.02), 1e-12);
}
END_TEST

/* Updates made up for are the same as those made in time, and a silence of years costs as
 * much as one of seconds. */
START_TEST(test_pie_silence)
{
    struct pie each = { .started = true, .probability = 0.5, .delay = 0.1 }, once = each;
    for (uint64_t t = 0; t <= 600 * MS; t += MS)
        pie_advance(&each, &pie_conf, t, &idle);
    pie_advance(&once, &pie_conf, 600 * MS, &idle);
    ck_assert_double_eq(each.probability, once.probability);
    ck_assert_double_gt(once.probability, 0.01);
    ck_assert_double_lt(once.probability, 0.5 * pow(0.98, 38));
    pie_advance(&once, &pie_conf, 600 * MS + 100000000 * S, &idle);
    ck_assert_double_eq(once.probability, 0);
    ck_assert_uint_le(600 * MS + 100000000 * S - once.updated, 15 * MS);
}
END_TEST

/* Without a rate the delay is the age of the oldest. */
START_TEST(test_pie_age)
{
    struct pie known = { 0 }, age = { 0 };
    pie_advance(&known, &pie_conf, S, &congested);
    pie_advance(&age, &pie_conf, S, &idle);
    pie_advance(&known, &pie_conf, S + 15 * MS, &congested);
    struct pie_backlog old = { .bytes = 1, .oldest = S - 85 * MS };
    pie_advance(&age, &pie_conf, S + 15 * MS, &old);
    ck_assert_double_lt(fabs(known.probability - age.probability), 1e-12);
    ck_assert_double_gt(age.probability, 0);
}
END_TEST

/* First 150 ms without a drop, whatever comes; but not if it had been congested already. */
START_TEST(test_pie_burst)
{
    struct pie fresh = { 0 }, used = { .started = true, .updated = S, .delay = 0.1 };
    uint64_t early = 0, late = 0, at_once = 0;
    for (uint64_t t = S; t < 2 * S; t += MS / 10) {
        pie_advance(&fresh, &pie_conf, t, &congested);
        pie_advance(&used, &pie_conf, t, &congested);
        bool drops = pie_drops(&fresh, &pie_conf, t, &congested, 0);
        *(t < S + 150 * MS ? &early : &late) += drops;
        at_once += pie_drops(&used, &pie_conf, t, &congested, 0) && t < S + 150 * MS;
    }
    ck_assert_uint_eq(early, 0);
    ck_assert_uint_gt(late, 10);
    ck_assert_uint_gt(at_once, 1);
}
END_TEST

/* 4.1: not where two packets wait, nor below half the target at less than 20 %. */
START_TEST(test_pie_bypass)
{
    const struct {
        double probability, delay;
        uint64_t bytes;
        bool drops;
    } rows[] = {
        { 0.5, 0.1, 2048, false },     { 0.5, 0.1, 2049, true },
        { 0.19, 0.0074, 9000, false }, { 0.19, 0.0076, 9000, true },
        { 0.21, 0.0074, 9000, true },  { 0, 0.1, 9000, false },
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pie pie = { .started = true,
                           .probability = rows[i].probability,
                           .delay = rows[i].delay,
                           .sum = 5 };
        struct pie_backlog backlog = { .bytes = rows[i].bytes, .rate = LINK };
        ck_assert_int_eq(pie_drops(&pie, &pie_conf, 0, &backlog, 0), rows[i].drops);
    }
}
END_TEST

/* 5.4: at 10 % no two drops within 8 packets, and one by the 86th. */
START_TEST(test_pie_spread)
{
    struct random_key key = random_key(1, "", "pie");
    struct pie pie = { .started = true, .probability = 0.1, .delay = 0.1 };
    uint64_t gap = 0, shortest = 1000, drops = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        gap++;
        if (!pie_drops(&pie, &pie_conf, 0, &congested, random_unit(&key, i)))
            continue;
        shortest = gap < shortest ? gap : shortest;
        drops++;
        gap = 0;
    }
    ck_assert_uint_eq(shortest, 9);
    /* A mean gap of 8 + 10. */
    ck_assert(region_contains(region_binomial(100000, 1 / 18.0), drops));
    pie.sum = 0;
    int last = 0;
    while (!pie_drops(&pie, &pie_conf, 0, &congested, 1))
        last++;
    ck_assert(last >= 84 && last <= 85);
}
END_TEST

static Suite *suite_pie(void)
{
    Suite *suite = suite_create("pie");
    TCase *tcase = tcase_create("pie");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_pie_target);
    tcase_add_test(tcase, test_pie_update);
    tcase_add_test(tcase, test_pie_silence);
    tcase_add_test(tcase, test_pie_age);
    tcase_add_test(tcase, test_pie_burst);
    tcase_add_test(tcase, test_pie_bypass);
    tcase_add_test(tcase, test_pie_spread);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(pie)
