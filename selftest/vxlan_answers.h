/* vxlan_answers: a VxlanNat that brings answers back.
 *
 *   ROUTE, EXACT, FORWARD   parameters: answers go back; nothing but addresses changes; one rule
 *   later                   time passes
 *   ask                     a question, in the usual tunnel
 *   answer_last             to what came out last
 *   check_answered          ... and whether the answer came back
 *   uncovered               the frame in the tunnel that came back last
 *   how_many                came out there
 */
#pragma once
#include "selftest/vxlan_tunnels.h"

#define ROUTE   "mode=route allow=10.0.0.0/8,2001:db8::/32 "
#define S       1000000000ull
#define EXACT   "ttl=keep df=keep "
#define FORWARD "port=80 to=172.30.82.95:81"

static uint8_t reply[FRAME_MOST];

static inline void later(uint64_t ns)
{
    engine_set_time(engine, engine_now(engine) + ns);
    test_breathe(engine, 2);
}

static inline void ask(const struct made *made)
{
    put_in(&usual, inner, frame_make(inner, made));
}

/* What came out last is answered, by flags where it is TCP. */
static inline void answer_last(uint8_t flags)
{
    size_t found;
    struct packet **packets = test_collected(engine, "out", &found);
    const struct packet *p = packets[found - 1];
    memcpy(reply, p->data, p->length);
    frame_turn_round(reply, p->length);
    struct look look = frame_look(reply, p->length);
    if (look.protocol == IS_TCP && flags) {
        reply[look.l4 + 13] = flags;
        put16(reply + look.l4 + 16, 0);
        put16(reply + look.l4 + 16, ~transport_sum(reply, &look));
    }
    answer(reply, p->length);
}

/* The frame in the tunnel that came back last; its outer header is right. */
static inline const uint8_t *uncovered(uint32_t *length)
{
    size_t found;
    struct packet **packets = test_collected(engine, "returned", &found);
    ck_assert_uint_gt(found, 0);
    const struct packet *p = packets[found - 1];
    struct look look = frame_look(p->data, p->length);
    const uint8_t *udp = p->data + look.l4;
    ck_assert_uint_eq(look.protocol, IS_UDP);
    ck_assert_uint_eq(get16(udp + 2), 4789);
    ck_assert_uint_ge(get16(udp), 49152);
    ck_assert_uint_eq(get16(udp + 4), p->length - look.l4);
    ck_assert_uint_eq(udp[8], 8);
    if (look.v6)
        ck_assert_uint_eq(transport_sum(p->data, &look), 0xffff);
    else
        ck_assert_uint_eq(naive_sum(p->data + look.l3, 20, 0), 0xffff);
    *length = p->length - look.l4 - 16;
    return udp + 16;
}

static inline size_t how_many(const char *where)
{
    size_t found;
    test_collected(engine, where, &found);
    return found;
}

static inline void check_answered(bool is)
{
    size_t before = how_many("returned");
    answer_last(IS_ACK);
    ck_assert_uint_eq(how_many("returned") - before, is);
}
