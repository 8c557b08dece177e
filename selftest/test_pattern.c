/* test_pattern: packets that Clumsy drops by number or by what they are, and what a packet is
 * known by. Equalities, no statistics.
 */
#include "selftest/selftest.h"

#include <stdlib.h>

#include "lib/frame.h"
#include "lib/random.h"
#include "selftest/clumsy_rig.h"
#include "lib/statistics.h"

#define US 1000ull

static struct rig *keeping(const char *settings)
{
    struct rig *rig = rig_new(1, settings);
    rig->keep = true;
    return rig;
}

/* The numbers, from 1, of n packets that did not come. */
static void check_dropped(const char *settings, uint64_t n,
                          bool (*drops)(uint64_t number))
{
    struct rig *rig = rig_pass(1, settings, n, US);
    uint64_t wrong = 0, dropped = 0;
    size_t at = 0;
    for (uint64_t number = 1; number <= n; number++) {
        bool came = at < rig->count && rig->got[at].number == number - 1;
        at += came;
        wrong += came == drops(number);
        dropped += drops(number);
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(rig_counter(rig, "drop_pattern"), dropped);
    rig_free(rig);
}

static bool none(uint64_t n)
{
    return false;
}

static bool every_7(uint64_t n)
{
    return n % 7 == 0;
}

static bool listed(uint64_t n)
{
    return n == 1 || n == 3 || n == 17;
}

static bool in_range(uint64_t n)
{
    return n >= 5 && n <= 9;
}

static bool among_first(uint64_t n)
{
    return n <= 4;
}

static bool several(uint64_t n)
{
    return n <= 2 || (n >= 4 && n <= 8) || n == 6 || n == 30 || n % 50 == 0;
}

START_TEST(test_numbers)
{
    check_dropped("", 200, none);
    check_dropped("drop.every=7", 1000, every_7); /* floor(N/n) */
    check_dropped("drop.list=17,3,1", 100, listed);
    check_dropped("drop.range=5,9", 100, in_range);
    check_dropped("drop.first=4", 100, among_first);
    check_dropped("drop.first=2 drop.range=4,8 drop.list=30,6 drop.every=50", 200,
                  several);
}
END_TEST

/* Packets are counted over a change of parameters. */
START_TEST(test_numbers_go_on)
{
    struct rig *rig = rig_new(1, "drop.every=10");
    for (int i = 0; i < 20; i++) {
        rig_set(rig, i % 2 ? "drop.every=10 owd=1us" : "drop.every=10");
        rig_send_many(rig, 7);
        rig_breathe(rig, rig->engine->now + 10 * US);
    }
    rig_run(rig, rig->engine->now + 10 * US);
    uint64_t wrong = 0;
    for (size_t i = 0; i < rig->count; i++)
        wrong += rig->got[i].number != i + i / 9;
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(rig->count, 126);
    rig_free(rig);
}
END_TEST

/* --- kinds -------------------------------------------------------------------------------- */

enum {
    DNS_ANSWER = 1,
    DNS_QUESTION,
    QUIC_1,
    QUIC_2,
    QUIC_HANDSHAKE,
    QUIC_SHORT,
    QUIC_ZERO
};

static const struct {
    struct made made;
    int body;
    const char *kind; /* by which it is dropped */
} kinds[] = {
    { { .protocol = IS_TCP, .flags = IS_SYN }, 0, "syn" },
    { { .protocol = IS_TCP, .flags = IS_SYN | 0xc0 }, 0, "syn" }, /* with ECN */
    { { .protocol = IS_TCP, .flags = IS_SYN | IS_ACK, .v6 = true }, 0, "synack" },
    { { .protocol = IS_TCP, .flags = IS_FIN | IS_ACK, .tags = 1 }, 0, "fin" },
    { { .protocol = IS_TCP, .flags = IS_ACK, .payload = 50 }, 0, "" },
    { { .protocol = IS_TCP, .flags = IS_RST }, 0, "" },
    { { .from = 53, .payload = 40 }, DNS_ANSWER, "dns_response" },
    { { .from = 53, .payload = 40, .v6 = true }, DNS_ANSWER, "dns_response" },
    { { .from = 53, .payload = 40 }, DNS_QUESTION, "" },
    { { .to = 53, .payload = 40 }, DNS_ANSWER, "" },
    { { .from = 53, .payload = 11 }, DNS_ANSWER, "" },
    { { .to = 443, .payload = 1200 }, QUIC_1, "quic_initial" },
    { { .to = 443, .payload = 1200, .v6 = true }, QUIC_2, "quic_initial" },
    { { .to = 443, .payload = 1200 }, QUIC_HANDSHAKE, "" },
    { { .to = 443, .payload = 1200 }, QUIC_SHORT, "" },
    { { .to = 443, .payload = 1200 }, QUIC_ZERO, "" },
    { { .to = 443, .payload = 6 }, QUIC_1, "" },
    { { .protocol = IS_ICMP, .payload = 40 }, 0, "" },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void write_body(uint8_t *at, int body)
{
    static const uint8_t starts[][5] = {
        [DNS_ANSWER] = { 0, 1, 0x81, 0x80 },
        [DNS_QUESTION] = { 0, 1, 0x01, 0x00 },
        [QUIC_1] = { 0xc3, 0, 0, 0, 1 },
        [QUIC_2] = { 0xd3, 0x6b, 0x33, 0x43, 0xcf },
        [QUIC_HANDSHAKE] = { 0xe3, 0, 0, 0, 1 },
        [QUIC_SHORT] = { 0x43, 0, 0, 0, 1 },
        [QUIC_ZERO] = { 0xc3, 0, 0, 0, 0 },
    };
    if (body)
        memcpy(at, starts[body], 5);
}

START_TEST(test_kinds)
{
    static const char *const names[] = { "syn", "synack", "fin", "dns_response",
                                         "quic_initial" };
    char settings[64];
    snprintf(settings, sizeof(settings), "drop.%s=true", names[_i]);
    for (int i = 0; i < KINDS; i++) {
        struct rig *rig = rig_new(1, settings);
        uint8_t frame[FRAME_MOST];
        uint32_t length = frame_make(frame, &kinds[i].made);
        write_body(frame + frame_look(frame, length).payload, kinds[i].body);
        test_inject_bytes(rig->engine, "a", frame, length);
        rig_breathe(rig, RIG_START);
        ck_assert_msg((rig->count == 0) == !strcmp(kinds[i].kind, names[_i]),
                      "frame %d, %s", i, names[_i]);
        rig_free(rig);
    }
}
END_TEST

/* A number counts those of the kind; a filter chooses among them. */
START_TEST(test_first_of_a_kind)
{
    struct rig *rig = keeping("drop.synack=true drop.first=1");
    struct made data = { .protocol = IS_TCP, .flags = IS_ACK, .payload = 9 },
                synack = data;
    synack.flags = IS_SYN | IS_ACK;
    struct made sent[] = { data, synack, data, synack };
    for (int i = 0; i < 4; i++)
        rig_send_made(rig, &sent[i], 0);
    rig_breathe(rig, RIG_START);
    ck_assert_uint_eq(rig->count, 3);
    ck_assert_uint_eq(rig->got[2].number, 3);
    ck_assert_uint_eq(rig->got[1].number, 2);
    rig_free(rig);

    rig = keeping("drop.filter=src~host~10.0.0.2 drop.every=2");
    for (int i = 0; i < 12; i++) {
        struct made made = { .host = (uint8_t)(1 + i % 2), .payload = 20 };
        rig_send_made(rig, &made, 0);
    }
    rig_breathe(rig, RIG_START);
    static const uint64_t left[] = { 0, 1, 2, 4, 5, 6, 8, 9, 10 };
    ck_assert_uint_eq(rig->count, 9);
    for (int i = 0; i < 9; i++)
        ck_assert_uint_eq(rig->got[i].number, left[i]);
    rig_free(rig);
}
END_TEST

/* The segment with byte 1000 of each stream, and its next two retransmissions, however it is cut;
 * over the end of the sequence numbers; and again for the next connection. */
START_TEST(test_stream)
{
    static const struct {
        uint8_t host;
        uint32_t seq, payload;
        bool syn, dropped;
    } steps[] = {
        { 1, 5000, 0, true, false },     { 2, 0xfffffff0, 0, true, false },
        { 1, 5001, 999, false, false },  { 1, 6000, 1, false, true },
        { 1, 6001, 500, false, false },  { 2, 900, 200, false, true },
        { 1, 5990, 500, false, true },   { 1, 6000, 500, false, true },
        { 1, 6000, 500, false, false },  { 3, 6000, 500, false, false },
        { 2, 900, 200, false, true },    { 1, 77000, 0, true, false },
        { 1, 77001, 999, false, false }, { 1, 78000, 10, false, true },
    };
    struct rig *rig = keeping("drop.tcp.byte=1000 drop.tcp.retransmits=2");
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct made made = { .protocol = IS_TCP,
                             .host = steps[i].host,
                             .seq = steps[i].seq,
                             .payload = steps[i].payload,
                             .flags = steps[i].syn ? IS_SYN : IS_ACK };
        size_t before = rig->count;
        rig_send_made(rig, &made, 0);
        rig_breathe(rig, rig->engine->now);
        ck_assert_msg((rig->count == before) == steps[i].dropped, "step %zu", i);
    }
    rig_free(rig);
}
END_TEST

/* --- identity ----------------------------------------------------------------------------- */

enum { FLOWS = 5, OF_A_FLOW = 200, ALL = FLOWS * OF_A_FLOW };

/* Sends packets of several flows in the order that next() gives, and notes which came; each
 * packet `times` times in all. */
static void survivors(const char *settings, const uint32_t *order, bool *came)
{
    struct rig *rig = keeping(settings);
    uint32_t next[FLOWS] = { 0 };
    for (uint32_t i = 0; i < ALL; i++) {
        uint32_t flow = order[i];
        struct made made = { .protocol = flow % 2 ? IS_TCP : IS_UDP,
                             .v6 = flow == 2,
                             .host = (uint8_t)(flow + 1),
                             .seq = next[flow],
                             .flags = IS_ACK,
                             .payload = 20 };
        made.number = flow * OF_A_FLOW + next[flow]++;
        uint8_t frame[FRAME_MOST];
        test_inject_bytes(rig->engine, "a", frame, frame_make(frame, &made));
    }
    rig->made = true;
    rig_breathe(rig, RIG_START);
    rig_run(rig, RIG_START + 1000000);
    memset(came, 0, ALL);
    for (size_t i = 0; i < rig->count; i++)
        came[rig->got[i].number] = true;
    rig_free(rig);
}

/* One flow after another, and all mixed. */
static void make_orders(uint32_t *serial, uint32_t *mixed)
{
    struct random_key key = random_key(statistics_seed(9), "order", "");
    for (uint32_t i = 0; i < ALL; i++)
        serial[i] = mixed[i] = i / OF_A_FLOW;
    for (uint32_t i = ALL; i-- > 1;) {
        uint32_t k = (uint32_t)(random_draw(&key, i) % (i + 1)), other = mixed[k];
        mixed[k] = mixed[i];
        mixed[i] = other;
    }
}

/* By flow and by content, the same packets are lost whatever is between them; by index, others
 * are. */
START_TEST(test_interleaving)
{
    static const char *const settings[] = { "loss=40% key=flow", "loss=40% key=content",
                                            "loss=40% key=index" };
    static uint32_t serial[ALL], mixed[ALL];
    static bool one[ALL], two[ALL];
    make_orders(serial, mixed);
    for (int k = 0; k < 3; k++) {
        uint64_t lost = 0, different = 0;
        survivors(settings[k], serial, one);
        survivors(settings[k], mixed, two);
        for (int i = 0; i < ALL; i++) {
            lost += !one[i];
            different += one[i] != two[i];
        }
        ck_assert(region_contains(region_binomial(ALL, 0.4), lost));
        if (k < 2)
            ck_assert_uint_eq(different, 0);
        else
            ck_assert_uint_gt(different, ALL / 4);
    }
}
END_TEST

/* What makes no difference to a content: hops, marks, MAC addresses, identification, checksums;
 * what does: data, ports, addresses. */
START_TEST(test_content)
{
    static const struct {
        uint32_t at; /* byte of an IPv4 UDP frame */
        bool same;
    } cases[] = {
        { 0, true },   { 6, true },   { 15, true },  { 18, true },  { 22, true },
        { 24, true },  { 40, true },  { 26, false }, { 33, false }, { 34, false },
        { 37, false }, { 42, false }, { 61, false },
    };
    uint8_t frame[FRAME_MOST];
    struct made made = { .payload = 20 };
    uint32_t length = frame_make(frame, &made);
    struct frame parsed;
    frame_parse(&parsed, frame, length);
    uint64_t content = frame_content(&parsed), flow = frame_flow(&parsed);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        frame[cases[i].at] ^= 0x20;
        frame_parse(&parsed, frame, length);
        ck_assert_msg((frame_content(&parsed) == content) == cases[i].same, "byte %u",
                      cases[i].at);
        bool addresses = cases[i].at >= 26 && cases[i].at < 38;
        ck_assert_msg((frame_flow(&parsed) == flow) == !addresses, "flow, byte %u",
                      cases[i].at);
        frame[cases[i].at] ^= 0x20;
    }
    frame[length] = 1; /* padding */
    frame_parse(&parsed, frame, length + 1);
    ck_assert_uint_eq(frame_content(&parsed), content);
}
END_TEST

/* A retransmission draws anew: each time half of them are lost, independently. */
START_TEST(test_retransmission)
{
    enum { N = 2000, TIMES = 4 };
    struct rig *rig = keeping("loss=50% key=content");
    static uint8_t came[N];
    uint64_t seen[TIMES + 1] = { 0 };
    memset(came, 0, sizeof(came));
    for (int time = 0; time < TIMES; time++) {
        rig->sent = 0;
        for (int i = 0; i < N; i++) {
            struct made made = { .payload = 20 };
            rig_send_made(rig, &made, 0);
        }
        rig_breathe(rig, rig->engine->now + 1000);
        rig_run(rig, rig->engine->now + 1000000);
    }
    for (size_t i = 0; i < rig->count; i++)
        came[rig->got[i].number]++;
    for (int i = 0; i < N; i++)
        seen[came[i]]++;
    const double law[] = { 1 / 16.0, 4 / 16.0, 6 / 16.0, 4 / 16.0, 1 / 16.0 };
    for (int i = 0; i <= TIMES; i++)
        ck_assert(region_contains(region_binomial(N, law[i]), seen[i]));
    rig_free(rig);
}
END_TEST

static Suite *suite_pattern(void)
{
    Suite *suite = suite_create("pattern");
    TCase *pattern = tcase_create("pattern");
    tcase_add_test(pattern, test_numbers);
    tcase_add_test(pattern, test_numbers_go_on);
    tcase_add_loop_test(pattern, test_kinds, 0, 5);
    tcase_add_test(pattern, test_first_of_a_kind);
    tcase_add_test(pattern, test_stream);
    suite_add_tcase(suite, pattern);
    TCase *identity = tcase_create("identity");
    tcase_set_timeout(identity, 60); /* sanitizers on a slow machine */
    tcase_add_test(identity, test_interleaving);
    tcase_add_test(identity, test_content);
    tcase_add_test(identity, test_retransmission);
    suite_add_tcase(suite, identity);
    return suite;
}

SUITE(pattern)
