/* FlowSentinel among the honest: who stays below the limits is left alone, however close; and
 * how soon people know of who does not.
 *
 * A site with limits of its own, and what it lives on at 70 to 85 % of them: a download, short
 * connections of many, two crowds each behind one address (NAT, and a /64), a resolver's answers,
 * QUIC, fragments, monitoring. Arrivals are a Poisson process of a fixed seed (SELFTEST_SEED=n:
 * another), time is the engine's. SENTINEL_SECONDS=n: so many, instead of 60; 3600 takes half a minute.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/apps.h"
#include "lib/random.h"
#include "lib/statistics.h"
#include "selftest/frame_maker.h"
#include "selftest/selftest.h"
#include "selftest/sentinel_rig.h"
#include "selftest/support.h"

#define MS       1000000ull
#define SEC      1000000000ull
#define SERVER   "192.0.2.1"
#define SERVER6  "2001:db8::1"
#define ATTACKER "198.51.100.66"

static const char limits[] =
    "src_syn.pps=400 src_syn.burst=200 src_udp=2000 src_icmp.pps=100 src_icmp.burst=50 "
    "src_pps.pps=2400 src_bps=20mbit src_flags.pps=1000 src_malformed.pps=20 "
    "dst_syn_pps=1200 dst_syn_hard_pps=2400 dst_udp_pps=2700 dst_icmp_pps=130 "
    "dst_frag_pps=200 ampl_dst_pps=400 ampl_dst_bps=4mbit anomaly_floor=500";

/* --- who is there ------------------------------------------------------------------------- */

struct site;

struct stream {
    double rate; /* bursts a second */
    void (*burst)(struct site *site, struct stream *stream);
    struct rig_frame frame;
    uint64_t sent; /* bursts */
    double next;   /* ns */
};

struct site {
    struct engine *engine;
    struct random_key random;
    uint64_t draws, frames;
    double load; /* times what is usual */
    uint64_t honest, honest_passed, attacked, attacks_passed;
    struct stream streams[16], attack;
    int nstreams;
};

static double draw(struct site *site)
{
    return random_unit(&site->random, site->draws++);
}

static void inject(struct site *site, const struct rig_frame *frame)
{
    test_inject_bytes(site->engine, "in", frame->data, frame->length);
    site->frames++;
}

/* Where the source, its port and TCP's flags are. */
static uint8_t *address(struct rig_frame *frame)
{
    return frame->data + (frame->data[12] == 8 ? 26 : 22);
}

static uint8_t *port(struct rig_frame *frame)
{
    return frame->data + (frame->data[12] == 8 ? 34 : 54);
}

static void alone(struct site *site, struct stream *s)
{
    inject(site, &s->frame);
}

/* As many segments as a sender's window lets go at once. */
static void train(struct site *site, struct stream *s)
{
    for (int i = 0; i < 8; i++)
        inject(site, &s->frame);
}

static void segment(struct site *site, struct stream *s, uint64_t connection,
                    uint8_t flags)
{
    struct rig_frame frame = s->frame;
    uint16_t from = (uint16_t)(1024 + connection % 60000);
    uint8_t *at = port(&frame);
    at[0] = (uint8_t)(from >> 8);
    at[1] = (uint8_t)from;
    at[13] = flags;
    inject(site, &frame);
}

/* A connection begins, and those before it go on: ACK, data, FIN. */
static void connections(struct site *site, struct stream *s)
{
    segment(site, s, s->sent, IS_SYN);
    if (s->sent >= 10) {
        segment(site, s, s->sent - 7, IS_ACK);
        segment(site, s, s->sent - 8, IS_PSH | IS_ACK);
        segment(site, s, s->sent - 10, IS_FIN | IS_ACK);
    }
}

/* The same of another client each time, of 5,000. */
static void visitors(struct site *site, struct stream *s)
{
    uint64_t now = s->sent;
    for (int i = 0; i < 3; i++) {
        static const uint8_t flags[] = { IS_SYN, IS_ACK, IS_FIN | IS_ACK };
        static const uint64_t before[] = { 0, 7, 10 };
        uint64_t client = (now - before[i]) % 5000;
        address(&s->frame)[2] = (uint8_t)(client >> 8);
        address(&s->frame)[3] = (uint8_t)client;
        if (now >= before[i])
            segment(site, s, now - before[i], flags[i]);
    }
}

/* Somebody else in the same /64 each time. */
static void household(struct site *site, struct stream *s)
{
    address(&s->frame)[15] = (uint8_t)(s->sent / 16);
    connections(site, s);
}

static struct stream *add(struct site *site, double rate,
                          void (*burst)(struct site *site, struct stream *stream),
                          struct rig_frame frame)
{
    struct stream *s = &site->streams[site->nstreams++];
    *s = (struct stream){ .rate = rate, .burst = burst, .frame = frame };
    return s;
}

static void populate(struct site *site)
{
    add(site, 170, train, rig_tcp("198.51.100.1", SERVER, 443, 40000, 0x18, 1460));
    add(site, 340, visitors, rig_tcp("203.0.0.0", SERVER, 0, 443, 0, 0));
    add(site, 340, connections, rig_tcp("198.51.100.2", SERVER, 0, 443, 0, 0));
    add(site, 340, household, rig_tcp("2001:db8:7:7::", SERVER6, 0, 443, 0, 0));
    add(site, 1700, alone, rig_udp("198.51.100.3", SERVER, 443, 40000, 1208));
    struct stream *dns =
        add(site, 300, alone, rig_udp("198.51.100.4", SERVER, 53, 40000, 700));
    dns->frame.data[44] = 0x80; /* an answer */
    add(site, 85, alone, rig_icmp("198.51.100.5", SERVER, 8, 0, 56));
    struct stream *rest =
        add(site, 140, alone, rig_udp("198.51.100.6", SERVER, 1, 1, 800));
    rest->frame.data[21] = 100; /* a fragment that is not the first */
    site->attack =
        (struct stream){ .burst = alone,
                         .frame = rig_tcp(ATTACKER, SERVER, 1024, 80, IS_SYN, 0) };
}

/* --- a run ---------------------------------------------------------------------------------- */

static void open_site(struct site *site, double load, const char *settings)
{
    char copy[640], *save = NULL;
    struct graph *graph = graph_new();
    *site = (struct site){ .engine = test_engine(1), .load = load };
    site->random = random_key(statistics_seed(20), "benign", "arrivals");
    test_app(graph, "in", "Inject", NULL);
    test_app(graph, "guard", "FlowSentinel", "max_static", "1024", "max_blocks", "1024",
             "protect", SERVER, NULL);
    test_app(graph, "out", "Collect", NULL);
    snprintf(copy, sizeof(copy), "%s", settings);
    for (char *word = strtok_r(copy, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        struct error err;
        char *text = strchr(word, '=');
        *text++ = 0;
        struct value value = value_string(text);
        ck_assert_msg(!graph_set_param(graph, "guard", word, &value, &err), "%s",
                      err.text);
        value_free(&value);
    }
    test_link(graph, "in -> guard");
    test_link(graph, "guard -> out");
    test_configure(site->engine, graph);
    populate(site);
}

static void close_site(struct site *site)
{
    engine_free(site->engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}

static void run_stream(struct site *site, struct stream *s, double rate, uint64_t now)
{
    if (!s->next)
        s->next = (double)now;
    for (; s->next <= (double)now; s->sent++) {
        s->burst(site, s);
        s->next -= log1p(-draw(site)) / rate * SEC;
    }
}

static uint64_t of_attacker(const struct site *site, struct packet *const *packets,
                            size_t count)
{
    uint64_t found = 0;
    const uint8_t *source = site->attack.frame.data + 26;
    for (size_t i = 0; i < count; i++)
        found += packets[i]->data[12] == 8 && packets[i]->data[13] == 0 &&
                 !memcmp(packets[i]->data + 26, source, 4);
    return found;
}

/* A millisecond. */
static void step(struct site *site)
{
    uint64_t now = engine_now(site->engine), before = site->frames;
    for (int i = 0; i < site->nstreams; i++)
        run_stream(site, &site->streams[i], site->streams[i].rate * site->load, now);
    site->honest += site->frames - before;
    before = site->frames;
    if (site->attack.rate > 0)
        run_stream(site, &site->attack, site->attack.rate, now);
    site->attacked += site->frames - before;
    test_breathe(site->engine, 1);
    size_t count;
    struct packet **packets = test_collected(site->engine, "out", &count);
    uint64_t attacks = of_attacker(site, packets, count);
    site->attacks_passed += attacks;
    site->honest_passed += count - attacks;
    test_collect_clear(site->engine, "out");
    engine_set_time(site->engine, now + MS);
}

static void run(struct site *site, double seconds)
{
    for (uint64_t i = 0; i < (uint64_t)(1000 * seconds); i++)
        step(site);
}

static struct value ask(struct site *site, const char *operation)
{
    struct app *app = engine_find_app(site->engine, "guard");
    struct value args = value_table(), answer = { VALUE_NIL };
    struct error err = { 0 };
    uint32_t number = 0;
    while (strcmp(app->class->operations[number].name, operation))
        number++;
    ck_assert_msg(!app->class->call(app, number, &args, &answer, &err), "%s", err.text);
    value_free(&args);
    return answer;
}

static const char *word(const struct value *row, const char *name)
{
    const struct value *value = value_get(row, name);
    return value && value->kind == VALUE_STRING ? value->string : "-";
}

/* How many of them; those that were not expected, by whom, fail the test. */
static size_t rows_of(struct site *site, const char *operation, const char *source)
{
    struct value rows = ask(site, operation);
    size_t count = rows.table->count;
    for (size_t i = 0; i < count; i++) {
        const struct value *row = &rows.table->fields[i].value;
        const char *who = word(row, strcmp(operation, "list") ? "source" : "address");
        ck_assert_msg(source && !strcmp(who, source), "%s: %s %s %s %s after %lu ms",
                      operation, word(row, "event"), word(row, "detection"), who,
                      word(row, "destination"),
                      (unsigned long)(engine_now(site->engine) / MS));
    }
    value_free(&rows);
    return count;
}

static double seconds(void)
{
    const char *wanted = getenv("SENTINEL_SECONDS");
    return wanted ? strtod(wanted, NULL) : 60;
}

/* --- tests ------------------------------------------------------------------------------------ */

/* From half of what is usual to all of it and back, several times. */
START_TEST(the_honest_are_left_alone)
{
    struct site site;
    open_site(&site, 1, limits);
    for (double second = 0; second < seconds(); second++) {
        site.load = 0.75 - 0.25 * cos(second / 30);
        run(&site, 1);
        ck_assert_uint_eq(site.honest_passed, site.honest);
        ck_assert_uint_eq(rows_of(&site, "news", NULL), 0);
    }
    ck_assert_uint_eq(rows_of(&site, "list", NULL), 0);
    ck_assert_uint_gt(site.honest, (uint64_t)(4000 * seconds()));
    close_site(&site);
}
END_TEST

/* The control: the limits are near. Each of them meets somebody at half as much again. */
START_TEST(the_limits_are_near)
{
    static const char *const names[] = { "drop_src_syn",      "drop_src_udp",
                                         "drop_src_icmp",     "drop_src_bps",
                                         "drop_blocked",      "drop_frag_flood",
                                         "drop_amplification" };
    struct site site;
    open_site(&site, 1.5, limits);
    run(&site, 10);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        ck_assert_msg(test_counter(site.engine, "guard", names[i]) > 0, "%s", names[i]);
    close_site(&site);
}
END_TEST

/* One attacker amid them: he is blocked, and nobody but he. */
START_TEST(only_the_attacker_is_blocked)
{
    struct site site;
    open_site(&site, 0.9, limits);
    run(&site, 10);
    ck_assert_uint_eq(rows_of(&site, "news", NULL), 0);
    site.attack.rate = 4000;
    run(&site, 20);
    ck_assert_uint_ge(rows_of(&site, "news", ATTACKER), 1);
    ck_assert_uint_eq(rows_of(&site, "list", ATTACKER), 1);
    ck_assert_uint_eq(site.honest_passed, site.honest);
    ck_assert_uint_ge(site.attacked, 4000 * 19);
    ck_assert_uint_le(site.attacks_passed, 400);
    close_site(&site);
}
END_TEST

/* --- how soon ----------------------------------------------------------------------------------- */

#define TIMES 120

/* Is there news of this event, and in that state? */
static bool is_told(struct site *site, const char *event, const char *state)
{
    struct value rows = ask(site, "news");
    bool found = false;
    for (size_t i = 0; i < rows.table->count; i++) {
        const struct value *row = &rows.table->fields[i].value;
        found |= !strcmp(word(row, "event"), event) && !strcmp(word(row, "state"), state);
    }
    value_free(&rows);
    return found;
}

/* From the first frame of a source that is dropped until vanguard sentinel, which asks every
 * 50 ms, is told of the block; at another phase each time. */
START_TEST(a_block_is_seen_at_once)
{
    struct site site;
    uint64_t worst = 0;
    open_site(&site, 0.5, "src_syn.pps=400 src_syn.burst=200 dst_syn_hard_pps=0");
    site.attack.rate = 4000;
    for (int i = 0; i < TIMES; i++) {
        uint64_t dropped = site.attacked - site.attacks_passed, since;
        address(&site.attack.frame)[3] = (uint8_t)(66 + i);
        while (site.attacked - site.attacks_passed == dropped)
            step(&site);
        since = engine_now(site.engine) - MS;
        while (engine_now(site.engine) % (50 * MS) || !is_told(&site, "block", "-"))
            step(&site);
        uint64_t late = engine_now(site.engine) - since;
        worst = late > worst ? late : worst;
        run(&site, draw(&site) / 10);
        is_told(&site, "", "");
    }
    ck_assert_uint_ge(worst, 25 * MS); /* it is measured */
    ck_assert_uint_le(worst, 100 * MS);
    close_site(&site);
}
END_TEST

static void forged(struct site *site, struct stream *s)
{
    uint32_t source = (uint32_t)(draw(site) * 0x1000000);
    memcpy(address(&s->frame) + 1, &source, 3);
    inject(site, &s->frame);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* From the first frame of a flood of ten times the limit until something is done, and told of. */
START_TEST(a_flood_is_met_in_time)
{
    struct site site;
    uint64_t late[TIMES];
    open_site(&site, 0,
              "dst_syn_pps=200 ampl_dst_pps=200 sustain=0 dst_exit_hold=1s "
              "anomaly_factor=0");
    site.nstreams = 0;
    site.attack.frame = _i ? rig_udp("11.0.0.1", SERVER, 53, 40000, 700)
                           : rig_tcp("11.0.0.1", SERVER, 1024, 80, IS_SYN, 0);
    site.attack.frame.data[44] |= _i ? 0x80 : 0;
    site.attack.burst = forged;
    for (int i = 0; i < TIMES; i++) {
        site.attack.rate = 2000;
        site.attack.next = 0;
        uint64_t since = engine_now(site.engine);
        while (!is_told(&site, "state", "mitigate"))
            step(&site);
        late[i] = engine_now(site.engine) - since;
        site.attack.rate = 0;
        run(&site, 3.5 + draw(&site) / 10);
        ck_assert(is_told(&site, "state", "normal"));
    }
    qsort(late, TIMES, sizeof(*late), by_size);
    ck_assert_uint_ge(late[0], 90 * MS);
    ck_assert_uint_le(late[TIMES * 99 / 100], 300 * MS);
    close_site(&site);
}
END_TEST

static Suite *suite_sentinel_benign(void)
{
    Suite *suite = suite_create("sentinel_benign");
    TCase *tcase = tcase_create("sentinel_benign");
    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, the_honest_are_left_alone);
    tcase_add_test(tcase, the_limits_are_near);
    tcase_add_test(tcase, only_the_attacker_is_blocked);
    tcase_add_test(tcase, a_block_is_seen_at_once);
    tcase_add_loop_test(tcase, a_flood_is_met_in_time, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(sentinel_benign)
