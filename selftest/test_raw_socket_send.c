/* RawSocket: sending, through a ring and without. */
#include "selftest/raw_socket_rig.h"
#include "selftest/selftest.h"

static struct rig rig;
static uint8_t got[RIG_FRAME_MAX];

/* Little room in the ring, a slow wire: nothing is lost, what has no slot waits. */
START_TEST(send_ring_holds_back)
{
    const uint32_t frames = 1000;
    if (!rig_network())
        return;
    rig_listen(&rig, "tx=ring tx_ring_frames=64");
    shell("tc qdisc add dev if1 root tbf rate 80kbit burst 2000 limit 100000000");
    for (uint32_t n = 0; n < frames; n++)
        test_inject_bytes(rig.engine, "in", frame_make(n, 1000), 1000);
    struct link *link = engine_find_link(rig.engine, "in.output -> if1.input");
    RIG_UNTIL(&rig, rig_count(&rig, "if1", "tx_blocked") > 10 && link->write == frames);
    uint64_t sent = rig_count(&rig, "if1", "tx_packets");
    ck_assert_uint_ge(sent, 64);
    ck_assert_uint_lt(sent, 200);
    ck_assert_uint_eq(sent + rig_count(&rig, "if1", "tx_held") + link_readable(link),
                      frames);
    shell("tc qdisc change dev if1 root tbf rate 10gbit burst 10mb limit 100000000");
    for (uint32_t n = 0; n < frames; n++)
        rig_expect(&rig, rig.left, frame_make(n, 1000), 1000);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_packets"), frames);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_bytes"), 1000 * frames);
    rig_stop(&rig);
}
END_TEST

/* One frame that is too long, and one too short, among fifty: the others arrive. */
START_TEST(bad_frames_among_good_ones)
{
    static const char *const options[] = { "tx=ring", "tx=sendmmsg",
                                           "tx=sendmmsg merge=1",
                                           "tx=ring tx_frame_size=512" };
    bool small = _i == 3;
    if (!rig_network())
        return;
    rig_listen(&rig, options[_i]);
    for (uint32_t n = 0; n < 50; n++) {
        uint32_t length = n == 11 ? 1519 : n == 20 ? 13 : small ? 472 : 200;
        test_inject_bytes(rig.engine, "in", frame_make(n, length), length);
    }
    for (uint32_t n = 0; n < 50; n++)
        if (n != 11 && n != 20)
            rig_expect(&rig, rig.left, frame_make(n, small ? 472 : 200),
                       small ? 472 : 200);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_tx_oversize"), 1);
    ck_assert_uint_eq(rig_count(&rig, "if1", "drop_tx_runt"), 1);
    ck_assert_uint_eq(rig_count(&rig, "if1", "tx_packets"), 48);
    test_inject_bytes(rig.engine, "in", frame_make(99, 100), 100);
    rig_expect(&rig, rig.left, frame_make(99, 100), 100);
    rig_stop(&rig);
}
END_TEST

/* What the kernel has not sent when the interface goes down is dropped, not sent later. */
START_TEST(send_ring_goes_down)
{
    if (!rig_network())
        return;
    rig_listen(&rig, "tx=ring tx_ring_frames=64");
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t n = 0; n < 100; n++) {
            test_inject_bytes(rig.engine, "in", frame_make(n, 100), 100);
            if (n % 10 == 0)
                engine_breathe(rig.engine);
        }
        RIG_UNTIL(&rig, rig_count(&rig, "if1", "tx_packets") == 100 * (round + 1));
        uint64_t dropped = rig_count(&rig, "if1", "drop_link_down");
        shell("ip link set if1 down");
        for (uint32_t n = 0; n < 30; n++)
            test_inject_bytes(rig.engine, "in", frame_make(n, 200), 200);
        RIG_UNTIL(&rig, rig_count(&rig, "if1", "drop_link_down") == dropped + 30);
        shell("ip link set if1 up");
        RIG_UNTIL(&rig, strstr(rig.log, "interface if1 is up"));
        rig.log[0] = 0;
    }
    size_t length;
    while ((length = wire_receive(rig.left, got)))
        ck_assert_uint_eq(length, 100);
    test_inject_bytes(rig.engine, "in", frame_make(9, 300), 300);
    rig_expect(&rig, rig.left, frame_make(9, 300), 300);
    rig_stop(&rig);
}
END_TEST

START_TEST(send_ring_with_tags)
{
    if (!rig_network())
        return;
    rig_listen(&rig, "tx=ring");
    for (uint32_t n = 0; n < 2000; n++) { /* many times round */
        uint32_t length = 16 + n % 1499;  /* a kernel drops shorter ones with a tag */
        struct packet *p = packet_from_bytes(frame_make(n, length), length);
        p->flags = n % 2 ? PACKET_VLAN : 0;
        p->vlan_tpid = 0x8100;
        p->vlan_tci = 5;
        test_inject(rig.engine, "in", p);
        size_t have = rig_next(&rig, rig.left, got);
        ck_assert_uint_eq(have, length + (n % 2 ? 4 : 0));
        ck_assert_mem_eq(got, frame_make(n, length), 12);
        ck_assert_mem_eq(got + have - (length - 12), frame_make(n, length) + 12,
                         length - 12);
    }
    rig_stop(&rig);
}
END_TEST

START_TEST(nothing_is_sent)
{
    if (!rig_network())
        return;
    rig_listen(&rig, "tx=none");
    for (uint32_t n = 0; n < 10; n++)
        test_inject_bytes(rig.engine, "in", frame_make(n, 100), 100);
    wire_send(rig.left, frame_make(1, 100), 100);
    RIG_UNTIL(&rig,
              rig_collected(&rig) == 1 && rig_count(&rig, "if1", "drop_tx_none") == 10);
    ck_assert_uint_eq(wire_receive(rig.left, got), 0);
    rig_stop(&rig);
}
END_TEST

static Suite *suite_raw_socket_send(void)
{
    Suite *suite = suite_create("raw_socket_send");
    TCase *tests = tcase_create("raw_socket_send");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, send_ring_holds_back);
    tcase_add_loop_test(tests, bad_frames_among_good_ones, 0, 4);
    tcase_add_test(tests, send_ring_goes_down);
    tcase_add_test(tests, send_ring_with_tags);
    tcase_add_test(tests, nothing_is_sent);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(raw_socket_send)
