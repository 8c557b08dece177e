/* VxlanNat's egress: frames that wait, on a clock that only the test moves, for MACs that a real
 * kernel finds out.
 */
#include "apps/vxlan_nat/egress.h"

#include "engine/packet.h"
#include "lib/error.h"
#include "lib/mac.h"
#include "lib/next_hop.h"
#include "lib/random.h"
#include "selftest/neighbour_rig.h"
#include "selftest/selftest.h"

#define SECOND 1000000000ull
#define FRAMES 1024
#define LONG   7000 /* two of them fit */

static struct next_hop *hop;
static struct egress *egress;
static uint64_t now = SECOND;
static enum vxlan_reason reason;

/* What became of each frame, by the number in it. */
static enum { NOWHERE, WAITS, SENT, DROPPED, REFUSED } fate[FRAMES];
static enum vxlan_reason why[FRAMES];
static char to[FRAMES][MAC_TEXT_SIZE];
static unsigned order[FRAMES], sent, frames;

static unsigned number_of(const struct packet *p)
{
    return (unsigned)p->data[14] << 8 | p->data[15];
}

static void send_it(struct packet *p, void *user)
{
    char own[MAC_TEXT_SIZE];
    unsigned n = number_of(p);
    ck_assert_int_ne(fate[n], SENT);
    ck_assert_str_eq(mac_format(p->data + 6, own), user);
    mac_format(p->data, to[n]);
    fate[n] = SENT;
    order[sent++] = n;
    packet_free(p);
}

static void drop_it(struct packet *p, enum vxlan_reason because, void *user)
{
    unsigned n = number_of(p);
    ck_assert_int_eq(fate[n], WAITS);
    fate[n] = DROPPED;
    why[n] = because;
    packet_free(p);
}

static char own_mac[] = OUT_MAC;
static const struct egress_sink sink = { send_it, drop_it, own_mac };

static bool start(void)
{
    struct error err = { 0 };
    if (!neighbour_rig_start())
        return false;
    ck_assert_msg(!arena_open(FRAMES, 16384, &err), "%s", err.text);
    ck_assert_msg(!packet_large_reserve(2, &err), "%s", err.text);
    hop = next_hop_open("out0", 1024, &err);
    ck_assert_msg(hop != NULL, "%s", err.text);
    egress = egress_new(hop, NULL, NULL, &sink);
    ck_assert_ptr_nonnull(egress);
    return true;
}

/* Received = sent + dropped + refused + held. */
static void check_books(void)
{
    unsigned waiting = 0;
    for (unsigned n = 0; n < frames; n++) {
        ck_assert_int_ne(fate[n], NOWHERE);
        waiting += fate[n] == WAITS;
    }
    ck_assert_uint_eq(egress_held(egress), waiting);
    packet_freelist_publish();
    ck_assert_uint_eq(arena_in_use(), waiting);
}

static void stop(void)
{
    check_books();
    unsigned held = egress_held(egress);
    ck_assert_uint_eq(egress_free(egress), held);
    ck_assert_uint_eq(egress_free(NULL), 0);
    packet_freelist_publish();
    ck_assert_uint_eq(arena_in_use(), 0);
    next_hop_close(hop);
}

/* Returns the frame's number. */
static unsigned offer(const char *address, uint32_t length)
{
    static uint8_t bytes[32768];
    unsigned n = frames++;
    ck_assert_uint_lt(n, FRAMES);
    bytes[14] = (uint8_t)(n >> 8);
    bytes[15] = (uint8_t)n;
    struct packet *p = packet_from_bytes(bytes, length);
    ck_assert_ptr_nonnull(p);
    fate[n] = WAITS;
    switch (egress_resolve(egress, p, here_address(address), now, &reason)) {
    case EGRESS_SEND:
        send_it(p, own_mac);
        break;
    case EGRESS_REFUSED:
        fate[n] = REFUSED;
        why[n] = reason;
        packet_free(p);
        break;
    case EGRESS_HELD:
        break;
    }
    return n;
}

static bool is_refused(const char *address, enum vxlan_reason because)
{
    unsigned n = offer(address, 60);
    return fate[n] == REFUSED && why[n] == because;
}

static bool is_dropped(unsigned n, enum vxlan_reason because)
{
    return fate[n] == DROPPED && why[n] == because;
}

static bool is_sent(unsigned n, const char *mac)
{
    return fate[n] == SENT && !strcmp(to[n], mac);
}

static void read_kernel(void)
{
    ck_assert_int_ge(next_hop_read(hop, real_now(), 64), 0);
    egress_poll(egress, now);
}

#define WAIT_UNTIL(condition)                                                            \
    while (!(condition)) {                                                               \
        wait_for_fd(next_hop_fd(hop), next_hop_due(hop));                                \
        read_kernel();                                                                   \
    }

static uint64_t uses(void)
{
    return next_hop_counts(hop)->uses;
}

static void permanent(const char *address, const char *mac)
{
    struct next_hop_answer answer;
    shell("ip neigh replace %s lladdr %s dev out0 nud permanent", address, mac);
    WAIT_UNTIL(next_hop_find(hop, here_address(address), &answer) == NEXT_HOP_KNOWN);
}

START_TEST(held_until_resolved)
{
    static const char *const addresses[] = { "10.0.0.2", "fd00::2" };
    if (!start())
        return;
    for (unsigned i = 0; i < 2; i++) {
        unsigned first = offer(addresses[i], 60);
        offer(addresses[i], 61);
        unsigned last = offer(addresses[i], 62);
        ck_assert_uint_eq(egress_held(egress), 3);
        ck_assert_uint_eq(egress_due(egress), now + SECOND);
        WAIT_UNTIL(fate[last] == SENT);
        for (unsigned k = 0; k < 3; k++) {
            ck_assert_uint_eq(order[4 * i + k], first + k);
            ck_assert(is_sent(first + k, IN_MAC));
        }
        ck_assert(is_sent(offer(addresses[i], 60), IN_MAC)); /* at once */
        ck_assert_uint_eq(uses(), i + 1);
    }
    now += 10 * SECOND;
    egress_poll(egress, now);
    ck_assert_uint_eq(egress_due(egress), UINT64_MAX);
    stop();
}
END_TEST

START_TEST(fourth_pushes_out_the_first)
{
    if (!start())
        return;
    for (unsigned n = 0; n < 5; n++)
        offer("10.0.0.9", 60);
    ck_assert(is_dropped(0, VX_NEIGH) && is_dropped(1, VX_NEIGH));
    ck_assert_uint_eq(egress_held(egress), 3);
    unsigned other = offer("10.0.0.8", 60); /* another one's are apart */
    ck_assert_uint_eq(egress_held(egress), 4);
    permanent("10.0.0.9", "02:00:00:00:00:09");
    ck_assert_uint_eq(sent, 3);
    for (unsigned n = 0; n < 3; n++)
        ck_assert(order[n] == n + 2 && is_sent(n + 2, "02:00:00:00:00:09"));
    ck_assert_int_eq(fate[other], WAITS);
    stop();
}
END_TEST

START_TEST(bytes_have_a_bound)
{
    if (!start())
        return;
    offer("10.0.0.9", LONG);
    offer("10.0.0.9", LONG);
    ck_assert_uint_eq(egress_held(egress), 2);
    offer("10.0.0.9", EGRESS_BYTES - LONG);
    ck_assert(is_dropped(0, VX_NEIGH) && fate[1] == WAITS && fate[2] == WAITS);
    unsigned n = offer("10.0.0.9", EGRESS_BYTES + 1);
    ck_assert(fate[n] == REFUSED && why[n] == VX_NEIGH);
    ck_assert_uint_eq(egress_held(egress), 2);
    offer("10.0.0.9", EGRESS_BYTES);
    ck_assert(is_dropped(1, VX_NEIGH) && is_dropped(2, VX_NEIGH));
    ck_assert_uint_eq(egress_held(egress), 1);
    ck_assert_uint_eq(uses(), 1);
    stop();
}
END_TEST

static void pass(uint64_t time)
{
    now += time;
    egress_poll(egress, now);
}

START_TEST(three_tries_then_a_failure_for_a_second)
{
    if (!start())
        return;
    unsigned first = offer("10.0.0.9", 60);
    ck_assert_uint_eq(uses(), 1);
    pass(SECOND - 1);
    ck_assert_uint_eq(uses(), 1);
    unsigned second = offer("10.0.0.9", 60);
    pass(1);
    ck_assert_uint_eq(uses(), 2);
    pass(SECOND);
    ck_assert_uint_eq(uses(), 3);
    pass(SECOND - 1);
    ck_assert_uint_eq(egress_held(egress), 2);
    pass(1);
    ck_assert(is_dropped(first, VX_NEIGH) && is_dropped(second, VX_NEIGH));
    ck_assert_uint_eq(uses(), 3);
    ck_assert_uint_eq(egress_due(egress), now + SECOND);

    pass(SECOND - 1);
    permanent("10.0.0.7", "02:00:00:00:00:07"); /* no news of this one */
    ck_assert(is_refused("10.0.0.9", VX_NEIGH));
    ck_assert_int_eq(fate[offer("10.0.0.8", 60)], WAITS);
    now++; /* whether it is polled first or not */
    ck_assert_int_eq(fate[offer("10.0.0.9", 60)], WAITS);
    ck_assert_int_eq(fate[offer("10.0.0.9", 60)], WAITS);
    ck_assert_uint_eq(uses(), 5);
    permanent("10.0.0.6", "02:00:00:00:00:06");
    ck_assert_uint_eq(egress_due(egress), now - 1 + SECOND); /* that of 10.0.0.8 */
    pass(3 * SECOND - 1);
    pass(SECOND);
    pass(SECOND);
    ck_assert_uint_eq(egress_held(egress), 0);
    pass(SECOND);
    ck_assert_uint_eq(egress_due(egress), UINT64_MAX);
    ck_assert_int_eq(fate[offer("10.0.0.9", 60)], WAITS);
    stop();
}
END_TEST

START_TEST(known_ends_a_failure)
{
    if (!start())
        return;
    offer("10.0.0.9", 60);
    for (unsigned i = 0; i < 3; i++)
        pass(SECOND);
    ck_assert(is_refused("10.0.0.9", VX_NEIGH));
    permanent("10.0.0.9", "02:00:00:00:00:09");
    ck_assert(is_sent(offer("10.0.0.9", 60), "02:00:00:00:00:09"));
    permanent("10.0.0.9", "02:00:00:00:00:19");
    WAIT_UNTIL(is_sent(offer("10.0.0.9", 60), "02:00:00:00:00:19"));
    stop();
}
END_TEST

START_TEST(interface_down)
{
    if (!start())
        return;
    unsigned held = offer("10.0.0.9", 60);
    shell("ip link set out0 down");
    WAIT_UNTIL(fate[held] != WAITS);
    ck_assert(is_dropped(held, VX_TX_DOWN));
    ck_assert(is_refused("10.0.0.9", VX_TX_DOWN));
    shell("ip link set out0 up");
    unsigned again;
    WAIT_UNTIL(fate[again = offer("10.0.0.2", 60)] == WAITS);
    WAIT_UNTIL(is_sent(again, IN_MAC));
    stop();
}
END_TEST

/* A frame that waits for a gateway goes where its address is to go now. */
START_TEST(another_route)
{
    if (!start())
        return;
    ck_assert(is_refused("192.0.2.1", VX_NEIGH));
    permanent("10.0.0.7", "02:00:00:00:00:07");
    shell("ip route add 192.0.2.0/24 via 10.0.0.9");
    unsigned n;
    WAIT_UNTIL(fate[n = offer("192.0.2.1", 60)] == WAITS);
    shell("ip route replace 192.0.2.0/24 via 10.0.0.8");
    WAIT_UNTIL(uses() == 2); /* of 10.0.0.8 too */
    ck_assert_int_eq(fate[n], WAITS);
    ck_assert_int_eq(fate[offer("10.0.0.8", 60)], WAITS);
    ck_assert_uint_eq(uses(), 2);
    ck_assert_uint_eq(egress_held(egress), 2);
    shell("ip route replace 192.0.2.0/24 via 10.0.0.7");
    WAIT_UNTIL(fate[n] != WAITS);
    ck_assert(is_sent(n, "02:00:00:00:00:07"));
    ck_assert_uint_eq(egress_held(egress), 1);
    shell("ip route replace 192.0.2.0/24 via 10.0.0.9");
    WAIT_UNTIL(fate[n = offer("192.0.2.1", 60)] == WAITS);
    shell("ip route del 192.0.2.0/24");
    WAIT_UNTIL(fate[n] != WAITS);
    ck_assert(is_dropped(n, VX_NEIGH));
    stop();
}
END_TEST

START_TEST(addresses_of_the_operator)
{
    uint8_t smac[6], dmac[6];
    static char other[] = "02:00:00:00:00:55";
    const struct egress_sink own = { send_it, drop_it, other };
    if (!start())
        return;
    egress_free(egress);
    ck_assert(mac_parse(smac, other) && mac_parse(dmac, "02:00:00:00:00:66"));
    egress = egress_new(hop, smac, dmac, &own);
    memcpy(own_mac, other, sizeof(own_mac));
    ck_assert(
        is_sent(offer("192.0.2.1", 60), "02:00:00:00:00:66")); /* no route is needed */
    ck_assert(is_sent(offer("10.0.0.2", 60), "02:00:00:00:00:66"));
    ck_assert_uint_eq(uses(), 0);
    shell("ip link set out0 down");
    WAIT_UNTIL(is_refused("10.0.0.2", VX_TX_DOWN));
    stop();
}
END_TEST

/* The kernel is told once that a stale entry is in use. */
START_TEST(stale_is_used)
{
    struct next_hop_answer answer = { 0 };
    if (!start())
        return;
    shell("ip neigh replace 10.0.0.2 lladdr " IN_MAC " dev out0 nud stale");
    WAIT_UNTIL(next_hop_find(hop, here_address("10.0.0.2"), &answer) == NEXT_HOP_KNOWN);
    ck_assert(answer.stale);
    ck_assert(is_sent(offer("10.0.0.2", 60), IN_MAC));
    ck_assert(is_sent(offer("10.0.0.2", 60), IN_MAC));
    ck_assert_uint_eq(uses(), 1);
    shell("! ip neigh show 10.0.0.2 | grep -q STALE");
    stop();
}
END_TEST

START_TEST(neighbours_have_a_bound)
{
    char address[32];
    if (!start())
        return;
    for (unsigned i = 0; i < EGRESS_NEIGHBOURS; i++) {
        snprintf(address, sizeof(address), "fd00::1:%x", i);
        ck_assert_int_eq(fate[offer(address, 60)], WAITS);
    }
    ck_assert(is_refused("fd00::2:1", VX_NEIGH));
    ck_assert_int_eq(fate[offer("fd00::1:7", 60)], WAITS);
    ck_assert_uint_eq(uses(), EGRESS_NEIGHBOURS);
    for (unsigned i = 0; i < 3; i++)
        pass(SECOND);
    ck_assert_uint_eq(egress_held(egress), 0);
    ck_assert(is_refused("fd00::2:1", VX_NEIGH));
    pass(SECOND); /* none is a failure any more */
    ck_assert_int_eq(fate[offer("fd00::2:1", 60)], WAITS);
    stop();
}
END_TEST

/* Whatever happens in whatever order, every frame ends somewhere. */
START_TEST(nothing_is_lost)
{
    static const char *const happens[] = {
        "ip neigh flush dev out0 nud all",
        "ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev out0 nud permanent",
        "ip route replace default via 10.0.0.8",
        "ip route replace default via 10.0.0.9",
        "ip neigh del 10.0.0.9 dev out0 2>/dev/null || true",
        "ip link set out0 down; ip link set out0 up",
    };
    struct random_key random = random_key(3, "egress", "life");
    char address[32];
    if (!start())
        return;
    for (uint64_t i = 0; frames < FRAMES; i++) {
        uint64_t draw = random_draw(&random, i);
        unsigned host = (unsigned)(draw >> 8 & 15);
        snprintf(address, sizeof(address), host < 8 ? "10.0.0.%u" : "192.0.2.%u",
                 host + 2);
        if (draw % 64 < 40)
            offer(address, 60 + (uint32_t)(draw >> 16 & 4095));
        else if (draw % 64 < 60)
            pass((draw >> 16) % SECOND);
        else if (draw % 64 < 63)
            shell("%s", happens[(draw >> 16) % 6]);
        read_kernel();
        check_books();
    }
    ck_assert_uint_gt(sent, 0);
    stop();
}
END_TEST

static Suite *suite_vxlan_egress(void)
{
    Suite *suite = suite_create("vxlan_egress");
    TCase *tests = tcase_create("vxlan_egress");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, held_until_resolved);
    tcase_add_test(tests, fourth_pushes_out_the_first);
    tcase_add_test(tests, bytes_have_a_bound);
    tcase_add_test(tests, three_tries_then_a_failure_for_a_second);
    tcase_add_test(tests, known_ends_a_failure);
    tcase_add_test(tests, interface_down);
    tcase_add_test(tests, another_route);
    tcase_add_test(tests, addresses_of_the_operator);
    tcase_add_test(tests, stale_is_used);
    tcase_add_test(tests, neighbours_have_a_bound);
    tcase_add_test(tests, nothing_is_lost);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(vxlan_egress)
