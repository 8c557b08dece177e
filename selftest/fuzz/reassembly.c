/* fuzz/reassembly: any pieces, beside an oracle that knows one byte at a time.
 *
 * The first byte: IPv6 or not, and whether the rest is pieces or bytes as they are. A piece is 4 bytes:
 * of which packet and whether there are more, where, how long, how much time passes and what it is
 * made of. Of each packet the oracle has a map of its bytes; what comes out, or what becomes of each
 * piece, must be the same on both sides.
 */
#include <stdio.h>

#include "lib/reassembly.h"
#include "selftest/pieces.h"

#define PACKETS 4 /* at a time, of 6 that there are */
#define NAMES   6
#define PIECES  6
#define LENGTH  400
#define TIME    100
#define BEYOND  1024 /* no piece ends there */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct model {
    bool there, broken;
    uint64_t since, order;
    uint32_t count, end;
    uint16_t bytes[BEYOND];  /* 0: not there; else 1 + what it is */
    uint16_t starts[BEYOND]; /* 0: no piece; else its size */
};

static struct model models[NAMES];
static uint64_t now, order, drops[REASSEMBLY_DROP_COUNT], completed, held;
static struct reassembly *table;

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "reassembly: %s\n", what);
        abort();
    }
}

static void end_model(struct model *m, enum reassembly_drop why)
{
    drops[why] += m->count;
    held -= m->count;
    *m = (struct model){ .there = false };
}

static struct model *model_of(uint32_t name)
{
    struct model *m = &models[name], *oldest = NULL;
    uint32_t count = 0;
    for (int i = 0; i < NAMES; i++) {
        count += models[i].there;
        if (models[i].there && (!oldest || models[i].order < oldest->order))
            oldest = &models[i];
    }
    if (!m->there && count == PACKETS)
        end_model(oldest, REASSEMBLY_GAVE_WAY);
    if (!m->there)
        *m = (struct model){ .there = true, .since = now, .order = order++ };
    return m;
}

static void pass_time(uint32_t time)
{
    now += time;
    for (int i = 0; i < NAMES; i++)
        if (models[i].there && now - models[i].since >= TIME)
            end_model(&models[i], REASSEMBLY_TIMEOUT);
}

/* What becomes of a piece; REASSEMBLY_DROP_COUNT: it is held. */
static enum reassembly_drop judge(const struct model *m, const uint16_t *bytes,
                                  uint32_t header, uint32_t from, uint32_t end, bool more)
{
    uint32_t last = 0, same = 0, taken = 0;
    if (m->broken)
        return REASSEMBLY_BROKEN;
    for (uint32_t i = 0; i < BEYOND; i++)
        last = m->bytes[i] ? i + 1 : last;
    for (uint32_t i = from; i < end; i++) {
        same += m->bytes[i] == bytes[i];
        taken += m->bytes[i] != 0;
    }
    if (m->end ? end > m->end || (end == m->end) == more : !more && last >= end)
        return REASSEMBLY_END;
    if (taken && same == end - from && m->starts[from] == end - from)
        return REASSEMBLY_DUPLICATE;
    if (taken)
        return REASSEMBLY_OVERLAP;
    if ((last > end ? last : end) + header > LENGTH)
        return REASSEMBLY_TOO_LONG;
    return m->count == PIECES ? REASSEMBLY_TOO_MANY : REASSEMBLY_DROP_COUNT;
}

/* True when the packet is whole with it. */
static bool model_add(struct model *m, const uint16_t *bytes, uint32_t header,
                      uint32_t from, uint32_t end, bool more)
{
    enum reassembly_drop why = judge(m, bytes, header, from, end, more);
    if (why == REASSEMBLY_BROKEN || why == REASSEMBLY_DUPLICATE) {
        drops[why]++;
    } else if (why != REASSEMBLY_DROP_COUNT) {
        uint64_t since = m->since, first = m->order;
        end_model(m, why);
        drops[why]++;
        *m = (struct model){
            .there = true, .broken = true, .since = since, .order = first
        };
    } else {
        memcpy(m->bytes + from, bytes + from, (end - from) * sizeof(*bytes));
        m->starts[from] = (uint16_t)(end - from);
        m->end = more ? m->end : end;
        m->count++;
        held++;
        for (uint32_t i = 0; i < m->end; i++)
            if (!m->bytes[i])
                return false;
        return m->end;
    }
    return false;
}

static void check_whole(struct model *m, const uint8_t *out, uint32_t length,
                        uint32_t header)
{
    require(out && length == header + m->end, "a packet without its length");
    require(out[0] >> 4 != 4 || naive_sum(out, header, 0) == 0xffff, "checksum");
    require(get16(out + (out[0] >> 4 == 4 ? 2 : 4)) ==
                length - (out[0] >> 4 == 4 ? 0 : 40),
            "the length in the header");
    for (uint32_t i = 0; i < m->end; i++)
        require(out[header + i] + 1 == m->bytes[i], "other bytes");
    completed += m->count;
    held -= m->count;
    *m = (struct model){ .there = false };
}

/* The bytes that all packets are made of, or others. */
static void make_whole(uint8_t *whole, uint16_t *bytes, bool v6, bool others)
{
    uint32_t header = v6 ? 40 : 20;
    struct made about = { .v6 = v6 };
    frame_make(whole, &about);
    memmove(whole, whole + 14, header);
    if (!v6)
        put16(whole + 6, 0);
    for (uint32_t i = 0; i < BEYOND; i++) {
        whole[header + i] = (uint8_t)(i * 3 + others);
        bytes[i] = (uint16_t)(whole[header + i] + 1);
    }
}

static void put_piece(const uint8_t *data, bool v6)
{
    static uint8_t whole[PIECE_MOST], made[PIECE_MOST];
    static uint16_t bytes[BEYOND];
    uint32_t name = (data[0] & 127) % NAMES, from = (data[1] & 63) * 8u;
    uint32_t header = v6 ? 40 : 20, end = from + (data[2] & 127), length = 0;
    bool more = data[0] & 128;
    make_whole(whole, bytes, v6, data[3] & 1);
    uint32_t size = piece_make(made, whole, header, from, end, more, name);
    pass_time(data[3] >> 3);
    uint8_t *out = reassembly_add(table, made, size, now, &length);
    if (more ? end == from || (end - from) % 8 : from && end == from) {
        drops[REASSEMBLY_DAMAGED]++;
    } else if (!from && !more) {
        require(out && length == header + end, "not whole at once");
        completed++;
        return;
    } else {
        struct model *m = model_of(name);
        if (model_add(m, bytes, v6 ? 0 : 20, from, end, more)) {
            check_whole(m, out, length, header);
            return;
        }
    }
    require(!out, "a packet that is not whole");
}

static void put_bytes(const uint8_t *data, uint32_t size)
{
    uint32_t length = 0;
    uint8_t *bytes = malloc(size), *out;
    memcpy(bytes, data, size);
    out = reassembly_add(table, bytes, size, 0, &length);
    require(!out || out[0] >> 4 != 4 || length == get16(out + 2), "IPv4 length");
    require(!out || out[0] >> 4 != 6 || length == 40 + get16(out + 4), "IPv6 length");
    free(bytes);
}

static void check_books(bool modelled)
{
    const struct reassembly_counters *c = reassembly_counters(table);
    uint64_t ends = c->completed + c->held;
    for (int i = 0; i < REASSEMBLY_DROP_COUNT; i++) {
        ends += c->drops[i];
        require(!modelled || c->drops[i] == drops[i], "dropped for another reason");
    }
    require(c->pieces == ends, "pieces that are nowhere");
    require(!modelled || (c->completed == completed && c->held == held), "counters");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct siphash_key seed = { 5, 6 };
    const struct reassembly_limits limits = { PACKETS, PIECES, LENGTH, .bytes = 1 << 20,
                                              .time = TIME };
    if (!size)
        return 0;
    memset(models, 0, sizeof(models));
    memset(drops, 0, sizeof(drops));
    now = order = completed = held = 0;
    table = reassembly_new(&limits, &seed);
    require(table, "no memory");
    bool modelled = !(data[0] & 2);
    for (size_t at = 1, length; at + 4 <= size; at += length) {
        length = modelled ? 4 : data[at] + 1u;
        length = length < size - at ? length : size - at;
        if (modelled)
            put_piece(data + at, data[0] & 1);
        else
            put_bytes(data + at, (uint32_t)length);
        check_books(modelled);
    }
    reassembly_expire(table, UINT64_MAX);
    check_books(false);
    require(!reassembly_counters(table)->bytes, "memory is held");
    reassembly_free(table);
    return 0;
}
