/* next_hop_rig: a next_hop on the out0 of neighbour_rig.h, and what it says of an address.
 *
 *   start        the rig, and `hop`
 *   open_hop     another one
 *   find         the state of an address; `answer` is about it
 *   goes_by      is that its gateway?
 *   has_mac      is its gateway known by that MAC?
 *   WAIT_UNTIL   news are read until then
 *   settle       ... until there are none
 *   use          next_hop_use, which succeeds
 */
#pragma once
#include "lib/error.h"
#include "lib/mac.h"
#include "lib/next_hop.h"
#include "selftest/neighbour_rig.h"
#include "selftest/selftest.h"

static struct next_hop *hop;
static struct next_hop_answer answer;

static inline void open_hop(uint32_t rows)
{
    struct error err = { 0 };
    hop = next_hop_open("out0", rows, &err);
    ck_assert_msg(hop != NULL, "%s", err.text);
}

static inline bool start(void)
{
    if (!neighbour_rig_start())
        return false;
    open_hop(1024);
    return true;
}

static inline enum next_hop_state find(const char *address)
{
    answer = (struct next_hop_answer){ 0 };
    return next_hop_find(hop, here_address(address), &answer);
}

/* The gateway of an address, be its MAC known or not; "" without a route. */
static inline const char *gateway_of(const char *address)
{
    static char text[PREFIX_TEXT_SIZE];
    struct prefix prefix;
    enum next_hop_state state = find(address);
    if (state != NEXT_HOP_KNOWN && state != NEXT_HOP_UNRESOLVED)
        return "";
    prefix = prefix_unmapped(answer.gateway, 128);
    return prefix_short(&prefix, text);
}

static inline bool goes_by(const char *address, const char *gateway)
{
    return !strcmp(gateway_of(address), gateway);
}

static inline bool has_mac(const char *address, const char *mac)
{
    char text[MAC_TEXT_SIZE];
    return find(address) == NEXT_HOP_KNOWN && !strcmp(mac_format(answer.mac, text), mac);
}

/* Whether an answer changed is told by next_hop_generation, and by that alone. */
static inline void read_some(void)
{
    uint64_t before = next_hop_generation(hop);
    wait_for_fd(next_hop_fd(hop), next_hop_due(hop));
    int got = next_hop_read(hop, real_now(), 1);
    ck_assert_int_ge(got, 0);
    ck_assert_int_eq(got, next_hop_generation(hop) != before);
}

#define WAIT_UNTIL(condition)                                                            \
    while (!(condition))                                                                 \
    read_some()

/* Nothing more comes, and nothing is to be asked for. */
static inline void settle(void)
{
    struct pollfd fd = { .fd = next_hop_fd(hop), .events = POLLIN };
    while (next_hop_due(hop) != UINT64_MAX || poll(&fd, 1, 0))
        read_some();
}

static inline void use(const char *gateway)
{
    ck_assert_int_eq(next_hop_use(hop, here_address(gateway)), 0);
}
