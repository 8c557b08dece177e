/* damage: what happens to the bytes of a packet. */
#include "apps/clumsy/damage.h"

#include <math.h>

#include "lib/frame.h"

static uint32_t l3_header_end(const struct frame *frame)
{
    if (frame->l4)
        return frame->l4;
    uint32_t end = frame->l3 + (frame->family == 4 ? 20 : 40);
    return end < frame->end ? end : frame->end;
}

static struct damage_range range_of(const struct frame *frame, int where)
{
    const struct damage_range nothing = { 0, 0 };
    switch ((enum damage_where)where) {
    case WHERE_AUTO:
        break;
    case WHERE_ANY:
        return frame->length > FRAME_ETHERNET
                   ? (struct damage_range){ FRAME_ETHERNET, frame->length }
                   : nothing;
    case WHERE_L2:
        return (struct damage_range){ 0, frame->length < FRAME_ETHERNET ? frame->length
                                         : frame->l3                    ? frame->l3
                                                     : FRAME_ETHERNET };
    case WHERE_L3:
        return frame->family ? (struct damage_range){ frame->l3, l3_header_end(frame) }
                             : nothing;
    case WHERE_L4:
        return frame->l4
                   ? (struct damage_range){ frame->l4,
                                            frame->payload ? frame->payload : frame->end }
                   : nothing;
    case WHERE_PAYLOAD:
        return frame->payload ? (struct damage_range){ frame->payload, frame->end }
                              : nothing;
    }
    return nothing;
}

struct damage_range damage_range(const uint8_t *data, uint32_t length, int where)
{
    static const int nearest[] = { WHERE_PAYLOAD, WHERE_L4, WHERE_ANY };
    struct damage_range range = { 0, 0 };
    struct frame frame;
    frame_parse(&frame, data, length);
    if (where != WHERE_AUTO)
        return range_of(&frame, where);
    for (int i = 0; i < 3 && range.from == range.to; i++)
        range = range_of(&frame, nearest[i]);
    return range;
}

static bool contains(const uint32_t *bits, uint32_t n, uint32_t bit)
{
    while (n--)
        if (bits[n] == bit)
            return true;
    return false;
}

/* R. Floyd's sampling: a set of n of `have` bits, all sets equally likely, in n draws. */
uint32_t damage_pick(const struct random_key *key, struct damage_range range, uint32_t n,
                     uint32_t *bits)
{
    uint32_t first = 8 * range.from, have = 8 * (range.to - range.from);
    n = n < have ? n : have;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t highest = have - n + i;
        uint32_t bit =
            (uint32_t)((unsigned __int128)random_draw(key, i) * (highest + 1) >> 64);
        bits[i] = first + (contains(bits, i, first + bit) ? highest : bit);
    }
    return n;
}

/* Adds up the probabilities of 0, 1, 2 ... hits until they exceed u. */
uint32_t damage_bits(double ber, uint32_t length, double u)
{
    double n = 8.0 * length;
    if (ber <= 0)
        return 0;
    if (ber >= 1)
        return CLUMSY_BITS_MAX;
    double term = exp(n * log1p(-ber)), sum = term;
    uint32_t k = 0;
    for (; u >= sum && k < CLUMSY_BITS_MAX; k++) {
        term *= (n - k) / (k + 1) * ber / (1 - ber);
        sum += term;
    }
    return k;
}

static void hit(int mode, uint8_t *data, uint32_t bit, uint64_t draw)
{
    uint8_t *byte = &data[bit / 8];
    switch ((enum damage_mode)mode) {
    case DAMAGE_FLIP:
        *byte ^= (uint8_t)(0x80 >> bit % 8);
        break;
    case DAMAGE_ZERO:
        *byte = 0;
        break;
    case DAMAGE_RANDOM:
        *byte = (uint8_t)(draw >> 56);
        break;
    case DAMAGE_BYTE:
        *byte ^= 0xff;
        break;
    }
}

uint32_t damage_corrupt(const struct corrupt_conf *conf, const struct random_key *key,
                        uint8_t *data, uint32_t length, uint32_t n)
{
    uint32_t bits[CLUMSY_BITS_MAX];
    struct frame frame;
    frame_parse(&frame, data, length);
    n = damage_pick(key, damage_range(data, length, conf->where), n, bits);
    for (uint32_t i = 0; i < n; i++)
        hit(conf->mode, data, bits[i], random_draw(key, CLUMSY_BITS_MAX + i));
    if (n && conf->fix != FIX_NONE) /* by the headers as they were: now they may lie */
        frame_fix(&frame, data, false, conf->fix == FIX_ALL);
    return n;
}

void damage_truncate(uint8_t *data, uint32_t length, int fix)
{
    struct frame frame;
    frame_parse(&frame, data, length);
    if (fix != FIX_NONE)
        frame_fix(&frame, data, true, fix == FIX_ALL);
}
