/* test_clumsy_answers: resets and ICMP errors of Clumsy, byte by byte.
 *
 * Frames are made and looked at by frame_maker.h, which shares nothing with the app.
 */
#include "selftest/selftest.h"

#include "selftest/clumsy_rig.h"
#include "lib/statistics.h"

#define MS 1000000ull

/* A segment of each kind of frame. */
static const struct made kinds[] = {
    { .protocol = IS_TCP },
    { .protocol = IS_TCP, .tags = 1 },
    { .protocol = IS_TCP, .options = 3 },
    { .protocol = IS_TCP, .v6 = true },
    { .protocol = IS_TCP, .v6 = true, .tags = 2 },
};
#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

static struct made segment(int kind, uint32_t seq, uint8_t flags, uint32_t payload)
{
    struct made made = kinds[kind];
    made.seq = seq;
    made.ack = 5000;
    made.flags = flags;
    made.payload = payload;
    return made;
}

static struct rig *keeping(const char *settings)
{
    struct rig *rig = rig_new(1, settings);
    rig->keep = true;
    return rig;
}

static void send_one(struct rig *rig, struct made made)
{
    rig_send_made(rig, &made, 0);
    rig_breathe(rig, rig->engine->now + MS);
}

/* A RST of so many bytes; the ends are those of the segment, or exchanged. */
static void check_reset(const struct arrival *got, const struct made *made, uint32_t seq,
                        uint32_t ack, bool backwards)
{
    uint8_t frame[FRAME_MOST];
    uint32_t length = frame_make(frame, made), size = made->v6 ? 16 : 4;
    const uint8_t *data = got->data;
    struct look was = frame_look(frame, length), is = frame_look(data, got->length);
    const uint8_t *from = frame + was.l4 - 2 * size, *at = data + is.l4 - 2 * size;
    if (!made->v6)
        from -= 4u * made->options;
    const char *problem = frame_problem(data, got->length);
    ck_assert_msg(!problem, "%s", problem);
    ck_assert_uint_eq(got->length, was.l3 + (made->v6 ? 60u : 40u));
    ck_assert_mem_eq(data + 12, frame + 12, was.l3 - 12);
    ck_assert_mem_eq(data, frame + (backwards ? 6 : 0), 6);
    ck_assert_mem_eq(data + 6, frame + (backwards ? 0 : 6), 6);
    ck_assert_mem_eq(at, from + (backwards ? size : 0), size);
    ck_assert_mem_eq(at + size, from + (backwards ? 0 : size), size);
    ck_assert_uint_eq(get16(data + is.l4), backwards ? 2000 : 1000);
    ck_assert_uint_eq(get16(data + is.l4 + 2), backwards ? 1000 : 2000);
    ck_assert_uint_eq(data[is.l4 + 13], IS_RST | IS_ACK);
    ck_assert_uint_eq(get32(data + is.l4 + 4), seq);
    ck_assert_uint_eq(get32(data + is.l4 + 8), ack);
}

static bool is_intact(const struct arrival *got, const struct made *made)
{
    uint8_t frame[FRAME_MOST];
    return got->length == frame_make(frame, made) &&
           !memcmp(frame, got->data, got->length);
}

/* To the receiver with the number it expects next, to the sender with the one it has
 * acknowledged (RFC 5961); who is not told gets what was sent. */
START_TEST(test_injected)
{
    static const char *const sides[] = { "both", "a", "b" };
    char settings[64];
    snprintf(settings, sizeof(settings), "rst.p=100%% rst.side=%s", sides[_i / KINDS]);
    struct rig *rig = keeping(settings);
    struct made made = segment(_i % KINDS, 1000, IS_ACK | IS_PSH, 100);
    bool a = _i / KINDS != 2, b = _i / KINDS != 1;
    send_one(rig, made);
    ck_assert_uint_eq(rig->count, 1);
    if (b)
        check_reset(&rig->got[0], &made, 1000, 5000, false);
    else
        ck_assert(is_intact(&rig->got[0], &made));
    ck_assert_uint_eq(rig->back_count, a);
    if (a)
        check_reset(&rig->back[0], &made, 5000, 1100, true);
    ck_assert_uint_eq(rig_counter(rig, "resets"), 1);
    ck_assert_uint_eq(rig_counter(rig, "answered"), a);
    ck_assert_uint_eq(rig_counter(rig, "answers_lost"), 0);
    rig_free(rig);
}
END_TEST

/* FIN takes a number. Without data, or of another protocol, there is nothing to reset. */
START_TEST(test_injected_what)
{
    struct rig *rig = keeping("rst.p=100%");
    struct made fin = segment(0, 0xffffffff, IS_ACK | IS_FIN, 3);
    struct made others[] = { segment(0, 1000, IS_ACK, 0),
                             segment(0, 999, IS_SYN, 0),
                             { .payload = 100 },
                             { .protocol = IS_ICMP, .payload = 60 } };
    send_one(rig, fin);
    check_reset(&rig->back[0], &fin, 5000, 3, true);
    for (uint64_t i = 0; i < 4; i++) {
        send_one(rig, others[i]);
        others[i].number = i + 1;
        ck_assert(is_intact(&rig->got[i + 1], &others[i]));
    }
    ck_assert_uint_eq(rig_counter(rig, "resets"), 1);
    rig_free(rig);
}
END_TEST

static bool is_reset(const struct arrival *got)
{
    struct look look = frame_look(got->data, got->length);
    return look.protocol == IS_TCP && got->data[look.l4 + 13] & IS_RST;
}

/* Once for each connection, when the byte passes; a new one of the same ports begins anew. */
START_TEST(test_at)
{
    struct rig *rig = keeping("rst.at=150");
    static const struct {
        uint32_t seq;
        uint8_t flags;
        bool reset;
    } steps[] = {
        { 1200, IS_ACK, false }, /* its beginning was not seen */
        { 999, IS_SYN, false },        { 1000, IS_ACK, false },
        { 1200, IS_ACK, false },       { 1100, IS_ACK, true },
        { 1100, IS_ACK, false },                                      /* again */
        { 0xffffff9b, IS_SYN, false }, { 0xffffff9c, IS_ACK, false }, /* bytes 1 to 100 */
        { 0, IS_ACK, true },
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        uint32_t payload = steps[i].flags == IS_SYN ? 0 : 100;
        send_one(rig, segment(0, steps[i].seq, steps[i].flags, payload));
        ck_assert_msg(is_reset(&rig->got[i]) == steps[i].reset, "step %zu", i);
    }
    rig_set(rig, "rst.at=350"); /* under way: another byte, another reset */
    send_one(rig, segment(0, 200, IS_ACK, 100));
    ck_assert(is_reset(&rig->got[rig->count - 1]));
    ck_assert_uint_eq(rig_counter(rig, "resets"), 3);
    rig_free(rig);
}
END_TEST

/* Nothing but the flag and the checksum changes. */
START_TEST(test_flip)
{
    struct rig *rig = keeping("rst.p=100% rst.mode=flip");
    struct made made = segment(_i, 1000, IS_ACK, 100), other = { .payload = 100 };
    uint8_t frame[FRAME_MOST];
    uint32_t length = frame_make(frame, &made);
    struct look look = frame_look(frame, length);
    send_one(rig, made);
    send_one(rig, other);
    other.number = 1;
    struct arrival *got = &rig->got[0];
    ck_assert_uint_eq(got->length, length);
    ck_assert_ptr_null(frame_problem(got->data, length));
    ck_assert_uint_eq(got->data[look.l4 + 13], IS_ACK | IS_RST);
    got->data[look.l4 + 13] = IS_ACK;
    memcpy(got->data + look.l4 + 16, frame + look.l4 + 16, 2);
    ck_assert_mem_eq(got->data, frame, length);
    ck_assert(is_intact(&rig->got[1], &other));
    ck_assert_uint_eq(rig->back_count, 0);
    rig_free(rig);
}
END_TEST

/* A share p of the segments, counted at the far end; only what is selected. */
static uint64_t resets_of(const char *settings, uint64_t n)
{
    struct rig *rig = keeping(settings);
    uint64_t resets = 0, wrong = 0;
    for (uint64_t i = 0; i < n; i++) {
        struct made made = segment(0, 1000, IS_ACK, 8);
        made.host = (uint8_t)(1 + i % 2);
        rig_send_made(rig, &made, RIG_START + i * 1000);
        if (i % 500 == 499)
            rig_breathe(rig, RIG_START + i * 1000);
    }
    for (size_t i = 0; i < rig->count; i++) {
        resets += is_reset(&rig->got[i]);
        wrong += is_reset(&rig->got[i]) && rig->got[i].data[29] != 2;
    }
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_eq(rig->count, n);
    ck_assert_uint_eq(rig_counter(rig, "resets"), resets);
    rig_free(rig);
    return resets;
}

START_TEST(test_share)
{
    enum { N = 10000 };
    struct region region = region_binomial(N / 2, 0.2);
    ck_assert(region_contains(region, resets_of("rst.p=20% rst.match=host~10.0.0.2", N)));
    ck_assert(
        !region_contains(region, resets_of("rst.p=10% rst.match=host~10.0.0.2", N)));
    ck_assert(
        !region_contains(region, resets_of("rst.p=40% rst.match=host~10.0.0.2", N)));
    ck_assert_uint_eq(resets_of("rst.p=0%", N), 0);
}
END_TEST

/* A tag that hardware has taken out is on the answer, too. */
START_TEST(test_hardware_tag)
{
    struct rig *rig = keeping("rst.p=100%");
    uint8_t frame[FRAME_MOST];
    struct made made = segment(0, 1000, IS_ACK, 100);
    struct packet *p = packet_from_bytes(frame, frame_make(frame, &made));
    p->flags |= PACKET_VLAN;
    p->vlan_tci = 42;
    p->vlan_tpid = 0x8100;
    p->timestamp = RIG_START - 5;
    test_inject(rig->engine, "a", p);
    rig_breathe(rig, RIG_START);
    ck_assert(rig->got[0].flags & PACKET_VLAN && rig->got[0].vlan_tci == 42);
    ck_assert(rig->back[0].flags & PACKET_VLAN && rig->back[0].vlan_tci == 42);
    ck_assert_uint_eq(rig->back[0].timestamp, RIG_START - 5);
    rig_free(rig);
}
END_TEST

START_TEST(test_not_linked)
{
    struct engine *engine = test_engine(1);
    struct graph *graph = graph_new();
    uint8_t frame[FRAME_MOST];
    struct made made = segment(0, 1000, IS_ACK, 100);
    test_app(graph, "a", "Inject", NULL);
    test_app(graph, "wan", "Clumsy", "rst", "100%", NULL);
    test_app(graph, "b", "Collect", NULL);
    test_link(graph, "a -> wan");
    test_link(graph, "wan.output -> b.input");
    test_configure(engine, graph);
    test_inject_bytes(engine, "a", frame, frame_make(frame, &made));
    engine_breathe(engine);
    ck_assert_uint_eq(test_counter(engine, "wan", "resets"), 1);
    ck_assert_uint_eq(test_counter(engine, "wan", "answered"), 0);
    ck_assert_uint_eq(test_counter(engine, "wan", "answers_lost"), 1);
    engine_free(engine);
    ck_assert_uint_eq(arena_in_use(), 0);
}
END_TEST

/* --- mtu ---------------------------------------------------------------------------------- */

/* IP of exactly max passes, a byte more does not; tags and Ethernet do not count. */
START_TEST(test_mtu)
{
    struct rig *rig = keeping(_i ? "mtu.max=1400 mtu.icmp=true" : "mtu.max=1400");
    for (int kind = 0; kind < KINDS; kind++) {
        uint32_t headers = kinds[kind].v6 ? 60 : 40 + 4u * kinds[kind].options;
        send_one(rig, segment(kind, 1, IS_ACK, 1400 - headers));
        ck_assert_uint_eq(rig->count, (size_t)kind + 1);
        send_one(rig, segment(kind, 1, IS_ACK, 1401 - headers));
        ck_assert_uint_eq(rig->count, (size_t)kind + 1);
    }
    ck_assert_uint_eq(rig_counter(rig, "drop_mtu"), KINDS);
    ck_assert_uint_eq(rig->back_count, _i ? KINDS : 0);
    rig_send(rig, 1514, 0); /* no IP, no MTU of it */
    rig_breathe(rig, rig->engine->now + MS);
    ck_assert_uint_eq(rig->count, KINDS + 1);
    rig_free(rig);
}
END_TEST

/* RFC 792 and 1191, RFC 4443 and 8201: from whom the packet was for, to who sent it, with as
 * much of it as there is room. */
START_TEST(test_too_big)
{
    struct rig *rig = keeping("mtu.max=1300 mtu.icmp=true");
    struct made made = segment(_i, 1, IS_ACK, 1400);
    uint8_t frame[FRAME_MOST];
    uint32_t length = frame_make(frame, &made);
    struct look was = frame_look(frame, length);
    send_one(rig, made);
    ck_assert_uint_eq(rig->back_count, 1);
    const uint8_t *data = rig->back[0].data;
    struct look is = frame_look(data, rig->back[0].length);
    const uint8_t *icmp = data + is.l4;
    uint32_t size = made.v6 ? 16 : 4, source = made.v6 ? 8 : 12;
    uint32_t quoted = made.v6 ? 1280 - 48 : 548;
    ck_assert_ptr_null(frame_problem(data, rig->back[0].length));
    ck_assert_uint_eq(is.protocol, made.v6 ? IS_ICMP6 : IS_ICMP);
    ck_assert_uint_eq(icmp[0], made.v6 ? 2 : 3);
    ck_assert_uint_eq(icmp[1], made.v6 ? 0 : 4);
    ck_assert_uint_eq(made.v6 ? get32(icmp + 4) : get16(icmp + 6), 1300);
    ck_assert_uint_eq(rig->back[0].length, is.l4 + 8 + quoted);
    ck_assert_mem_eq(icmp + 8, frame + was.l3, quoted);
    ck_assert_mem_eq(data + is.l3 + source, frame + was.l3 + source + size, size);
    ck_assert_mem_eq(data + is.l3 + source + size, frame + was.l3 + source, size);
    ck_assert_mem_eq(data, frame + 6, 6);
    ck_assert_mem_eq(data + 12, frame + 12, was.l3 - 12);
    rig_free(rig);
}
END_TEST

static void nothing(uint8_t *frame)
{
}

static void to_group(uint8_t *frame)
{
    frame[30] = 224;
}

static void to_group_6(uint8_t *frame)
{
    frame[38] = 0xff;
}

static void to_all(uint8_t *frame)
{
    frame[0] = 0xff;
}

static void later_fragment(uint8_t *frame)
{
    frame[21] = 8;
}

/* About whom no error may be sent (RFC 1122, 3.2.2; RFC 4443, 2.4), and about whom it may. */
START_TEST(test_no_answer)
{
    static const struct {
        struct made made;
        void (*change)(uint8_t *frame);
        size_t answers;
    } cases[] = {
        { { .payload = 1400 }, nothing, 1 },
        { { .protocol = IS_ICMP, .payload = 1400 }, nothing, 1 },
        { { .protocol = IS_ICMP, .v6 = true, .payload = 1400 }, nothing, 1 },
        { { .protocol = IS_ICMP, .type = 3, .payload = 1400 }, nothing, 0 },
        { { .protocol = IS_ICMP, .type = 2, .v6 = true, .payload = 1400 }, nothing, 0 },
        { { .payload = 1400 }, to_group, 0 },
        { { .v6 = true, .payload = 1400 }, to_group_6, 0 },
        { { .payload = 1400 }, to_all, 0 },
        { { .payload = 1400 }, later_fragment, 0 },
    };
    struct rig *rig = keeping("mtu.max=1300 mtu.icmp=true");
    uint8_t frame[FRAME_MOST];
    uint32_t length = frame_make(frame, &cases[_i].made);
    cases[_i].change(frame);
    test_inject_bytes(rig->engine, "a", frame, length);
    rig_breathe(rig, RIG_START);
    ck_assert_uint_eq(rig_counter(rig, "drop_mtu"), 1);
    ck_assert_uint_eq(rig->back_count, cases[_i].answers);
    rig_free(rig);
}
END_TEST

/* What was cut off before is as long as it is now, be that within its tags. */
START_TEST(test_mtu_after_truncation)
{
    struct rig *rig =
        keeping(_i ? "mtu.max=1000 truncate=16" : "mtu.max=1000 truncate=500");
    send_one(rig, segment(4, 1, IS_ACK, 1400));
    ck_assert_uint_eq(rig->count, 1);
    ck_assert_uint_eq(rig->got[0].length, _i ? 16 : 500);
    rig_free(rig);
}
END_TEST

static Suite *suite_clumsy_answers(void)
{
    Suite *suite = suite_create("clumsy_answers");
    TCase *rst = tcase_create("rst");
    tcase_set_timeout(rst, 60); /* sanitizers on a slow machine */
    tcase_add_loop_test(rst, test_injected, 0, 3 * KINDS);
    tcase_add_test(rst, test_injected_what);
    tcase_add_test(rst, test_at);
    tcase_add_loop_test(rst, test_flip, 0, KINDS);
    tcase_add_test(rst, test_share);
    tcase_add_test(rst, test_hardware_tag);
    tcase_add_test(rst, test_not_linked);
    suite_add_tcase(suite, rst);
    TCase *mtu = tcase_create("mtu");
    tcase_add_loop_test(mtu, test_mtu, 0, 2);
    tcase_add_loop_test(mtu, test_too_big, 0, KINDS);
    tcase_add_loop_test(mtu, test_no_answer, 0, 9);
    tcase_add_loop_test(mtu, test_mtu_after_truncation, 0, 2);
    suite_add_tcase(suite, mtu);
    return suite;
}

SUITE(clumsy_answers)
