/* test_queue: limits, victims, flows, marks and changes; each packet comes out once. */
#include "selftest/selftest.h"

#include "apps/clumsy/queue_flows.h"
#include "selftest/queue_rig.h"
#include "lib/statistics.h"

static const struct queue_packet full_packet = { .length = 1250, .flow = 1 };

/* Holds exactly the limit; the one after it costs one. */
START_TEST(test_first_drop)
{
    for (int drop = QUEUE_TAIL; drop <= QUEUE_RANDOM; drop++) {
        struct rig rig;
        rig_open(&rig, (struct queue_conf){ .drop = drop },
                 (struct limit){ .packets = 100 });
        for (unsigned i = 0; i < 100; i++)
            rig_push(&rig, full_packet);
        ck_assert_uint_eq(rig.full, 0);
        ck_assert_uint_eq(queue_packets(rig.queue), 100);
        ck_assert_uint_eq(queue_bytes(rig.queue), 125000);
        rig_push(&rig, full_packet);
        ck_assert_uint_eq(rig.full, 1);
        ck_assert_uint_eq(queue_packets(rig.queue), 100);
        if (drop != QUEUE_RANDOM)
            ck_assert_uint_eq(rig.seen[drop == QUEUE_HEAD ? 0 : 100], 2);
        rig_close(&rig);
    }
}
END_TEST

/* Sizes between 60 and 1514 bytes. */
static struct queue_packet any_packet(const struct random_key *key, uint64_t i)
{
    uint64_t draw = random_draw(key, i);
    return (struct queue_packet){ .length = (uint32_t)(60 + draw % 1455),
                                  .flow = draw >> 32 & 63,
                                  .owner = draw >> 40 & 3,
                                  .ect = draw >> 63 };
}

START_TEST(test_occupancy)
{
    const struct limit limits[] = { { .packets = 30 },
                                    { .bytes = 20000 },
                                    { .ns = 20 * MS } };
    const uint64_t most[] = { 30, 20000, 25000 };
    struct random_key key = random_key(1, "", "test");
    for (int k = 0; k < 9; k++) {
        struct rig rig;
        uint64_t wrong = 0;
        rig_open(&rig, (struct queue_conf){ .drop = k / 3 }, limits[k % 3]);
        for (uint64_t i = 0; i < 5000; i++) {
            rig_offer(&rig, rig.now + random_draw(&key, ~i) % MS, any_packet(&key, i));
            uint64_t held = k % 3 ? queue_bytes(rig.queue) : queue_packets(rig.queue);
            wrong += held > most[k % 3];
        }
        ck_assert_uint_eq(wrong, 0);
        ck_assert_uint_gt(rig.full, 100);
        ck_assert_uint_eq(rig.aqm, 0);
        rig_close(&rig);
    }
}
END_TEST

static uint64_t held(int drop, struct limit limit, uint32_t length)
{
    struct rig rig;
    rig_open(&rig, (struct queue_conf){ .drop = drop }, limit);
    for (unsigned i = 0; i < 3000; i++)
        rig_push(&rig, (struct queue_packet){ .length = length });
    uint64_t packets = queue_packets(rig.queue);
    rig_close(&rig);
    return packets;
}

/* All that are given must be exceeded. One packet is always taken. */
START_TEST(test_limits)
{
    for (int drop = QUEUE_TAIL; drop <= QUEUE_RANDOM; drop++) {
        ck_assert_uint_eq(held(drop, (struct limit){ .packets = 10 }, 1000), 10);
        ck_assert_uint_eq(held(drop, (struct limit){ .bytes = 10999 }, 1000), 10);
        ck_assert_uint_eq(held(drop, (struct limit){ .ns = 8 * MS }, 1000), 10);
        ck_assert_uint_eq(held(drop, (struct limit){ .ns = 8 * MS, .packets = 50 }, 1000),
                          50);
        ck_assert_uint_eq(held(drop, (struct limit){ .ns = 8 * MS, .packets = 5 }, 1000),
                          10);
        ck_assert_uint_eq(
            held(drop, (struct limit){ .ns = 8 * MS, .bytes = 30000 }, 1000), 30);
        ck_assert_uint_eq(held(drop, (struct limit){ .bytes = 1 }, 1000), 1);
        ck_assert_uint_eq(held(drop, (struct limit){ .ns = 1 }, 1000), 1);
        ck_assert_uint_eq(held(drop, (struct limit){ 0 }, 1000), 3000);
    }
}
END_TEST

/* One that would not fit an empty queue puts nobody out. */
START_TEST(test_too_long)
{
    const struct queue_conf confs[] = { { .drop = QUEUE_HEAD },
                                        { .drop = QUEUE_RANDOM },
                                        rig_aqm(AQM_FQ_CODEL) };
    for (int k = 0; k < 3; k++) {
        struct rig rig;
        rig_open(&rig, confs[k], (struct limit){ .bytes = 2000 });
        rig_push(&rig, (struct queue_packet){ .length = 900 });
        rig_push(&rig, (struct queue_packet){ .length = 900 });
        rig_push(&rig, (struct queue_packet){ .length = 2001 });
        ck_assert_uint_eq(rig.seen[2], 2);
        ck_assert_uint_eq(queue_packets(rig.queue), 2);
        rig_close(&rig);
    }
}
END_TEST

/* Quarters of the queue that victims come from; the rest keeps its order. */
static void count_victims(int drop, uint64_t *quarters, unsigned rounds)
{
    struct rig rig;
    rig_open(&rig, (struct queue_conf){ .drop = drop }, (struct limit){ .packets = 99 });
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t first = rig.offered, last = 0;
        for (unsigned i = 0; i < 100; i++)
            rig_push(&rig, full_packet);
        for (unsigned i = 0; i < 100; i++)
            quarters[i / 25] += rig.seen[first + i] == 2;
        struct queue_packet packet;
        while (queue_pop(rig.queue, rig.now, &packet)) {
            if (packet.sequence <= last && packet.sequence != first)
                ck_abort_msg("out of order");
            last = packet.sequence;
            rig_note(&rig, &packet, 1);
            rig.sent++;
        }
    }
    rig_close(&rig);
}

START_TEST(test_random_victim)
{
    struct region region = region_binomial(1500, 0.25);
    uint64_t any[4] = { 0 }, head[4] = { 0 }, tail[4] = { 0 };
    count_victims(QUEUE_RANDOM, any, 1500);
    count_victims(QUEUE_HEAD, head, 1500);
    count_victims(QUEUE_TAIL, tail, 1500);
    for (int i = 0; i < 4; i++) {
        ck_assert(region_contains(region, any[i]));
        ck_assert(!region_contains(region, head[i]));
        ck_assert(!region_contains(region, tail[i]));
    }
    ck_assert_uint_eq(head[0], 1500);
    ck_assert_uint_eq(tail[3], 1500);
}
END_TEST

/* --- flows ---------------------------------------------------------------------------- */

struct thin {
    uint64_t longest, served[8];
};

static void follow_flow(struct rig *rig, const struct queue_packet *packet, uint64_t now)
{
    struct thin *thin = rig->user;
    thin->served[packet->flow] += packet->length;
    if (packet->flow == 7 && now - packet->arrival > thin->longest)
        thin->longest = now - packet->arrival;
}

/* Flow 0 sends at twice the rate, flow 7 a small packet now and then. */
static uint64_t thin_wait(int aqm)
{
    struct rig rig;
    rig_open(&rig, rig_aqm(aqm), (struct limit){ .packets = 1000 });
    struct thin thin = { 0 };
    rig.user = &thin;
    rig.on_sent = follow_flow;
    for (uint64_t t = S; t < 6 * S; t += MS / 2) {
        rig_offer(&rig, t, (struct queue_packet){ .length = 1250 });
        if (t % (20 * MS) == 0)
            rig_offer(&rig, t + 1, (struct queue_packet){ .length = 100, .flow = 7 });
    }
    ck_assert_uint_ge(thin.served[7], aqm == AQM_FQ_CODEL ? 24900 : 1000);
    rig_close(&rig);
    return thin.longest;
}

START_TEST(test_thin_flow)
{
    uint64_t quantum = 1514 * 8 * S / LINK;
    ck_assert_uint_lt(thin_wait(AQM_FQ_CODEL), quantum);
    ck_assert_uint_gt(thin_wait(AQM_CODEL), 10 * quantum);
}
END_TEST

/* Four flows send the same bytes per second or not, in packets of their own sizes. */
static void serve_fat(int aqm, struct thin *thin)
{
    static const uint32_t lengths[] = { 1514, 300, 1000, 700 };
    static const uint64_t gaps[] = { 1000, 250, 600, 200 }; /* us: all above a fourth */
    struct rig rig;
    rig_open(&rig, rig_aqm(aqm), (struct limit){ .packets = 1000 });
    rig.user = thin;
    rig.on_sent = follow_flow;
    for (uint64_t us = 1000000; us < 6000000; us += 50)
        for (int i = 0; i < 4; i++)
            if (us % gaps[i] == 0)
                rig_offer(&rig, us * 1000,
                          (struct queue_packet){ .length = lengths[i], .flow = i });
    rig.on_sent = NULL;
    rig_close(&rig);
}

static bool shares_are_equal(const struct thin *thin)
{
    double expected = 5.0 * LINK / 8 / 4;
    for (int i = 0; i < 4; i++)
        if ((double)thin->served[i] < 0.98 * expected ||
            (double)thin->served[i] > 1.02 * expected)
            return false;
    return true;
}

START_TEST(test_shares)
{
    struct thin fair = { 0 }, one = { 0 };
    serve_fat(AQM_FQ_CODEL, &fair);
    serve_fat(AQM_CODEL, &one);
    ck_assert(shares_are_equal(&fair));
    ck_assert(!shares_are_equal(&one));
}
END_TEST

/* Of the flows 1 and 2 each sends a packet when the other's has left. */
static void take_turns(struct rig *rig, const struct queue_packet *packet, uint64_t now)
{
    follow_flow(rig, packet, now);
    if (packet->flow)
        rig_push(rig, (struct queue_packet){ .length = 1500, .flow = 3 - packet->flow });
}

/* They never have more than that one packet, but are not fresh each time: a third flow is not
 * put off for ever. */
START_TEST(test_fresh_once)
{
    struct thin thin = { 0 };
    struct rig rig;
    rig_open(&rig, rig_aqm(AQM_FQ_CODEL), (struct limit){ .packets = 1000 });
    rig.user = &thin;
    rig.on_sent = take_turns;
    rig_push(&rig, (struct queue_packet){ .length = 1500, .flow = 1 });
    for (uint64_t i = 0; i < 3000; i++)
        rig_offer(&rig, S + i * 1200000, (struct queue_packet){ .length = 1500 });
    ck_assert_uint_gt(thin.served[0], 3000 * 1500 / 3 - 20000);
    rig.on_sent = NULL;
    rig_close(&rig);
}
END_TEST

/* Of 1024 flows in as many queues, e^-1 find theirs empty at the end; and the seed says which
 * meet. */
START_TEST(test_collisions)
{
    uint32_t met[2][1024], differ = 0;
    for (int seed = 0; seed < 2; seed++) {
        struct queue_flows flows;
        ck_assert(flows_init(&flows));
        ck_assert(flows_resize(&flows, 1024, random_key(seed, "wan", "queue-flow")));
        uint32_t empty = 0, most = 0;
        for (uint64_t i = 0; i < 1024; i++)
            met[seed][i] =
                flows_append(&flows, &(struct queue_packet){ .flow = i, .length = 60 });
        for (int i = 0; i < 1024; i++) {
            empty += !flows.fifos[i].packets;
            most = flows.fifos[i].packets > most ? flows.fifos[i].packets : most;
        }
        ck_assert_uint_eq(flows.fifos[flows_fattest(&flows)].packets, most);
        ck_assert_uint_le(most, 10);           /* beyond: 1e-6 */
        ck_assert(empty > 300 && empty < 453); /* 376.7, deviation 9.9, but wider */
        flows_free(&flows);
    }
    for (int i = 0; i < 1024; i++)
        differ += met[0][i] != met[1][i];
    ck_assert_uint_gt(differ, 1000);
}
END_TEST

static uint64_t dropped_of(const struct rig *rig, uint64_t from, uint64_t to)
{
    uint64_t sum = 0;
    while (from < to)
        sum += rig->seen[from++] == 2;
    return sum;
}

/* Half of the fattest flow, but 64 packets at most, from its head. */
START_TEST(test_fat_flow)
{
    const struct {
        uint64_t limit, lost;
    } rows[] = { { 1000, 64 }, { 60, 25 } };
    for (int k = 0; k < 2; k++) {
        struct rig rig;
        rig_open(&rig, rig_aqm(AQM_FQ_CODEL), (struct limit){ .packets = rows[k].limit });
        for (unsigned i = 0; i < 10; i++)
            rig_push(&rig, (struct queue_packet){ .length = 500, .flow = 2 });
        for (uint64_t i = 10; i < rows[k].limit; i++)
            rig_push(&rig, full_packet);
        ck_assert_uint_eq(rig.full, 0);
        rig_push(&rig, (struct queue_packet){ .length = 500, .flow = 2 });
        ck_assert_uint_eq(rig.full, rows[k].lost);
        ck_assert_uint_eq(dropped_of(&rig, 10, 10 + rows[k].lost), rows[k].lost);
        rig_close(&rig);
    }
}
END_TEST

/* --- ECN ------------------------------------------------------------------------------ */

struct counts {
    uint64_t aqm, marked, full;
};

static struct counts overload(int aqm, bool ecn, bool ect, uint64_t gap, unsigned count,
                              uint64_t limit)
{
    struct rig rig;
    struct queue_conf conf = rig_aqm(aqm);
    conf.ecn = ecn;
    rig_open(&rig, conf, (struct limit){ .packets = limit });
    for (unsigned i = 0; i < count; i++)
        rig_offer(&rig, S + i * gap, (struct queue_packet){ .length = 1250, .ect = ect });
    rig_run(&rig, 100 * S);
    rig_close(&rig);
    return (struct counts){ rig.aqm, rig.marked, rig.full };
}

START_TEST(test_ecn)
{
    const int aqms[] = { AQM_CODEL, AQM_FQ_CODEL, AQM_RED };
    for (int k = 0; k < 3; k++) {
        struct counts marks = overload(aqms[k], true, true, MS / 2, 4000, 5000);
        ck_assert_uint_eq(marks.aqm + marks.full, 0);
        ck_assert_uint_gt(marks.marked, 20);
        struct counts not_ect = overload(aqms[k], true, false, MS / 2, 4000, 5000);
        struct counts off = overload(aqms[k], false, true, MS / 2, 4000, 5000);
        ck_assert_uint_eq(not_ect.marked + off.marked, 0);
        ck_assert_uint_gt(not_ect.aqm, 20);
        ck_assert_uint_eq(not_ect.aqm, off.aqm);
        ck_assert_uint_gt(overload(aqms[k], true, true, MS / 2, 4000, 100).full, 100);
    }
}
END_TEST

/* PIE drops the rest when marks do not help: above 10 %. */
START_TEST(test_ecn_pie)
{
    struct counts mild = overload(AQM_PIE, true, true, MS * 97 / 100, 1700, 5000);
    ck_assert_uint_eq(mild.aqm, 0);
    ck_assert_uint_ge(mild.marked, 5);
    struct counts heavy = overload(AQM_PIE, true, true, MS / 2, 4000, 5000);
    ck_assert_uint_gt(heavy.aqm, 100);
    ck_assert_uint_gt(heavy.marked, 0);
}
END_TEST

/* --- changes -------------------------------------------------------------------------- */

/* What waits survives each change, and a plain queue has it in order of arrival. */
START_TEST(test_change)
{
    struct random_key key = random_key(1, "", "test");
    struct limit limit = { .packets = 1000 };
    struct rig rig;
    rig_open(&rig, (struct queue_conf){ 0 }, limit);
    for (int aqm = AQM_RED; aqm >= AQM_NONE; aqm--) {
        struct queue_conf conf = rig_aqm(aqm);
        rig_configure(&rig, &conf, limit);
        for (uint64_t i = 0; i < 100; i++)
            rig_push(&rig, any_packet(&key, rig.offered));
    }
    ck_assert_uint_eq(queue_packets(rig.queue), 500);
    for (uint64_t i = 0; i < 500; i++) {
        struct queue_packet packet;
        ck_assert(queue_pop(rig.queue, rig.now, &packet));
        ck_assert_uint_eq(packet.sequence, i);
        ck_assert_uint_eq(packet.length, any_packet(&key, i).length);
        rig_note(&rig, &packet, 1);
        rig.sent++;
    }
    rig_close(&rig);
}
END_TEST

/* Packets of an owner who leaves go, the rest stays and is served. */
START_TEST(test_purge)
{
    for (int aqm = AQM_NONE; aqm <= AQM_RED; aqm++) {
        struct rig rig;
        rig_open(&rig, rig_aqm(aqm), (struct limit){ .packets = 1000 });
        for (uint16_t i = 0; i < 300; i++)
            rig_push(&rig, (struct queue_packet){
                               .length = 10, .flow = i % 7, .owner = i % 5 % 3 });
        queue_purge(rig.queue, 1);
        ck_assert_uint_eq(rig.full, 120);
        for (uint64_t i = 0; i < 300; i++)
            ck_assert_int_eq(rig.seen[i], i % 5 % 3 == 1 ? 2 : 0);
        ck_assert_uint_eq(queue_bytes(rig.queue), 1800);
        rig_run(&rig, 2 * S);
        ck_assert_uint_eq(rig.sent, 180);
        rig_push(&rig, full_packet);
        queue_purge(rig.queue, 0);
        ck_assert(!rig_send(&rig, rig.now));
        rig_close(&rig);
    }
}
END_TEST

static struct queue_conf any_conf(const struct random_key *key, uint64_t i)
{
    uint64_t draw = random_draw(key, i);
    struct queue_conf conf = rig_aqm((int)(draw % 5));
    conf.drop = conf.aqm == AQM_NONE ? (int)(draw >> 8 & 255) % 3 : QUEUE_TAIL;
    conf.ecn = draw >> 16 & 1;
    conf.flows = 1 + (int64_t)(draw >> 17 & 31);
    conf.quantum = 64 + (int64_t)(draw >> 24 & 2047);
    conf.target = (draw >> 36 & 3) * MS;
    conf.interval = (draw >> 38 & 3) * 10 * MS;
    conf.probability = (double)(draw >> 40 & 255) / 255;
    return conf;
}

static struct limit any_limit(const struct random_key *key, uint64_t i)
{
    uint64_t draw = random_draw(key, i);
    return (struct limit){ .packets = 1 + (draw >> 8 & 255),
                           .bytes = draw & 1 ? 1 + (draw >> 16 & 65535) : 0,
                           .ns = draw & 2 ? 1 + (draw >> 32) % (50 * MS) : 0 };
}

/* Hash of all that happened in 100,000 operations; the configuration changes every 500. */
static uint64_t wild_run(uint64_t seed)
{
    struct random_key key = random_key(seed, "", "wild");
    struct rig rig;
    uint64_t wrong = 0;
    rig_open(&rig, (struct queue_conf){ 0 }, (struct limit){ 0 });
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t draw = random_draw(&key, 3 * i);
        if (i % 500 == 0) {
            struct queue_conf conf = any_conf(&key, 3 * i + 1);
            rig.rate = draw % 7 ? 1000000 + draw % (10 * LINK) : 0;
            rig_configure(&rig, &conf, any_limit(&key, 3 * i + 2));
            rig.rate = LINK;
            queue_purge(rig.queue, draw >> 8 & 15);
        }
        rig.now += draw >> 20 & (draw >> 60 ? 0xfffff : 0x1fffffff);
        if (draw & 1 || (draw & 2 && i / 1000 % 2))
            rig_push(&rig, any_packet(&key, 3 * i + 1));
        else
            rig_send(&rig, rig.now);
        wrong += !queue_packets(rig.queue) && queue_bytes(rig.queue);
        wrong += queue_packets(rig.queue) != rig.offered - rig.sent - rig.full - rig.aqm;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert(rig.full > 1000 && rig.aqm > 1000 && rig.marked > 100 && rig.sent > 20000);
    rig_close(&rig);
    return rig.log;
}

START_TEST(test_conservation)
{
    uint64_t once = wild_run(1);
    ck_assert_uint_eq(wild_run(1), once);
    ck_assert_uint_ne(wild_run(2), once);
}
END_TEST

/* The seed alone: same packets, same times. */
static uint64_t seeded_run(struct queue_conf conf, uint64_t seed)
{
    struct rig rig;
    rig_open(&rig, conf, (struct limit){ .packets = 200 });
    struct limit limit = { .packets = 200 };
    queue_configure(rig.queue, &conf, &limit, LINK, seed, "wan");
    for (uint64_t i = 0; i < 5000; i++) {
        struct queue_packet packet = full_packet;
        packet.flow = i % 3000;
        rig_offer(&rig, S + i * MS / 2, packet);
    }
    rig_run(&rig, 100 * S);
    rig_close(&rig);
    return rig.log;
}

START_TEST(test_seed)
{
    const struct queue_conf confs[] = { { .drop = QUEUE_RANDOM },
                                        rig_aqm(AQM_PIE),
                                        rig_aqm(AQM_RED),
                                        rig_aqm(AQM_FQ_CODEL) };
    for (int k = 0; k < 4; k++) {
        ck_assert_uint_eq(seeded_run(confs[k], 1), seeded_run(confs[k], 1));
        ck_assert_uint_ne(seeded_run(confs[k], 1), seeded_run(confs[k], 2));
    }
}
END_TEST

/* More than the memory is for: bounded, and nothing lost from the books. */
START_TEST(test_most)
{
    for (int drop = QUEUE_TAIL; drop <= QUEUE_HEAD; drop++) {
        struct rig rig;
        rig_open(&rig, (struct queue_conf){ .drop = drop },
                 (struct limit){ .packets = UINT64_MAX });
        for (uint64_t i = 0; i < QUEUE_MOST + 100; i++)
            rig_push(&rig, full_packet);
        ck_assert_uint_eq(queue_packets(rig.queue), QUEUE_MOST);
        ck_assert_uint_eq(rig.full, 100);
        ck_assert_uint_eq(rig.seen[0], drop == QUEUE_HEAD ? 2 : 0);
        rig_close(&rig);
    }
}
END_TEST

static Suite *suite_queue(void)
{
    Suite *suite = suite_create("queue");
    TCase *tcase = tcase_create("queue");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_first_drop);
    tcase_add_test(tcase, test_occupancy);
    tcase_add_test(tcase, test_limits);
    tcase_add_test(tcase, test_too_long);
    tcase_add_test(tcase, test_random_victim);
    tcase_add_test(tcase, test_thin_flow);
    tcase_add_test(tcase, test_shares);
    tcase_add_test(tcase, test_fresh_once);
    tcase_add_test(tcase, test_collisions);
    tcase_add_test(tcase, test_fat_flow);
    tcase_add_test(tcase, test_ecn);
    tcase_add_test(tcase, test_ecn_pie);
    tcase_add_test(tcase, test_change);
    tcase_add_test(tcase, test_purge);
    tcase_add_test(tcase, test_conservation);
    tcase_add_test(tcase, test_seed);
    tcase_add_test(tcase, test_most);
    suite_add_tcase(suite, tcase);
    return suite;
}
SUITE(queue)
