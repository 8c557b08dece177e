/* capture_compare: what a network did, from a capture before it and one behind it. */
#include "lib/capture_compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/capture_file.h"
#include "lib/frame.h"
#include "lib/hash.h"

#define CANDIDATES    4096           /* packets that a damaged one is compared with */
#define COMPARISONS   (1u << 28)     /* of them in all */
#define WINDOW        60000000000ull /* ns back, when no delay is known */
#define SLACK         10000000       /* ns more than the longest delay */
#define BITS_MAX      96             /* more is another packet */
#define ETHERTYPE_ARP 0x0806
#define ND_FIRST      133
#define ND_LAST       137

/* The IP header without what a router changes, then the rest. */
static uint64_t identity(const struct frame *frame)
{
    uint8_t header[40];
    uint32_t fixed = frame->family == 4 ? 20 : 40;
    if (!frame->family || frame->l3 + fixed > frame->length)
        return hash_bytes(1, frame->data, frame->length);
    memcpy(header, frame->data + frame->l3, fixed);
    if (frame->family == 4) {
        header[1] = header[8] = header[10] = header[11] = 0;
    } else {
        header[0] &= 0xf0;
        header[1] &= 0x0f;
        header[7] = 0;
    }
    uint32_t rest = frame->l3 + fixed;
    return hash_bytes(hash_bytes(2, header, fixed), frame->data + rest,
                      frame->length - rest);
}

static bool is_exempt(const struct frame *frame)
{
    uint8_t type =
        frame->protocol == FRAME_ICMPV6 && frame->l4 && frame->l4 < frame->length
            ? frame->data[frame->l4]
            : 0;
    return frame->ethertype == ETHERTYPE_ARP || (type >= ND_FIRST && type <= ND_LAST);
}

/* --- reading ------------------------------------------------------------------------------ */

/* Room for one more packet of that length; false when memory is out. */
static bool make_room(struct compare *compare, struct compare_list *list, uint32_t length)
{
    if (!compare->bytes || compare->used + length > compare->size) {
        uint64_t size = 2 * compare->size + length + (1u << 20);
        uint8_t *more = realloc(compare->bytes, size);
        if (!more)
            return false;
        compare->bytes = more;
        compare->size = size;
    }
    if (list->count == list->size) {
        uint32_t size = list->size ? 2 * list->size : 1024;
        struct compare_packet *more = realloc(list->packets, size * sizeof(*more));
        if (!more || size >= COMPARE_NONE / 4)
            return false;
        list->packets = more;
        list->size = size;
    }
    return true;
}

int compare_add(struct compare *compare, enum compare_side side, uint64_t time,
                const uint8_t *bytes, uint32_t length)
{
    struct compare_list *list = &compare->list[side];
    struct frame frame;
    frame_parse(&frame, bytes, length);
    if (!compare->all && is_exempt(&frame)) {
        compare->exempt[side]++;
        return 0;
    }
    if (!make_room(compare, list, length))
        return -ENOMEM;
    memcpy(compare->bytes + compare->used, bytes, length);
    list->packets[list->count++] = (struct compare_packet){
        .time = time,
        .hash = identity(&frame),
        .offset = compare->used,
        .length = length,
        .next = COMPARE_NONE,
        .match = COMPARE_NONE,
    };
    compare->used += length;
    return 0;
}

int compare_read(struct compare *compare, enum compare_side side, const char *path,
                 struct error *err)
{
    struct capture_file file;
    struct capture_packet packet;
    int error = capture_open(&file, path, err);
    if (error)
        return error;
    while (!error && capture_next(&file, &packet))
        error = compare_add(compare, side, packet.time, packet.bytes, packet.length);
    capture_close(&file);
    return error ? error_set(err, ERROR_RUN, ENOMEM, "%s: out of memory", path) : 0;
}

void compare_free(struct compare *compare)
{
    free(compare->list[0].packets);
    free(compare->list[1].packets);
    free(compare->bytes);
    free(compare->table);
    free(compare->last);
    *compare = (struct compare){ .slots = 0 };
}

/* --- whole packets ------------------------------------------------------------------------ */

/* The slot of a hash: its own or an empty one. */
static uint32_t slot_of(const struct compare *compare, uint64_t hash)
{
    const struct compare_packet *before = compare->list[COMPARE_BEFORE].packets;
    uint32_t slot = (uint32_t)(hash >> 32) & (compare->slots - 1);
    while (compare->last[slot] != COMPARE_NONE &&
           before[compare->last[slot]].hash != hash)
        slot = (slot + 1) & (compare->slots - 1);
    return slot;
}

static bool make_table(struct compare *compare)
{
    struct compare_list *before = &compare->list[COMPARE_BEFORE];
    for (compare->slots = 16; compare->slots < 2 * before->count; compare->slots *= 2)
        ;
    compare->table = malloc(compare->slots * sizeof(*compare->table));
    compare->last = malloc(compare->slots * sizeof(*compare->last));
    if (!compare->table || !compare->last)
        return false;
    memset(compare->table, 0xff, compare->slots * sizeof(*compare->table));
    memset(compare->last, 0xff, compare->slots * sizeof(*compare->last));
    for (uint32_t i = 0; i < before->count; i++) {
        struct compare_packet *packet = &before->packets[i];
        uint32_t slot = slot_of(compare, packet->hash);
        uint32_t other = compare->last[slot];
        packet->unique = other == COMPARE_NONE;
        if (other == COMPARE_NONE) {
            compare->table[slot] = i;
        } else {
            before->packets[other].next = i;
            before->packets[other].unique = false;
        }
        compare->last[slot] = i;
    }
    return true;
}

static void join(struct compare *compare, uint32_t i, uint32_t j)
{
    struct compare_packet *before = &compare->list[COMPARE_BEFORE].packets[i];
    compare->list[COMPARE_AFTER].packets[j].match = i;
    if (!before->copies++)
        before->match = j;
}

/* Of equal ones the first that did not come out yet, else the one that came out last. From
 * here on last[] is that one. */
static void match_whole(struct compare *compare, uint32_t j)
{
    const struct compare_packet *after = &compare->list[COMPARE_AFTER].packets[j];
    const struct compare_packet *before = compare->list[COMPARE_BEFORE].packets;
    uint32_t slot = slot_of(compare, after->hash);
    if (compare->last[slot] == COMPARE_NONE)
        return;
    uint32_t i = compare->table[slot];
    if (i != COMPARE_NONE && before[i].time <= after->time) {
        compare->table[slot] = before[i].next;
        compare->last[slot] = i;
    } else {
        i = compare->last[slot];
    }
    if (before[i].time <= after->time)
        join(compare, i, j);
}

/* --- damaged packets ---------------------------------------------------------------------- */

/* Bits in which two packets differ, at most `limit`. */
static uint32_t distance(const uint8_t *a, const uint8_t *b, uint32_t length,
                         uint32_t limit)
{
    uint32_t bits = 0, i = 0;
    for (; i + 8 <= length && bits < limit; i += 8) {
        uint64_t x, y;
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        bits += (uint32_t)__builtin_popcountll(x ^ y);
    }
    for (; i < length && bits < limit; i++)
        bits += (uint32_t)__builtin_popcount(a[i] ^ b[i]);
    return bits;
}

/* Where the packets sent after a time begin. */
static uint32_t sent_after(const struct compare_list *list, uint64_t time)
{
    uint32_t low = 0, high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->packets[middle].time <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How unlike: one that has come out already, or was longer, only when no other is like it. */
static uint32_t unlikeness(const struct compare *compare,
                           const struct compare_packet *before,
                           const struct compare_packet *after, uint32_t limit)
{
    if (before->length < after->length)
        return limit;
    uint32_t burden = (before->copies > 0) + 8 * (before->length > after->length);
    if (burden >= limit)
        return limit;
    return burden + distance(compare->bytes + before->offset,
                             compare->bytes + after->offset, after->length,
                             limit - burden);
}

static uint32_t match_damaged(struct compare *compare, uint32_t j, uint64_t window)
{
    const struct compare_list *list = &compare->list[COMPARE_BEFORE];
    struct compare_packet *after = &compare->list[COMPARE_AFTER].packets[j];
    uint32_t best = COMPARE_NONE, limit = BITS_MAX, tried = 0;
    if (limit > 2 * after->length) /* a quarter of the bits */
        limit = 2 * after->length;
    for (uint32_t i = sent_after(list, after->time); i-- > 0 && tried < CANDIDATES;
         tried++) {
        if (after->time - list->packets[i].time > window)
            break;
        uint32_t unlike = unlikeness(compare, &list->packets[i], after, limit);
        if (unlike < limit) {
            limit = unlike;
            best = i;
        }
    }
    if (best != COMPARE_NONE) {
        after->shorter = list->packets[best].length > after->length;
        join(compare, best, j);
    }
    return tried;
}

/* --- together ----------------------------------------------------------------------------- */

static uint64_t longest_delay(const struct compare *compare)
{
    const struct compare_list *after = &compare->list[COMPARE_AFTER];
    uint64_t longest = 0;
    for (uint32_t j = 0; j < after->count; j++) {
        uint32_t i = after->packets[j].match;
        if (i == COMPARE_NONE)
            continue;
        uint64_t sent = compare->list[COMPARE_BEFORE].packets[i].time;
        uint64_t delay = after->packets[j].time - sent;
        longest = delay > longest ? delay : longest;
    }
    return longest;
}

/* A router's mark changes the ECN field (RFC 3168) and the checksum over it: no damage. */
static uint32_t marked_bits(const struct frame *frame, const uint8_t *a, const uint8_t *b)
{
    uint32_t tos = frame->l3 + 1, sum = frame->l3 + 10;
    uint8_t ecn = frame->family == 4 ? 3 : 0x30;
    if (!frame->family || sum + 2 > frame->length || a[tos] == b[tos] ||
        (a[tos] ^ b[tos]) & ~ecn)
        return 0;
    uint32_t bits = distance(a + tos, b + tos, 1, 8);
    if (frame->family == 6)
        return bits;
    uint32_t summed = distance(a + sum, b + sum, 2, 16);
    return summed ? bits + summed : 0;
}

static uint32_t damaged_bits(const struct compare *compare,
                             const struct compare_packet *before,
                             const struct compare_packet *after)
{
    const uint8_t *a = compare->bytes + before->offset,
                  *b = compare->bytes + after->offset;
    struct frame frame;
    uint32_t bits = distance(a, b, after->length, UINT32_MAX);
    if (!bits)
        return 0;
    frame_parse(&frame, a, after->length);
    return bits - marked_bits(&frame, a, b);
}

static void count_bits(struct compare *compare)
{
    struct compare_list *after = &compare->list[COMPARE_AFTER];
    const struct compare_packet *before = compare->list[COMPARE_BEFORE].packets;
    uint32_t same = 0, differ = 0;
    for (uint32_t j = 0; j < after->count; j++) {
        struct compare_packet *packet = &after->packets[j];
        if (packet->match == COMPARE_NONE)
            continue;
        packet->bits = damaged_bits(compare, &before[packet->match], packet);
        if (before[packet->match].hash == packet->hash)
            *(packet->bits ? &differ : &same) += 1;
    }
    compare->routed = differ > same;
    for (uint32_t j = 0; compare->routed && j < after->count; j++) {
        struct compare_packet *packet = &after->packets[j];
        if (packet->match != COMPARE_NONE && before[packet->match].hash == packet->hash)
            packet->bits = 0;
    }
}

int compare_match(struct compare *compare)
{
    struct compare_list *after = &compare->list[COMPARE_AFTER];
    if (!make_table(compare))
        return -ENOMEM;
    for (uint32_t j = 0; j < after->count; j++)
        match_whole(compare, j);
    uint64_t longest = longest_delay(compare);
    uint64_t window = longest ? longest + longest / 2 + SLACK : WINDOW, tried = 0;
    for (uint32_t j = 0; j < after->count && tried < COMPARISONS; j++)
        if (after->packets[j].match == COMPARE_NONE)
            tried += match_damaged(compare, j, window);
    count_bits(compare);
    return 0;
}

/* --- figures ------------------------------------------------------------------------------ */

/* Behind this number a packet may have been on its way when the capture ended. */
static uint32_t last_of_interest(const struct compare *compare)
{
    const struct compare_list *after = &compare->list[COMPARE_AFTER];
    uint64_t end = 0, longest = longest_delay(compare);
    for (uint32_t j = 0; j < after->count; j++)
        end = after->packets[j].time > end ? after->packets[j].time : end;
    return end < longest ? 0 : sent_after(&compare->list[COMPARE_BEFORE], end - longest);
}

static void count_sent(const struct compare *compare, struct compare_figures *figures)
{
    bool before = false;
    for (uint32_t i = 0; i < figures->last_sent; i++) {
        const struct compare_packet *packet = &compare->list[COMPARE_BEFORE].packets[i];
        bool lost = !packet->copies;
        figures->sent++;
        figures->lost += lost;
        figures->runs += lost && !before;
        figures->duplicated += packet->copies > 1;
        figures->copies += lost ? 0 : packet->copies - 1;
        figures->ambiguous += !packet->unique;
        figures->pairs[before][lost] += i > 0;
        before = lost;
    }
}

/* In the order of arrival. A packet's extent is how many came between it and the first later
 * one; found backwards, as far as later ones reach. */
static void count_received(const struct compare *compare, struct compare_figures *figures)
{
    const struct compare_list *after = &compare->list[COMPARE_AFTER];
    const struct compare_packet *before = compare->list[COMPARE_BEFORE].packets;
    uint32_t highest = 0;
    for (uint32_t j = 0; j < after->count; j++) {
        const struct compare_packet *packet = &after->packets[j];
        figures->received++;
        figures->foreign += packet->match == COMPARE_NONE;
        figures->truncated += packet->shorter;
        figures->corrupted += packet->bits && !packet->shorter;
        figures->bits += packet->shorter ? 0 : packet->bits;
        if (packet->match == COMPARE_NONE || before[packet->match].match != j)
            continue;
        if (packet->match >= highest) {
            highest = packet->match;
            continue;
        }
        figures->reordered++;
        uint32_t extent = 0;
        for (uint32_t k = j; k-- > 0 && extent < 10000 &&
                             (after->packets[k].match == COMPARE_NONE ||
                              after->packets[k].match > packet->match);)
            extent++;
        figures->extent = extent > figures->extent ? extent : figures->extent;
    }
}

void compare_figures(const struct compare *compare, struct compare_figures *figures)
{
    *figures = (struct compare_figures){ .exempt = compare->exempt[COMPARE_BEFORE] };
    figures->last_sent = last_of_interest(compare);
    count_sent(compare, figures);
    count_received(compare, figures);
}

bool compare_delay(const struct compare *compare, uint32_t index, uint64_t *ns)
{
    const struct compare_packet *before = &compare->list[COMPARE_BEFORE].packets[index];
    if (!before->copies || !before->unique)
        return false;
    *ns = compare->list[COMPARE_AFTER].packets[before->match].time - before->time;
    return true;
}
