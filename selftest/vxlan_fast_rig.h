/* vxlan_fast_rig: the same frame through a VxlanNat and through its XDP program.
 *
 *   FAST         as BUILD; the program is attached to interfaces of our own, or the test is skipped
 *   by_app       what the app makes of a frame
 *   by_program   what the program does
 *   compare      both: the program does the same, or leaves it to the app
 */
#pragma once
#include <linux/bpf.h>

#include "apps/vxlan_nat/vxlan_nat.h"
#include "selftest/private_network.h"
#include "selftest/vxlan_tunnels.h"

#define WHERE                                                                            \
    "ingress=a0 egress=b0 fastpath=xdp smac=02:00:00:00:00:aa dmac=02:00:00:00:00:bb "
#define PLACES WHERE "allow=10.0.0.0/8,2001:db8::/32 "

static struct app *app;
static struct vxlan_nat *nat;
static uint8_t out[FRAME_MOST + 256];
static uint32_t out_length;

static inline bool interfaces(void)
{
    if (!private_network())
        return false;
    shell("ip link add a0 type veth peer name a1");
    shell("ip link add b0 address 02:00:00:00:00:b0 type veth peer name b1");
    shell("for i in a0 a1 b0 b1; do ip link set $i up; done; ethtool -K b1 gro on");
    return true;
}

#define FAST(SETTINGS, ...)                                                              \
    do {                                                                                 \
        if (!interfaces())                                                               \
            return;                                                                      \
        BUILD(PLACES SETTINGS, __VA_ARGS__);                                             \
        app = engine_find_app(engine, "nat");                                            \
        nat = app->state;                                                                \
        app->class->tick(app);                                                           \
    } while (0)

/* The frame through the app; how many come of it, of which the last one is in `wanted`. */
static inline int by_app(const uint8_t *frame, uint32_t length, uint32_t *made)
{
    struct link *output = app_output(app, 0);
    link_transmit(app_input(app, 0), packet_from_bytes(frame, length));
    app->class->push(app);
    sent++;
    int n = 0;
    for (; !link_empty(output); n++) {
        struct packet *p = link_receive(output);
        *made = p->length;
        memcpy(wanted, p->data, p->length);
        packet_free(p);
    }
    return n;
}

/* Through the program; the verdict. What comes out is in `out`. */
static inline int by_program(const uint8_t *frame, uint32_t length)
{
    out_length = length;
    int verdict =
        fast_path_test(nat->fast, frame, out, &out_length, sizeof(out), 1, NULL);
    ck_assert_msg(verdict >= 0, "%s", strerror(-verdict));
    sent += verdict != XDP_PASS;
    return verdict;
}

/* The program first, as on an interface. How many frames the app makes of it. */
static inline int compare(const uint8_t *frame, uint32_t length, int *verdict)
{
    uint32_t made;
    *verdict = by_program(frame, length);
    uint64_t before = count("errors");
    int went = by_app(frame, length, &made);
    if (*verdict == XDP_REDIRECT) {
        ck_assert_int_eq(went, 1);
        ck_assert_uint_eq(out_length, made);
        ck_assert_mem_eq(out, wanted, made);
    } else if (*verdict == XDP_DROP) {
        ck_assert_int_eq(went, 0);
        ck_assert_uint_eq(count("errors"), before + 1);
    } else {
        ck_assert_int_eq(*verdict, XDP_PASS);
        ck_assert_mem_eq(out, frame, length);
    }
    return went;
}
