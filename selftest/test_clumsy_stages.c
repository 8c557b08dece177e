/* test_clumsy_stages: copies, late packets, changed places, spikes, what is matched and what is
 * not, super-frames, the log of decisions, and changes under way.
 */
#include "selftest/selftest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "apps/clumsy/swap.h"
#include "lib/random.h"
#include "selftest/clumsy_rig.h"
#include "lib/statistics.h"
#include "selftest/super_frame.h"

#define US 1000ull
#define MS 1000000ull
#define S  1000000000ull

/* --- copies ------------------------------------------------------------------------------- */

static uint64_t copies_of(const char *settings, uint64_t n, uint64_t seen[20])
{
    struct rig *rig = rig_pass(2, settings, n, US);
    uint8_t *times = calloc(n, 1);
    uint64_t wrong = 0;
    memset(seen, 0, 20 * sizeof(*seen));
    for (size_t i = 0; i < rig->count; i++) {
        times[rig->got[i].number]++;
        wrong += !rig->got[i].intact;
    }
    for (uint64_t i = 0; i < n; i++)
        seen[times[i] < 19 ? times[i] : 19]++;
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(rig_counter(rig, "duplicated"), rig->count - n);
    uint64_t extra = rig->count - n;
    free(times);
    rig_free(rig);
    return extra;
}

START_TEST(test_copies)
{
    enum { N = 20000 };
    uint64_t seen[20];
    struct region region = region_binomial(N, 0.1);
    ck_assert(region_contains(region, copies_of("duplicate=10%", N, seen)));
    ck_assert(!region_contains(region, copies_of("duplicate=5%", N, seen)));
    ck_assert(!region_contains(region, copies_of("duplicate=20%", N, seen)));
    ck_assert_uint_eq(copies_of("duplicate=0%", N, seen), 0);
    copies_of("duplicate.p=10% duplicate.copies=4", N, seen);
    ck_assert(region_contains(region, seen[5]));
    ck_assert_uint_eq(seen[1] + seen[5], N);
    ck_assert_uint_eq(copies_of("duplicate=100%", N, seen), N);
}
END_TEST

/* Copies of copies: each has one with probability d, so that n come with d^(n-1) (1-d). */
START_TEST(test_dup_dup)
{
    enum { N = 20000 };
    const double d = 0.2;
    uint64_t seen[20];
    copies_of("duplicate.p=20% duplicate.dup_dup=true", N, seen);
    ck_assert(region_contains(region_binomial(N, 1 - d), seen[1]));
    ck_assert(region_contains(region_binomial(N, d * (1 - d)), seen[2]));
    ck_assert(region_contains(region_binomial(N, d * d * (1 - d)), seen[3]));
    ck_assert(!region_contains(region_binomial(N, d), seen[2])); /* without */
    copies_of("duplicate.p=100% duplicate.dup_dup=true", 100, seen);
    ck_assert_uint_eq(seen[16], 100); /* and no more */
}
END_TEST

/* A copy comes so much later than it would, in the meantime others pass; its jitter is its own. */
START_TEST(test_copy_delay)
{
    struct rig *rig = rig_new(1, "duplicate.p=100% duplicate.delay=5ms owd=1ms");
    rig_send(rig, 100, 0);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + 2 * MS);
    rig_send(rig, 100, 0);
    rig_run(rig, RIG_START + S);
    static const uint64_t number[] = { 0, 1, 0, 1 }, ms[] = { 1, 3, 6, 8 };
    ck_assert_uint_eq(rig->count, 4);
    for (int i = 0; i < 4; i++)
        ck_assert(rig->got[i].number == number[i] &&
                  rig->got[i].timestamp == RIG_START + ms[i] * MS);
    rig_free(rig);

    enum { N = 2000 };
    static double delay[N][2];
    rig =
        rig_pass(1, "duplicate=100% owd=9ms jitter.half=5ms jitter.mode=reorder", N, US);
    memset(delay, 0, sizeof(delay));
    double x[N], y[N], products = 0;
    for (size_t i = 0; i < rig->count; i++) {
        uint64_t n = rig->got[i].number;
        double *at = &delay[n][delay[n][0] > 0];
        *at = (double)(rig->got[i].timestamp - RIG_START - n * US);
    }
    for (int i = 0; i < N;
         i++) { /* of which one came first nothing is known: take turns */
        x[i] = delay[i][i % 2] - 9e6;
        y[i] = delay[i][1 - i % 2] - 9e6;
        products += x[i] * y[i];
    }
    double correlation = products / N / deviation_of(x, N) / deviation_of(y, N);
    ck_assert_double_lt(fabs(correlation), 5 / sqrt(N));
    rig_free(rig);
}
END_TEST

/* --- changing places ---------------------------------------------------------------------- */

/* What arrived of flows that take turns, by flow. */
static uint64_t extents(struct rig *rig, uint32_t flows, uint64_t extent[4])
{
    uint64_t late = 0;
    memset(extent, 0, 4 * sizeof(*extent));
    for (size_t i = 0; i < rig->count; i++) {
        uint64_t before = 0, n = rig->got[i].number;
        for (size_t k = i; k-- > 0 && k + 60 > i;)
            before += rig->got[k].number > n && rig->got[k].number % flows == n % flows;
        extent[before < 3 ? before : 3]++;
        late += before > 0;
    }
    return late;
}

static struct rig *pass_flows(const char *settings, uint32_t flows, uint64_t n,
                              uint64_t spacing)
{
    struct rig *rig = rig_new(1, settings);
    for (uint64_t i = 0; i < n; i++) {
        struct made made = { .host = (uint8_t)(1 + i % flows), .payload = 20 };
        rig_run(rig, RIG_START + i * spacing);
        rig_send_made(rig, &made, 0);
        rig_breathe(rig, rig->engine->now);
    }
    rig_run(rig, rig->engine->now + S);
    ck_assert_uint_eq(rig->count, n);
    return rig;
}

/* Pairs within a flow change places, however many other flows are between: nobody is overtaken by
 * more than one of its own. Of packets that do not wait for each other already a share p does, and
 * each takes a partner along: p / (1 + p) of all. */
START_TEST(test_swap)
{
    enum { N = 20000 };
    static const char *const settings[] = {
        "reorder.p=10% reorder.mode=swap",
        "reorder.p=10% reorder.mode=swap owd=3ms",
        "reorder.p=10% reorder.mode=swap owd=3ms jitter.half=1ms",
        "reorder.p=10% reorder.mode=swap rate=1gbit queue.aqm=fq_codel",
    };
    struct rig *rig = pass_flows(settings[_i / 2], _i % 2 ? 7 : 1, N, 10 * US);
    uint64_t extent[4], late = extents(rig, _i % 2 ? 7 : 1, extent);
    struct region region = region_binomial(N, 0.1 / 1.1);
    ck_assert_uint_eq(extent[2] + extent[3], 0);
    ck_assert(region_contains(region, late));
    ck_assert(!region_contains(region_binomial(N, 0.05 / 1.05), late));
    ck_assert(!region_contains(region_binomial(N, 0.2 / 1.2), late));
    rig_free(rig);
}
END_TEST

/* All of one flow: 1 0 3 2 5 4, also when they come at once; none of a share of 0. */
START_TEST(test_swap_all)
{
    struct rig *rig = pass_flows("reorder.p=100% reorder.mode=swap", 1, 20, _i ? US : 0);
    for (size_t i = 0; i < 20; i++)
        ck_assert_uint_eq(rig->got[i].number, i ^ 1);
    ck_assert_uint_eq(rig_counter(rig, "reordered"), 10);
    rig_free(rig);
    rig = pass_flows("reorder.p=0% reorder.mode=swap", 3, 20, _i ? US : 0);
    for (size_t i = 0; i < 20; i++)
        ck_assert_uint_eq(rig->got[i].number, i);
    rig_free(rig);
    rig = rig_new(1, "reorder.p=100% reorder.mode=swap owd=1ms");
    for (int i = 0; i < 40; i++) {
        struct made made = { .host = (uint8_t)(1 + i % 2), .payload = 20 };
        rig_send_made(rig, &made, 0);
    }
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + 2 * MS);
    static const uint64_t order[] = { 2, 0, 3, 1 };
    for (size_t i = 0; i < 40; i++)
        ck_assert_uint_eq(rig->got[i].number, i / 4 * 4 + order[i % 4]);
    ck_assert_uint_eq(rig->got[39].timestamp, RIG_START + MS);
    rig_free(rig);
}
END_TEST

/* A lonely one waits for hold and leaves; what waits when the mode changes leaves too. */
START_TEST(test_swap_lonely)
{
    struct rig *rig =
        rig_new(1, "reorder.p=100% reorder.mode=swap reorder.hold=30ms owd=2ms");
    struct made one = { .host = 1, .payload = 20 }, two = { .host = 2, .payload = 20 };
    rig_send_made(rig, &one, 0);
    rig_breathe(rig, RIG_START);
    ck_assert_uint_eq(rig_counter(rig, "held"), 1);
    rig_set(rig, "owd=2ms");
    rig_run(rig, RIG_START + 10 * MS);
    rig_send_made(rig, &two, 0);
    rig_run(rig, RIG_START + S);
    ck_assert_uint_eq(rig->count, 2);
    ck_assert_uint_eq(rig->got[0].number, 1);
    ck_assert_uint_eq(rig->got[1].timestamp, RIG_START + 32 * MS);
    rig_set(rig, "reorder.p=100% reorder.mode=swap reorder.hold=30ms");
    rig_send_made(rig, &one, 0);
    rig_breathe(rig, rig->engine->now + MS);
    ck_assert_uint_eq(rig_counter(rig, "held"), 1);
    test_configure(rig->engine, graph_new()); /* and is freed with its owner */
    rig_free(rig);
}
END_TEST

/* Many flows at once: who is forgotten gives up, and comes out once all the same. */
START_TEST(test_swap_table)
{
    enum { FLOWS = 3 * SWAP_FLOWS };
    struct swap swap;
    static uint8_t out[FLOWS];
    uint64_t until, taken = 0, expired = 0, wrong = 0;
    memset(out, 0, sizeof(out));
    ck_assert(swap_init(&swap));
    ck_assert_uint_eq(swap_take(&swap, 1, 1), SWAP_NONE);
    for (uint32_t i = 0; i < FLOWS; i++)
        ck_assert(swap_hold(&swap, 7 + 1000003ull * i, i, 100 + i, i));
    const uint32_t last =
        FLOWS - 1; /* it is not forgotten; and waits for another, not itself */
    ck_assert(swap_has(&swap, 7 + 1000003ull * last));
    ck_assert_uint_eq(swap_take(&swap, 7 + 1000003ull * last, last), SWAP_NONE);
    ck_assert(swap_has(&swap, 7 + 1000003ull * last));
    for (uint32_t i = 0; i < FLOWS; i += 2) {
        uint32_t handle = swap_take(&swap, 7 + 1000003ull * i, FLOWS);
        wrong += handle != SWAP_NONE && handle != i;
        out[i] += handle != SWAP_NONE;
        taken += handle != SWAP_NONE;
    }
    for (uint32_t handle;
         (handle = swap_expired(&swap, UINT64_MAX - 1, &until)) != SWAP_NONE; expired++) {
        wrong += until != 100 + handle;
        out[handle]++;
    }
    for (uint32_t i = 0; i < FLOWS; i++)
        wrong += out[i] != 1;
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(taken + expired, FLOWS);
    ck_assert_uint_gt(taken, SWAP_FLOWS / 4);
    ck_assert_uint_eq(swap_next(&swap), UINT64_MAX);
    swap_free(&swap);
}
END_TEST

/* --- spikes, gaps ------------------------------------------------------------------------- */

/* A share p is so much later; those behind wait, and nobody overtakes. */
START_TEST(test_spike)
{
    enum { N = 20000 };
    struct region region = region_binomial(N, 0.02);
    static const char *const settings[] = { "owd=1ms spike.p=2% spike.add=3us",
                                            "owd=1ms spike.p=1% spike.add=3us",
                                            "owd=1ms spike.p=4% spike.add=3us",
                                            "owd=1ms" };
    for (int k = 0; k < 4; k++) {
        struct rig *rig = rig_pass(3, settings[k], N, 10 * US);
        uint64_t late = 0, wrong = 0;
        for (size_t i = 0; i < rig->count; i++) {
            uint64_t add = rig->got[i].timestamp - RIG_START - MS - i * 10 * US;
            late += add == 3 * US;
            wrong += rig->got[i].number != i || (add && add != 3 * US);
        }
        ck_assert_uint_eq(wrong, 0);
        ck_assert_int_eq(region_contains(region, late), k == 0);
        rig_free(rig);
    }
    struct rig *rig = rig_pass(3, "spike.p=100% spike.add=7ms", 100, US);
    for (size_t i = 0; i < 100; i++)
        ck_assert_uint_eq(rig->got[i].timestamp, RIG_START + i * US + 7 * MS);
    rig_free(rig);
}
END_TEST

/* --- match -------------------------------------------------------------------------------- */

/* Half of the packets are selected: the others lose nothing and are not delayed, and numbers of
 * packets count the selected ones alone. */
START_TEST(test_match)
{
    enum { N = 10000 };
    struct rig *rig = rig_new(1, "match=src~host~10.0.0.2 loss=20% owd=5ms corrupt.p=10% "
                                 "duplicate=10% truncate.to=50 truncate.p=10%");
    rig->keep = true;
    for (uint64_t i = 0; i < N; i++) {
        struct made made = { .host = (uint8_t)(1 + i % 2), .payload = 20 };
        rig_send_made(rig, &made, RIG_START + i);
        if (i % 500 == 499)
            rig_breathe(rig, RIG_START + i);
    }
    rig_run(rig, RIG_START + S);
    uint64_t others = 0, wrong = 0, next = 0;
    for (size_t i = 0; i < rig->count; i++) {
        const struct arrival *got = &rig->got[i];
        if (got->data[29] != 1)
            continue;
        struct made made = { .host = 1, .payload = 20, .number = got->number };
        uint8_t frame[FRAME_MOST];
        uint32_t length = frame_make(frame, &made);
        wrong += got->timestamp != RIG_START + got->number || got->seen > RIG_START + N ||
                 got->number != next || got->length != length ||
                 memcmp(frame, got->data, length);
        next += 2;
        others++;
    }
    ck_assert_uint_eq(others, N / 2);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(rig_counter(rig, "unmatched"), N / 2);
    uint64_t lost = rig_counter(rig, "drop_loss");
    ck_assert(region_contains(region_binomial(N / 2, 0.2), lost));
    ck_assert(!region_contains(region_binomial(N, 0.2), lost));
    rig_free(rig);
}
END_TEST

/* They meet times without a path, in order; and a bottleneck of several, not one of its own. */
START_TEST(test_match_meets)
{
    struct made made = { .payload = 100 };
    static const char *const settings[] = {
        "match=tcp down.at=10ms down.duration=10ms",
        "match=tcp down.at=10ms down.duration=10ms down.queue=hold",
        "match=tcp rate=1mbit",
        "match=tcp rate.rate=1136kbit rate.shared=dsl queue=1s",
        "match=tcp rate.rate=1136kbit rate.shared=dsl queue.aqm=codel queue.target=1s",
    };
    struct rig *rig = rig_new(1, settings[_i]);
    for (uint64_t i = 0; i < 30; i++) {
        rig_run(rig, RIG_START + i * MS);
        rig_send_made(rig, &made, 0); /* 142 bytes: 1 ms at that rate */
        rig_breathe(rig, rig->engine->now);
    }
    rig_run(rig, RIG_START + S);
    uint64_t wrong = 0, number = 0;
    for (size_t i = 0; i < rig->count; i++, number++) {
        if (_i == 0 && number == 10)
            number = 20;
        uint64_t ms = _i == 1 && number >= 10 && number < 20 ? 20 : number;
        wrong += rig->got[i].number != number ||
                 rig->got[i].timestamp != RIG_START + (ms + (_i > 2)) * MS;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(rig->count, _i ? 30 : 20);
    ck_assert_uint_eq(rig_counter(rig, "drop_down"), _i ? 0 : 10);
    ck_assert_uint_eq(rig_counter(rig, "reordered"), 0);
    rig_free(rig);
}
END_TEST

/* --- super-frames ------------------------------------------------------------------------- */

/* Every stage sees what is on the wire: each segment is lost, dropped, answered or counted by
 * itself. */
START_TEST(test_super_frame)
{
    static const struct {
        const char *settings, *counter;
        uint64_t value, arrive;
    } cases[] = {
        { "", "packets", 10, 10 },
        { "drop.every=5", "drop_pattern", 2, 8 },
        { "mtu.max=1039 mtu.icmp=true", "drop_mtu", 10, 0 },
        { "mtu.max=1040 mtu.icmp=true", "drop_mtu", 0, 10 },
        { "rate=8mbit queue.limit=3p", "drop_queue", 7, 3 },
        { "rst.p=100%", "resets", 10, 10 },
        { "corrupt.p=100% corrupt.where=payload corrupt.fix=all", "corrupted", 10, 10 },
        { "duplicate=100%", "duplicated", 10, 20 },
    };
    struct rig *rig = rig_new(1, cases[_i].settings);
    rig->keep = true;
    ck_assert(!packet_large_reserve(4, NULL));
    struct packet *p = packet_allocate_large();
    struct virtio_net_hdr vnet;
    p->length = (uint32_t)super_frame(p->data, false, 10000, 1000, &vnet);
    p->flags |= PACKET_CSUM_PARTIAL;
    p->gso_type = vnet.gso_type;
    p->gso_size = vnet.gso_size;
    p->csum_start = vnet.csum_start;
    p->csum_offset = vnet.csum_offset;
    test_inject(rig->engine, "a", p);
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + S);
    ck_assert_uint_eq(rig_counter(rig, cases[_i].counter), cases[_i].value);
    ck_assert_uint_eq(rig_counter(rig, "split"), 1);
    ck_assert_uint_eq(rig->count, cases[_i].arrive);
    for (size_t i = 0; i < rig->count; i++)
        ck_assert(rig->got[i].flags & PACKET_CSUM_PARTIAL ||
                  !frame_problem(rig->got[i].data, rig->got[i].length));
    for (size_t i = 0; i < rig->back_count; i++)
        ck_assert_ptr_null(frame_problem(rig->back[i].data, rig->back[i].length));
    rig_free(rig);
}
END_TEST

/* --- the log of decisions ----------------------------------------------------------------- */

static uint64_t logged(const char *path, const char *outcome)
{
    FILE *file = fopen(path, "r");
    char line[200], word[20];
    uint64_t count = 0;
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file))
        count += sscanf(line, "%*u %*u %*u %19s", word) == 1 && !strcmp(word, outcome);
    fclose(file);
    return count;
}

/* A line for each packet and copy, and as many of each outcome as are counted. */
START_TEST(test_decisions)
{
    static const char *const queues[] = { "rate=1mbit queue=10p",
                                          "rate=1mbit queue.limit=10p queue.drop=head" };
    char path[] = "/tmp/vanguard-decisions-XXXXXX", settings[300];
    close(mkstemp(path));
    snprintf(settings, sizeof(settings),
             "decisions=%s loss=20%% duplicate=20%% drop.every=9 mtu.max=100 owd=1ms "
             "down.at=50us down.duration=20us %s",
             path, queues[_i]);
    struct rig *rig = rig_new(1, settings);
    for (uint64_t i = 0; i < 400; i++) {
        struct made made = { .payload = i % 5 ? 30 : 90 };
        rig_run(rig, RIG_START + i * 200 * US / (1 + i % 2));
        rig_send_made(rig, &made, 0);
        rig_breathe(rig, rig->engine->now);
    }
    rig_run(rig, rig->engine->now + S);
    rig_set(rig, ""); /* closes it */
    static const char *const outcomes[][2] = {
        { "pass", "delivered" }, { "loss", "drop_loss" }, { "drop", "drop_pattern" },
        { "down", "drop_down" }, { "mtu", "drop_mtu" },   { "queue", "drop_queue" }
    };
    for (int i = 0; i < 6; i++) {
        ck_assert_uint_eq(logged(path, outcomes[i][0]), rig_counter(rig, outcomes[i][1]));
        ck_assert_msg(i == 3 || rig_counter(rig, outcomes[i][1]) > 0, "%s",
                      outcomes[i][0]);
    }
    ck_assert_uint_eq(rig_counter(rig, "delivered"), rig->count);
    rig_free(rig);
    unlink(path);
}
END_TEST

/* --- changes under way -------------------------------------------------------------------- */

/* Any parameter may become any other while packets are on their way. All is accounted for, nothing
 * leaks, and what is in order stays so. */
START_TEST(test_any_change)
{
    static const char *const parts[] = {
        "owd=3ms ",
        "jitter.half=1ms ",
        "spike.p=3% spike.add=1ms ",
        "loss.p=10% loss.burst=3 ",
        "drop.every=9 ",
        "duplicate.p=20% ",
        "corrupt.p=9% corrupt.where=payload ",
        "truncate.to=70 truncate.p=9% ",
        "rst.p=9% ",
        "mtu.max=900 mtu.icmp=true ",
        "rate=20mbit queue=3ms ",
        "slot.min=1ms slot.max=2ms slot.packets=9 ",
        "down.period=20ms down.off=4ms down.queue=hold ",
        "key=content ",
        "loss.at=exit ",
    };
    enum { PARTS = sizeof(parts) / sizeof(parts[0]) };
    struct random_key key = random_key(statistics_seed(6), "change", "");
    struct rig *rig = rig_new(7, "");
    rig->keep = true;
    uint64_t draw = 0, backwards = 0, latest[3] = { 0 };
    for (int round = 0; round < 300; round++) {
        char settings[600] = "";
        uint64_t choice = random_draw(&key, draw++);
        for (int i = 0; i < PARTS; i++)
            if (choice >> i & 1)
                strcat(settings, parts[i]);
        rig_set(rig, settings);
        for (int i = 0; i < 30; i++) {
            uint64_t dice = random_draw(&key, draw++);
            struct made made = { .protocol = dice & 1 ? IS_TCP : IS_UDP,
                                 .flags = IS_ACK,
                                 .host = (uint8_t)(1 + (dice >> 8 & 1)),
                                 .payload = 10 + (uint32_t)(dice >> 16) % 1400 };
            rig_send_made(rig, &made, 0);
            if (i % 5 == 4)
                rig_breathe(rig, rig->engine->now + (dice >> 32) % MS);
        }
        rig_check(rig);
    }
    rig_set(rig, "");
    rig_run(rig, rig->engine->now + S);
    ck_assert_uint_eq(rig_counter(rig, "held"), 0);
    for (size_t i = 0; i < rig->count; i++) {
        const struct arrival *got = &rig->got[i];
        struct look look = frame_look(got->data, got->length);
        if (got->length < look.payload + 8 || frame_problem(got->data, got->length))
            continue; /* cut off, a reset, or damaged */
        uint8_t host = got->data[29] - 1;
        backwards += got->timestamp > got->seen || got->number < latest[host];
        latest[host] = got->number > latest[host] ? got->number : latest[host];
    }
    ck_assert_uint_eq(backwards, 0);
    ck_assert_uint_gt(rig->count, 2000);
    rig_free(rig);
}
END_TEST

static Suite *suite_clumsy_stages(void)
{
    Suite *suite = suite_create("clumsy_stages");
    TCase *copies = tcase_create("copies");
    tcase_set_timeout(copies, 60); /* sanitizers on a slow machine */
    tcase_add_test(copies, test_copies);
    tcase_add_test(copies, test_dup_dup);
    tcase_add_test(copies, test_copy_delay);
    tcase_add_test(copies, test_spike);
    suite_add_tcase(suite, copies);
    TCase *swap = tcase_create("swap");
    tcase_set_timeout(swap, 60);
    tcase_add_loop_test(swap, test_swap, 0, 8);
    tcase_add_loop_test(swap, test_swap_all, 0, 2);
    tcase_add_test(swap, test_swap_lonely);
    tcase_add_test(swap, test_swap_table);
    suite_add_tcase(suite, swap);
    TCase *match = tcase_create("match");
    tcase_set_timeout(match, 60);
    tcase_add_test(match, test_match);
    tcase_add_loop_test(match, test_match_meets, 0, 5);
    tcase_add_loop_test(match, test_super_frame, 0, 8);
    tcase_add_loop_test(match, test_decisions, 0, 2);
    tcase_add_test(match, test_any_change);
    suite_add_tcase(suite, match);
    return suite;
}

SUITE(clumsy_stages)
