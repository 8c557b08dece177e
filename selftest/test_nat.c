/* test_nat: what a Nat makes of packets. Checksums are looked at by arithmetic of the tests' own
 * (frame_maker.h). */
#include "apps/apps.h"
#include "engine/plain.h"
#include "selftest/nat_rig.h"
#include "selftest/selftest.h"
#include "selftest/super_frame.h"

/* --- there and back ------------------------------------------------------------------ */

static void check_way(const struct made *made, bool readdressed)
{
    uint8_t frame[FRAME_MOST], back[FRAME_MOST];
    uint32_t length = frame_make(frame, made);
    struct look look = frame_look(frame, length);
    const struct packet *out = nat_pass(true, frame, length);
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(out->length, length);
    ck_assert_ptr_null((void *)(uintptr_t)frame_problem(out->data, length));
    uint32_t at = look.l3 + (look.v6 ? 8 : 12), size = look.v6 ? 16 : 4;
    ck_assert_int_eq(memcmp(out->data + at, frame + at, size) != 0, readdressed);
    ck_assert(!memcmp(out->data + at + size, frame + at + size, size));
    ck_assert(nat_port(out, true) >= 1024);
    ck_assert(!memcmp(out->data + look.payload, frame + look.payload, made->payload));
    memcpy(back, frame, length);
    frame_turn_round(back, length);
    const struct packet *in = nat_answer(out);
    ck_assert_ptr_nonnull(in);
    ck_assert_uint_eq(in->length, length);
    ck_assert_msg(!memcmp(in->data, back, length), "protocol %u, v6 %d, tags %u",
                  made->protocol, made->v6, made->tags);
}

/* What comes back is for the inside host what it would be without a Nat. */
START_TEST(there_and_back)
{
    const uint8_t protocols[] = { IS_TCP, IS_UDP, IS_ICMP };
    if (_i)
        NAT_CONFIGURE("address", "192.0.2.9", "address6", "2001:db8:9::9");
    for (unsigned i = 0; i < 2 * 3 * 3 * 3; i++) {
        struct made made = { .v6 = i % 2,
                             .protocol = protocols[i / 2 % 3],
                             .tags = (uint8_t)(i / 6 % 3),
                             .options = (uint8_t)(i / 18 % 3),
                             .flags = IS_SYN,
                             .from = (uint16_t)(2000 + i),
                             .payload = 1 + i,
                             .number = i * 0x123456789abcdefull };
        check_way(&made, _i);
    }
    ck_assert_uint_eq(nat_counter("translated_in"), 54);
}
END_TEST

/* Sixteen bits of sums, all of them: none is off by the other zero of one's complement, and UDP never
 * gets the one that means no checksum. */
START_TEST(all_sums)
{
    for (uint32_t i = 0; i < 65536; i++) {
        struct made made = { .protocol = _i ? IS_UDP : IS_TCP,
                             .payload = 8,
                             .number = i };
        const struct packet *p = nat_out(&made);
        ck_assert_ptr_nonnull(p);
        struct look look = frame_look(p->data, p->length);
        if (frame_problem(p->data, p->length))
            ck_abort_msg("%s of packet %u", frame_problem(p->data, p->length), i);
        if (_i && !get16(p->data + look.l4 + 6))
            ck_abort_msg("packet %u has no checksum", i);
        test_collect_clear(nat_engine, "to_outside");
    }
    ck_assert_uint_eq(nat_counter("translated_out"), 65536);
    engine_free(nat_engine); /* what came out is not kept: nothing to be added up */
    nat_setup();
}
END_TEST

START_TEST(wrong_stays_wrong)
{
    uint8_t frame[FRAME_MOST];
    struct made made = { .payload = 20 };
    uint32_t length = frame_make(frame, &made);
    struct look look = frame_look(frame, length);
    frame[look.l4 + 6] ^= 0x40;
    ck_assert_ptr_nonnull(frame_problem(nat_pass(true, frame, length)->data, length));
    put16(frame + look.l4 + 6, 0); /* none */
    ck_assert_uint_eq(get16(nat_pass(true, frame, length)->data + look.l4 + 6), 0);
}
END_TEST

/* --- checksums that are left to an interface, and super-frames -------------------------- */

static uint32_t pseudo_sum(const uint8_t *frame, const struct look *look)
{
    uint32_t length = look->end - look->l4;
    uint8_t rest[4] = { 0, look->protocol, (uint8_t)(length >> 8), (uint8_t)length };
    uint32_t sum =
        naive_sum(frame + look->l3 + (look->v6 ? 8 : 12), look->v6 ? 32 : 8, 0);
    return naive_sum(rest, sizeof(rest), sum);
}

START_TEST(partial)
{
    NAT_CONFIGURE("address", "192.0.2.9", "address6", "2001:db8:9::9");
    for (int i = 0; i < 4; i++) {
        struct made made = { .v6 = i & 1,
                             .protocol = i & 2 ? IS_TCP : IS_UDP,
                             .payload = 33,
                             .from = (uint16_t)(1 + i) };
        uint8_t frame[FRAME_MOST];
        uint32_t length = frame_make(frame, &made);
        struct look look = frame_look(frame, length);
        uint32_t offset = i & 2 ? 16 : 6;
        put16(frame + look.l4 + offset, pseudo_sum(frame, &look));
        struct packet *p = packet_from_bytes(frame, length);
        p->flags = PACKET_CSUM_PARTIAL;
        p->csum_start = (uint16_t)look.l4;
        p->csum_offset = (uint16_t)offset;
        p = nat_pass_packet(true, p);
        ck_assert_ptr_nonnull(p);
        ck_assert(p->flags & PACKET_CSUM_PARTIAL);
        ck_assert(!packet_complete(p));
        ck_assert_ptr_null((void *)(uintptr_t)frame_problem(p->data, p->length));
    }
}
END_TEST

START_TEST(super_frames)
{
    static uint8_t bytes[SUPER_HEADERS(true) + 20000];
    struct virtio_net_hdr vnet;
    struct error err;
    NAT_CONFIGURE("address", "192.0.2.9");
    ck_assert(!packet_large_reserve(16, &err));
    size_t length = super_frame(bytes, true, 20000, 1000, &vnet);
    struct packet *p = packet_from_bytes(bytes, (uint32_t)length), *segments[32];
    p->flags = PACKET_CSUM_PARTIAL;
    p->gso_type = vnet.gso_type;
    p->gso_size = vnet.gso_size;
    p->csum_start = vnet.csum_start;
    p->csum_offset = vnet.csum_offset;
    p = nat_pass_packet(true, p);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(p->gso_size, 1000);
    struct look look = frame_look(p->data, p->length);
    ck_assert_uint_eq(get16(p->data + look.l4 + 16), pseudo_sum(p->data, &look));
    struct plain plain = { 0 };
    static struct link link;
    link_transmit(&link, packet_clone(p));
    uint32_t n = plain_receive_burst(&plain, &link, segments, 32);
    ck_assert_uint_eq(n, 20);
    for (uint32_t i = 0; i < n; i++)
        ck_assert_ptr_null(
            (void *)(uintptr_t)frame_problem(segments[i]->data, segments[i]->length));
    packet_free_burst(segments, n);
}
END_TEST

/* --- errors, fragments, neighbours, others ----------------------------------------------- */

/* An ICMP error about a frame, as a router or its receiver sends it; cut: quotes 8 bytes. */
static uint32_t make_error(uint8_t *out, const uint8_t *about, uint32_t length, bool cut)
{
    struct look look = frame_look(about, length);
    uint32_t quoted = cut ? look.l4 + 8 - look.l3 : look.end - look.l3;
    struct made made = { .v6 = look.v6,
                         .protocol = IS_ICMP,
                         .tags = (uint8_t)((look.l3 - 14) / 4),
                         .type = look.v6 ? 1 : 3,
                         .payload = quoted };
    uint32_t size = look.v6 ? 16 : 4, all = frame_make(out, &made);
    uint8_t *ip = out + look.l3;
    struct look mine = frame_look(out, all);
    memcpy(out + mine.l4 + 8, about + look.l3, quoted);
    memcpy(ip + (look.v6 ? 8 : 12), about + look.l3 + (look.v6 ? 24 : 16), size);
    memcpy(ip + (look.v6 ? 24 : 16), about + look.l3 + (look.v6 ? 8 : 12), size);
    if (!look.v6) {
        put16(ip + 10, 0);
        put16(ip + 10, ~naive_sum(ip, mine.l4 - mine.l3, 0));
    }
    put16(out + mine.l4 + 2, 0);
    put16(out + mine.l4 + 2, ~transport_sum(out, &mine));
    return all;
}

/* Out and back, the error is for either what it would be without a Nat, to the byte. */
START_TEST(errors)
{
    const uint8_t protocols[] = { IS_TCP, IS_UDP, IS_ICMP };
    NAT_CONFIGURE("address", "192.0.2.9", "address6", "2001:db8:9::9");
    for (unsigned i = 0; i < 24; i++) {
        struct made made = { .v6 = i & 1,
                             .protocol = protocols[i / 2 % 3],
                             .payload = 40,
                             .tags = i > 11,
                             .from = (uint16_t)(900 + i) };
        uint8_t sent[FRAME_MOST], error[FRAME_MOST], want[FRAME_MOST];
        uint32_t length = frame_make(sent, &made);
        const struct packet *out = nat_pass(true, sent, length);
        uint32_t size = make_error(want, sent, length, i % 4 == 3);
        make_error(error, out->data, length, i % 4 == 3);
        memcpy(want, "\x02\0\0\0\0\x01", 6); /* the inside host's own */
        const struct packet *in = nat_pass(false, error, size);
        ck_assert_ptr_nonnull(in);
        ck_assert_uint_eq(in->length, size);
        ck_assert_msg(!memcmp(in->data, want, size), "error %u coming in", i);
        frame_turn_round(out->data, length);
        memcpy(sent, out->data, length);
        in = made.protocol == IS_ICMP ? NULL : nat_pass(false, sent, length);
        if (!in)
            continue;
        make_error(want, sent, length, i % 4 == 3);
        make_error(error, in->data, length, i % 4 == 3);
        out = nat_pass(true, error, size);
        ck_assert_ptr_nonnull(out);
        ck_assert_msg(!memcmp(out->data, want, size), "error %u going out", i);
    }
    ck_assert_uint_eq(nat_counter("mappings"), 24);
    struct made made = { .from = 1 };
    uint8_t sent[FRAME_MOST], error[FRAME_MOST];
    uint32_t length = frame_make(sent, &made);
    ck_assert_ptr_null(nat_pass(false, error, make_error(error, sent, length, false)));
    ck_assert_uint_eq(nat_counter("drop_no_mapping"), 1);
}
END_TEST

START_TEST(fragments)
{
    uint8_t first[FRAME_MOST], second[FRAME_MOST];
    struct made made = { .payload = 64 };
    uint32_t length = frame_make(first, &made);
    first[20] = 0x20;
    put16(first + 24, 0);
    put16(first + 24, ~naive_sum(first + 14, 20, 0));
    memcpy(second, first, length);
    put16(second + 20, 9);
    put16(second + 24, 0);
    put16(second + 24, ~naive_sum(second + 14, 20, 0));
    if (_i)
        NAT_CONFIGURE("address", "192.0.2.9");
    struct packet *p = nat_pass(true, first, length);
    ck_assert_int_eq(p != NULL, !_i);
    ck_assert(_i || nat_port(p, true) != 1000);
    p = nat_pass(true, second, length);
    ck_assert_int_eq(p != NULL, !_i);
    ck_assert(_i || !memcmp(p->data, second, length));
    ck_assert_uint_eq(nat_counter("drop_fragment"), 2 * _i);
}
END_TEST

START_TEST(arp)
{
    uint8_t request[60] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,   2, 8, 6,
        0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0,   0, 0, 2,
        192,  0,    2,    1,    0,    0,    0, 0, 0, 0, 192, 0, 2, 9
    };
    uint8_t reply[60] = { 2,   0, 0, 0, 0, 2, 2, 0, 0, 0, 0,   1, 8, 6,
                          0,   1, 8, 0, 6, 4, 0, 2, 2, 0, 0,   0, 0, 1,
                          192, 0, 2, 9, 2, 0, 0, 0, 0, 2, 192, 0, 2, 1 };
    size_t count;
    NAT_CONFIGURE("address", "192.0.2.9");
    ck_assert_ptr_nonnull(nat_pass(false, request, 60)); /* nobody was heard inside */
    struct made made = { .payload = 1 };
    nat_out(&made);
    ck_assert_ptr_null(nat_pass(false, request, 60));
    struct packet **packets = test_collected(nat_engine, "to_outside", &count);
    ck_assert_uint_eq(count, 2);
    ck_assert(!memcmp(packets[1]->data, reply, 60));
    request[41] = 8; /* another's address */
    ck_assert_ptr_nonnull(nat_pass(false, request, 60));
    ck_assert_ptr_nonnull(nat_pass(true, request, 60));
    ck_assert_uint_eq(nat_counter("answered"), 1);
    ck_assert_uint_eq(nat_counter("passed"), 3);
}
END_TEST

static uint32_t make_solicitation(uint8_t *frame, const char *from, const char *option)
{
    struct made made = {
        .v6 = true, .protocol = IS_ICMP, .type = 135, .payload = option ? 24 : 16
    };
    uint32_t length = frame_make(frame, &made);
    struct look look = frame_look(frame, length);
    frame[look.l3 + 7] = 255;
    memcpy(frame, "\x33\x33\xff\0\0\x09", 6);
    memcpy(frame + look.l3 + 8, from, 16);
    memcpy(frame + look.l3 + 24, "\xff\x02\0\0\0\0\0\0\0\0\0\x01\xff\0\0\x09", 16);
    memcpy(frame + look.l4 + 8, "\x20\x01\x0d\xb8\0\x09\0\0\0\0\0\0\0\0\0\x09", 16);
    if (option)
        memcpy(frame + look.l4 + 24, option, 8);
    put16(frame + look.l4 + 2, 0);
    put16(frame + look.l4 + 2, ~transport_sum(frame, &look));
    return length;
}

START_TEST(solicitation)
{
    static const char asker[] = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x4d";
    uint8_t frame[FRAME_MOST];
    size_t count;
    struct made made = { .v6 = true };
    NAT_CONFIGURE("address6", "2001:db8:9::9");
    nat_out(&made);
    nat_pass(false, frame, make_solicitation(frame, asker, "\1\1\2\0\0\0\0\1"));
    nat_pass(false, frame, make_solicitation(frame, asker, NULL));
    nat_pass(false, frame,
             make_solicitation(frame, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", NULL));
    struct packet **packets = test_collected(nat_engine, "to_outside", &count);
    ck_assert_uint_eq(count, 4);
    for (int i = 1; i < 4; i++) {
        const uint8_t *data = packets[i]->data;
        ck_assert_uint_eq(packets[i]->length, 86);
        ck_assert_ptr_null((void *)(uintptr_t)frame_problem(data, 86));
        ck_assert_uint_eq(data[54], 136);
        ck_assert_uint_eq(data[58], i < 3 ? 0x60 : 0x20);
        ck_assert(!memcmp(data + 78, "\2\1\2\0\0\0\0\1", 8));
        ck_assert(!memcmp(data + 22, "\x20\x01\x0d\xb8\0\x09", 6));
        ck_assert(i == 3 ? data[38] == 0xff : !memcmp(data + 38, asker, 16));
    }
    ck_assert_uint_eq(nat_counter("answered"), 3);
}
END_TEST

START_TEST(others)
{
    uint8_t frame[FRAME_MOST];
    struct made made = { .payload = 30 };
    uint32_t length = frame_make(frame, &made);
    if (_i)
        NAT_CONFIGURE("address", "192.0.2.9");
    frame[23] = 47; /* GRE */
    ck_assert_int_eq(nat_pass(true, frame, length) != NULL, !_i);
    ck_assert_uint_eq(nat_counter("drop_protocol"), _i);
    frame[30] = 224; /* a group */
    frame[23] = 17;
    ck_assert_ptr_nonnull(nat_pass(true, frame, length));
    ck_assert_ptr_nonnull(nat_pass(false, frame, length));
    ck_assert_ptr_nonnull(nat_pass(true, frame, 10));
    frame[30] = 10;
    put16(frame + 16, 24); /* four bytes of UDP */
    ck_assert_ptr_null(nat_pass(true, frame, length));
    ck_assert_uint_eq(nat_counter("drop_broken"), 1);
    made.protocol = IS_ICMP; /* nobody inside can be pinged */
    ck_assert_ptr_null(nat_pass(false, frame, frame_make(frame, &made)));
    ck_assert_uint_eq(nat_counter("drop_no_mapping"), 1);
}
END_TEST

START_TEST(refused)
{
    static const char *const bad[][2] = {
        { "address", "2001:db8::1" }, { "address", "10.0.0.0/8" },
        { "address6", "10.0.0.1" },   { "ports", "5" },
        { "ports", "6-5" },           { "ports", "0-5" },
        { "ports", "1-65536" },       { "rebind_at", "soon" },
        { "filtering", "none" },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct graph *graph = graph_new();
        struct value args = value_table();
        struct error err = { 0 };
        value_table_add(&args, bad[i][0], value_string(bad[i][1]));
        int error = graph_add_app(graph, "other", apps_find("Nat"), &args, NULL, &err);
        if (error)
            graph_free(graph);
        else
            error = engine_configure(nat_engine, graph, &err);
        ck_assert_msg(error && strstr(err.text, bad[i][0]), "%s=%s: %s", bad[i][0],
                      bad[i][1], err.text);
        value_free(&args);
    }
}
END_TEST

static Suite *suite_nat(void)
{
    Suite *suite = suite_create("nat");
    TCase *tests = tcase_create("nat");
    tcase_add_checked_fixture(tests, nat_setup, nat_teardown);
    tcase_set_timeout(tests, 30);
    tcase_add_loop_test(tests, there_and_back, 0, 2);
    tcase_add_loop_test(tests, all_sums, 0, 2);
    tcase_add_test(tests, wrong_stays_wrong);
    tcase_add_test(tests, partial);
    tcase_add_test(tests, super_frames);
    tcase_add_test(tests, errors);
    tcase_add_loop_test(tests, fragments, 0, 2);
    tcase_add_test(tests, arp);
    tcase_add_test(tests, solicitation);
    tcase_add_loop_test(tests, others, 0, 2);
    tcase_add_test(tests, refused);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(nat)
