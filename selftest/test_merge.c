/* Tests of apps/raw_socket/merge: what segmentation took apart is put together as it was,
 * and nothing else is put together. */
#include <linux/virtio_net.h>
#include <stdlib.h>

#include "apps/raw_socket/merge.h"
#include "lib/checksum.h"
#include "lib/segment.h"
#include "selftest/selftest.h"

#define MSS      1448
#define PAYLOAD  (5 * MSS + 100)
#define SEGMENTS 6

struct flow {
    uint8_t frame[PAYLOAD + 128];
    uint32_t header, length, ip;
    struct packet *p[SEGMENTS];
};

static const uint8_t ip4[] = { 0x45, 0, 0,   0, 0x12, 0x34, 0x40, 0, 64, 6,
                               0,    0, 192, 0, 2,    1,    192,  0, 2,  2 };
static const uint8_t ip6[] = { 0x60, 0, 0, 0, 0, 0, 6, 64, 0x20, 1, 0xd,  0xb8, 0,   0,
                               0,    0, 0, 0, 0, 0, 0, 0,  0,    1, 0x20, 1,    0xd, 0xb8,
                               0,    0, 0, 0, 0, 0, 0, 0,  0,    0, 0,    2 };
static const uint8_t tcp[] = { 0x9c, 0x40, 0x14, 0x51, 1,    2, 3, 4, 5, 6, 7,
                               8,    0x80, 0x10, 1,    0xf6, 0, 0, 0, 0, 1, 1,
                               8,    10,   1,    2,    3,    4, 5, 6, 7, 8 };

/* A super-frame of six segments, the last one short, split into packets. */
static void make_flow(struct flow *flow, bool six)
{
    struct error err;
    ck_assert_int_eq(arena_open(16384, 2048, &err), 0);
    uint8_t *at = flow->frame;
    memset(at, 2, 12);
    at[12] = six ? 0x86 : 0x08;
    at[13] = six ? 0xdd : 0;
    uint32_t ip = six ? sizeof(ip6) : sizeof(ip4);
    memcpy(at + 14, six ? ip6 : ip4, ip);
    memcpy(at + 14 + ip, tcp, sizeof(tcp));
    flow->ip = ip;
    flow->header = 14 + ip + sizeof(tcp);
    flow->length = flow->header + PAYLOAD;
    for (uint32_t i = flow->header; i < flow->length; i++)
        at[i] = (uint8_t)(i * 7 + i / 251);
    struct segment_offload offload = { .gso_type = six ? SEGMENT_TCP6 : SEGMENT_TCP4,
                                       .gso_size = MSS };
    struct segment_plan plan;
    ck_assert_int_eq(segment_plan(&plan, at, flow->length, flow->length, &offload), 0);
    ck_assert_uint_eq(plan.count, SEGMENTS);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        struct packet *p = flow->p[i] = packet_allocate();
        memcpy(p->data + plan.header_length, at + segment_offset(&plan, i),
               segment_payload(&plan, i));
        p->length = (uint32_t)segment_finish(&plan, i, p->data);
        p->flags = PACKET_CSUM_VALID;
    }
}

static void free_flow(struct flow *flow)
{
    for (uint32_t i = 0; i < SEGMENTS; i++)
        packet_free(flow->p[i]);
}

static size_t gather(const struct merge_message *m, uint8_t *to)
{
    size_t used = 0;
    for (size_t i = 1; i < m->message.msg_iovlen; i++) {
        memcpy(to + used, m->vectors[i].iov_base, m->vectors[i].iov_len);
        used += m->vectors[i].iov_len;
    }
    return used;
}

/* Merging and segmenting again gives the same frames, byte for byte. */
static void check_round_trip(bool six)
{
    struct flow flow;
    make_flow(&flow, six);
    ck_assert_uint_eq(merge_run(flow.p, SEGMENTS, MERGE_MAX), SEGMENTS);
    struct merge_message m;
    merge_message(&m, flow.p, SEGMENTS);
    static uint8_t whole[sizeof(flow.frame)];
    ck_assert_uint_eq(gather(&m, whole), flow.length);
    ck_assert_mem_eq(whole + flow.header, flow.frame + flow.header, PAYLOAD);
    struct virtio_net_hdr vnet;
    memcpy(&vnet, m.vnet, sizeof(vnet));
    ck_assert_uint_eq(vnet.gso_size, MSS);
    ck_assert_uint_eq(vnet.gso_type, six ? SEGMENT_TCP6 : SEGMENT_TCP4);
    ck_assert_uint_eq(vnet.hdr_len, flow.header);
    struct segment_offload offload = { .gso_type = vnet.gso_type,
                                       .gso_size = vnet.gso_size };
    struct segment_plan plan;
    ck_assert_int_eq(segment_plan(&plan, whole, flow.length, flow.length, &offload), 0);
    ck_assert_uint_eq(plan.count, SEGMENTS);
    uint8_t again[2048];
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        memcpy(again + plan.header_length, whole + segment_offset(&plan, i),
               segment_payload(&plan, i));
        ck_assert_uint_eq(segment_finish(&plan, i, again), flow.p[i]->length);
        ck_assert_mem_eq(again, flow.p[i]->data, flow.p[i]->length);
    }
    /* The partial checksum, completed, is right for the whole. */
    ck_assert_int_eq(
        checksum_complete(whole, flow.length, vnet.csum_start, vnet.csum_offset), 0);
    struct segment_offload one = { .gso_type = vnet.gso_type, .gso_size = 65000 };
    ck_assert_int_eq(segment_plan(&plan, whole, flow.length, flow.length, &one), 0);
    static uint8_t single[sizeof(flow.frame)];
    memcpy(single + plan.header_length, whole + plan.payload_offset, PAYLOAD);
    ck_assert_uint_eq(segment_finish(&plan, 0, single), flow.length);
    ck_assert_mem_eq(single, whole, flow.length);
    free_flow(&flow);
}

START_TEST(merging_undoes_segmentation_of_ipv4)
{
    check_round_trip(false);
}
END_TEST

START_TEST(merging_undoes_segmentation_of_ipv6)
{
    check_round_trip(true);
}
END_TEST

START_TEST(no_more_than_asked_for)
{
    struct flow flow;
    make_flow(&flow, false);
    ck_assert_uint_eq(merge_run(flow.p, SEGMENTS, 4), 4);
    ck_assert_uint_eq(merge_run(flow.p, 3, MERGE_MAX), 3);
    ck_assert_uint_eq(merge_run(flow.p, 1, MERGE_MAX), 1);
    free_flow(&flow);
}
END_TEST

/* What one byte of segment 3 may and may not be without ending the run before it. */
struct change {
    const char *what;
    int offset; /* from the IP header (ip), TCP header (tcp), or the frame */
    enum { FRAME, IP, TCP } from;
    uint8_t to;
    uint32_t run;
};

static const struct change changes[] = {
    { "nothing", 0, FRAME, 2, SEGMENTS },
    { "another destination MAC", 0, FRAME, 9, 3 },
    { "TTL", 8, IP, 63, 3 },
    { "TOS", 1, IP, 3, 3 },
    { "source address", 15, IP, 9, 3 },
    { "a fragment", 6, IP, 0x20, 3 },
    { "IP length", 3, IP, 9, 3 },
    { "options in IP", 0, IP, 0x46, 3 },
    { "another protocol", 9, IP, 17, 3 },
    { "source port", 0, TCP, 9, 3 },
    { "sequence", 7, TCP, 9, 3 },
    { "acknowledgement", 8, TCP, 9, 3 },
    { "header length", 12, TCP, 0x70, 3 },
    { "PSH ends the run", 13, TCP, 0x18, 4 },
    { "FIN", 13, TCP, 0x11, 3 },
    { "CWR", 13, TCP, 0x90, 3 },
    { "window", 14, TCP, 9, 3 },
    { "urgent pointer", 19, TCP, 9, 3 },
    { "a timestamp", 25, TCP, 9, 3 },
};

START_TEST(what_differs_stays_apart)
{
    const struct change *change = &changes[_i];
    struct flow flow;
    make_flow(&flow, false);
    uint32_t from = change->from == FRAME ? 0 : change->from == IP ? 14 : 14 + flow.ip;
    flow.p[3]->data[from + (uint32_t)change->offset] = change->to;
    ck_assert_msg(merge_run(flow.p, SEGMENTS, MERGE_MAX) == change->run,
                  "%s: a run of %u", change->what,
                  merge_run(flow.p, SEGMENTS, MERGE_MAX));
    free_flow(&flow);
}
END_TEST

START_TEST(a_checksum_not_known_to_be_right_stays_apart)
{
    struct flow flow;
    make_flow(&flow, false);
    flow.p[2]->flags = 0;
    ck_assert_uint_eq(merge_run(flow.p, SEGMENTS, MERGE_MAX), 2);
    ck_assert_uint_eq(merge_run(flow.p + 2, SEGMENTS - 2, MERGE_MAX), 1);
    flow.p[2]->flags = PACKET_CSUM_VALID | PACKET_VLAN;
    ck_assert_uint_eq(merge_run(flow.p, SEGMENTS, MERGE_MAX), 2);
    free_flow(&flow);
}
END_TEST

START_TEST(a_lost_or_overtaken_segment_ends_the_run)
{
    struct flow flow;
    make_flow(&flow, false);
    struct packet *lost[] = { flow.p[0], flow.p[1], flow.p[3], flow.p[4] };
    ck_assert_uint_eq(merge_run(lost, 4, MERGE_MAX), 2);
    struct packet *swapped[] = { flow.p[1], flow.p[0], flow.p[2] };
    ck_assert_uint_eq(merge_run(swapped, 3, MERGE_MAX), 1);
    struct packet *twice[] = { flow.p[0], flow.p[0], flow.p[1] };
    ck_assert_uint_eq(merge_run(twice, 3, MERGE_MAX), 1);
    free_flow(&flow);
}
END_TEST

START_TEST(identification_must_count_where_fragmenting_is_allowed)
{
    struct flow flow;
    make_flow(&flow, false);
    flow.p[3]->data[14 + 5] ^= 0x55;
    ck_assert_uint_eq(merge_run(flow.p, SEGMENTS, MERGE_MAX), SEGMENTS);
    for (int i = 0; i < SEGMENTS; i++)
        flow.p[i]->data[14 + 6] = 0;
    ck_assert_uint_eq(merge_run(flow.p, SEGMENTS, MERGE_MAX), 3);
    free_flow(&flow);
}
END_TEST

START_TEST(a_run_fits_an_ip_packet)
{
    struct flow flow;
    make_flow(&flow, false);
    struct packet *p[MERGE_MAX];
    uint32_t first = 0x01020304;
    for (uint32_t i = 0; i < MERGE_MAX; i++) {
        p[i] = packet_clone(flow.p[0]);
        uint32_t sequence = first + i * MSS;
        for (int b = 0; b < 4; b++)
            p[i]->data[14 + 20 + 4 + b] = (uint8_t)(sequence >> (24 - 8 * b));
    }
    ck_assert_uint_eq(merge_run(p, MERGE_MAX, MERGE_MAX), (65535 - 20 - 32) / MSS);
    for (uint32_t i = 0; i < MERGE_MAX; i++)
        packet_free(p[i]);
    free_flow(&flow);
}
END_TEST

static Suite *suite_merge(void)
{
    Suite *suite = suite_create("merge");
    TCase *tcase = tcase_create("merge");
    tcase_add_test(tcase, merging_undoes_segmentation_of_ipv4);
    tcase_add_test(tcase, merging_undoes_segmentation_of_ipv6);
    tcase_add_test(tcase, no_more_than_asked_for);
    tcase_add_loop_test(tcase, what_differs_stays_apart, 0,
                        sizeof(changes) / sizeof(changes[0]));
    tcase_add_test(tcase, a_checksum_not_known_to_be_right_stays_apart);
    tcase_add_test(tcase, a_lost_or_overtaken_segment_ends_the_run);
    tcase_add_test(tcase, identification_must_count_where_fragmenting_is_allowed);
    tcase_add_test(tcase, a_run_fits_an_ip_packet);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(merge)
