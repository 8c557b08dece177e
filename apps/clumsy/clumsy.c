/* Clumsy: a network path with faults, in one direction.
 *
 *     input -> [ Clumsy ] -> output
 *
 *     loss -> duplicate -> corrupt -> rate + queue -> owd + jitter + reorder -> out
 *
 * This file moves packets. What happens to them is decided in impair.c; those that have
 * to wait do so as bytes in delay_line.c, and no packet of the engine is kept meanwhile.
 *
 * A packet arrives when its timestamp says, and is released no earlier than the decided
 * time; that time is its timestamp from then on, so that in a row of these apps delays
 * add up exactly. What cannot leave, because the output is full or no packet is free,
 * waits. Packets are accounted for at any time:
 *
 *     packets + duplicated = delivered + drop_* + held
 */
#include <errno.h>
#include <stdio.h>

#include "apps/clumsy/delay_line.h"
#include "apps/clumsy/impair.h"
#include "engine/engine.h"
#include "engine/plain.h"
#include "lib/checksum.h"

#define RETRY         50000 /* ns until another try when the output was full */
#define METADATA      sizeof(struct delay_meta)
#define COPY_BITS     4          /* of a sequence number: below the packet's index */
#define EXEMPT        UINT64_MAX /* in place of a sequence number */
#define ETHERNET_TYPE 12
#define TAG_SIZE      4
#define TAGS_MAX      2
#define IPV6_HEADER   40
#define IPV6_NEXT     6
#define ICMPV6        58
#define ND_FIRST      133 /* router solicitation ... */
#define ND_LAST       137 /* ... redirect: RFC 4861, 4 */

_Static_assert(CLUMSY_COPIES_MAX < 1 << COPY_BITS, "a copy's number fits");
_Static_assert(offsetof(struct packet, chunk) - offsetof(struct packet, length) ==
                   METADATA,
               "a record holds all that is known of a packet, from its length on");

enum {
    PACKETS,
    DELIVERED,
    DUPLICATED,
    CORRUPTED,
    REORDERED,
    EXEMPTED,
    SPLIT,
    FLOOR_HITS,
    OUTPUT_FULL,
    NO_PACKET,
    DROP_GSO,
    DROP_LOSS,
    DROP_QUEUE,
    DROP_MEMORY,
    DROP_NO_OUTPUT,
    DROP_STOPPED,
    HELD,
    HELD_BYTES,
    QUEUE_PACKETS,
    QUEUE_BYTES,
};

static const struct counter_row counters[] = {
    [PACKETS] = { "packets", "packets that came in, each segment of a super-frame one" },
    [DELIVERED] = { "delivered", "packets handed to the output, copies included" },
    [DUPLICATED] = { "duplicated", "copies made" },
    [CORRUPTED] = { "corrupted", "packets and copies with flipped bits" },
    [REORDERED] = { "reordered", "delivered after a packet that came later (RFC 4737)" },
    [EXEMPTED] = { "exempt", "ARP and neighbour discovery let through untouched" },
    [SPLIT] = { "split", "super-frames split" },
    [FLOOR_HITS] = { "floor_hits", "delays raised to jitter.floor" },
    [OUTPUT_FULL] = { "output_full", "times when due packets waited for the output" },
    [NO_PACKET] = { "no_packet", "times when they waited because no packet was free" },
    [DROP_GSO] = { "drop_gso", "super-frames that cannot be split" },
    [DROP_LOSS] = { "drop_loss", "lost on purpose" },
    [DROP_QUEUE] = { "drop_queue", "refused by the queue in front of the bottleneck" },
    [DROP_MEMORY] = { "drop_memory", "not impaired but lost: the memory was used up" },
    [DROP_NO_OUTPUT] = { "drop_no_output", "due while nothing was linked" },
    [DROP_STOPPED] = { "drop_stopped", "still held when the app was stopped" },
    [HELD] = { "held", "now held" },
    [HELD_BYTES] = { "held_bytes", "memory they take" },
    [QUEUE_PACKETS] = { "queue_packets", "of them, now in the bottleneck" },
    [QUEUE_BYTES] = { "queue_bytes", "bytes of those" },
    { NULL, NULL },
};

struct clumsy {
    struct impair impair;
    struct delay_line line;
    struct histogram *lateness; /* ns from when a packet was to leave to when it did */
    uint64_t latest;            /* highest index delivered */
    bool blocked;               /* something due could not leave */
    struct plain plain;         /* of the input ... */
    uint64_t taken;             /* ... packets of it that were dealt with */
};

/* Packets that leave together. */
struct batch {
    struct app *app;
    struct link *output; /* NULL when not linked */
    uint64_t now;
    uint32_t room; /* in the output, less what is in p */
    uint32_t n;
    struct packet *p[LINK_BURST];
};

static struct batch batch_begin(struct app *app, uint64_t now)
{
    struct batch batch;
    batch.app = app;
    batch.output = app_output(app, 0);
    batch.now = now;
    batch.room = batch.output ? link_writable(batch.output) : UINT32_MAX;
    batch.n = 0;
    return batch;
}

static void batch_end(struct batch *batch)
{
    if (likely(batch->output)) {
        link_transmit_burst(batch->output, batch->p, batch->n);
        app_count(batch->app, DELIVERED, batch->n);
    } else {
        packet_free_burst(batch->p, batch->n);
        app_count(batch->app, DROP_NO_OUTPUT, batch->n);
    }
    batch->n = 0;
}

/* There must be room. */
static void batch_add(struct batch *batch, struct packet *p, uint64_t sequence)
{
    struct clumsy *clumsy = batch->app->state;
    if (batch->n == LINK_BURST)
        batch_end(batch);
    batch->p[batch->n++] = p;
    batch->room--;
    if (sequence == EXEMPT)
        return;
    uint64_t index = sequence >> COPY_BITS;
    if (likely(index >= clumsy->latest))
        clumsy->latest = index;
    else
        app_count(batch->app, REORDERED, 1);
}

/* Due packets must wait; one event until the last of them has left. */
static void block(struct app *app, uint32_t counter)
{
    struct clumsy *clumsy = app->state;
    app_count(app, counter, !clumsy->blocked);
    clumsy->blocked = true;
}

static struct packet *take_packet(uint32_t length)
{
    struct packet *p;
    if (unlikely(length > arena.chunk_size))
        return packet_allocate_large();
    return packet_take_burst(&p, 1) ? p : NULL;
}

/* Everything due by that time leaves. */
static void release(struct app *app, uint64_t due, uint64_t now)
{
    struct clumsy *clumsy = app->state;
    const struct delay_record *record;
    if (!delay_line_due(&clumsy->line, due))
        return;
    struct batch batch = batch_begin(app, now);
    while ((record = delay_line_due(&clumsy->line, due))) {
        struct packet *p = batch.room ? take_packet(record->meta.length) : NULL;
        if (unlikely(!p)) {
            block(app, batch.room ? NO_PACKET : OUTPUT_FULL);
            break;
        }
        memcpy(&p->length, &record->meta, METADATA);
        p->timestamp = record->key.release;
        packet_place(p, p->length);
        histogram_add(clumsy->lateness, now - record->key.release);
        uint64_t sequence = record->key.sequence;
        delay_line_take(&clumsy->line, p->data);
        batch_add(&batch, p, sequence);
    }
    if (!record)
        clumsy->blocked = false;
    batch_end(&batch);
}

/* The copy in p goes to the delay line, p stays the caller's. */
static bool store(struct clumsy *clumsy, const struct packet *p, const struct fate *fate,
                  uint64_t sequence)
{
    struct delay_key key = { fate->release, sequence };
    const struct delay_meta *meta = (const void *)&p->length;
    if (fate->order == IMPAIR_HELD)
        return delay_line_hold(&clumsy->line, key, meta, p->data, clumsy->impair.depth,
                               clumsy->impair.hold);
    return delay_line_add(
        &clumsy->line, fate->order == IMPAIR_IN_ORDER ? DELAY_IN_ORDER : DELAY_ANY_ORDER,
        key, meta, p->data);
}

/* May a packet leave at once? One that was to leave after its arrival may not, even when
 * that time has come: something that arrived later may have to go before it. Nor may one
 * pass what is due, or a held one, which counts what passes. */
static bool direct(const struct batch *batch, const struct fate *fate, uint64_t arrival)
{
    const struct clumsy *clumsy = batch->app->state;
    return fate->release <= arrival && batch->room && fate->order != IMPAIR_HELD &&
           delay_line_next(&clumsy->line) > arrival && !delay_line_held(&clumsy->line);
}

static void pass(struct batch *batch, struct packet *p, uint64_t arrival,
                 uint64_t sequence)
{
    p->timestamp = arrival;
    batch_add(batch, p, sequence);
}

/* The packet itself leaves or is stored and freed. */
static void place(struct batch *batch, struct packet *p, const struct fate *fate,
                  uint64_t arrival, uint64_t sequence)
{
    if (direct(batch, fate, arrival)) {
        pass(batch, p, arrival, sequence);
        return;
    }
    if (unlikely(!store(batch->app->state, p, fate, sequence)))
        app_count(batch->app, DROP_MEMORY, 1);
    packet_free(p);
}

/* A copy of the packet leaves or is stored, p stays the caller's. */
static void place_copy(struct batch *batch, const struct packet *p,
                       const struct fate *fate, uint64_t arrival, uint64_t sequence)
{
    struct packet *copy = direct(batch, fate, arrival) ? packet_clone(p) : NULL;
    if (copy)
        pass(batch, copy, arrival, sequence);
    else if (!store(batch->app->state, p, fate, sequence))
        app_count(batch->app, DROP_MEMORY, 1);
}

/* Flips bits, or flips them back. */
static void flip(struct packet *p, const uint32_t *bits, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        p->data[bits[i] / 8] ^= (uint8_t)(0x80 >> bits[i] % 8);
}

/* A checksum that somebody computes later, or that is known to be right, would hide the
 * damage: it is completed before the bits flip, and verified by the receiver. */
static void expose_checksum(struct packet *p)
{
    if (p->flags & PACKET_CSUM_PARTIAL)
        checksum_complete(p->data, p->length, p->csum_start, p->csum_offset);
    p->flags &= (uint16_t) ~(PACKET_CSUM_PARTIAL | PACKET_CSUM_VALID);
}

/* One of several copies, or one with flipped bits. */
static void deliver(struct batch *batch, struct packet *p, const struct verdict *verdict,
                    uint32_t copy, uint64_t arrival)
{
    struct clumsy *clumsy = batch->app->state;
    const struct fate *fate = &verdict->copy[copy];
    uint64_t sequence = verdict->index << COPY_BITS | copy;
    uint32_t bits[CLUMSY_BITS_MAX], n = 0;
    bool last = copy == verdict->copies - 1;
    if (fate->refused) {
        app_count(batch->app, DROP_QUEUE, 1);
        if (last)
            packet_free(p);
        return;
    }
    if (fate->bits) {
        n = impair_bits(&clumsy->impair, verdict->index, copy, p->length, fate->bits,
                        bits);
        expose_checksum(p);
        flip(p, bits, n);
        app_count(batch->app, CORRUPTED, 1);
    }
    if (last) {
        place(batch, p, fate, arrival, sequence);
        return;
    }
    place_copy(batch, p, fate, arrival, sequence);
    flip(p, bits, n);
}

static uint16_t load16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static bool is_neighbour_discovery(const uint8_t *ip, uint32_t length)
{
    return length > IPV6_HEADER && ip[IPV6_NEXT] == ICMPV6 &&
           ip[IPV6_HEADER] >= ND_FIRST && ip[IPV6_HEADER] <= ND_LAST;
}

/* ARP, or neighbour discovery, behind up to two VLAN tags? Losing these says nothing
 * about what is to be tested, and delaying them doubles the first round trip. */
static bool is_exempt(const struct packet *p)
{
    uint32_t at = ETHERNET_TYPE;
    for (uint32_t tags = 0; at + 2 <= p->length; tags++, at += TAG_SIZE) {
        uint16_t type = load16(p->data + at);
        if (type == 0x0800)
            return false;
        if (type == 0x0806)
            return true;
        if (type == 0x86dd)
            return is_neighbour_discovery(p->data + at + 2, p->length - at - 2);
        if ((type != 0x8100 && type != 0x88a8) || tags == TAGS_MAX)
            return false;
    }
    return false;
}

static void bypass(struct batch *batch, struct packet *p)
{
    struct fate fate = { .release = batch->now, .order = IMPAIR_ANY_ORDER };
    app_count(batch->app, EXEMPTED, 1);
    if (batch->room) {
        batch_add(batch, p, EXEMPT);
        return;
    }
    if (!store(batch->app->state, p, &fate, EXEMPT))
        app_count(batch->app, DROP_MEMORY, 1);
    packet_free(p);
}

/* A packet may have come while this breath was under way, but not in the future. */
static uint64_t arrival_of(struct batch *batch, const struct packet *p)
{
    if (unlikely(p->timestamp > batch->now))
        batch->now = engine_clock(batch->app->engine);
    return p->timestamp && p->timestamp <= batch->now ? p->timestamp : batch->now;
}

static void handle(struct batch *batch, struct packet *p)
{
    struct clumsy *clumsy = batch->app->state;
    const struct clumsy_conf *conf = batch->app->conf;
    struct verdict verdict;
    if (!conf->arp && unlikely(is_exempt(p))) {
        bypass(batch, p);
        return;
    }
    uint64_t arrival = arrival_of(batch, p);
    impair_decide(&clumsy->impair, arrival, p->length, &verdict);
    if (!verdict.copies) {
        app_drop(batch->app, DROP_LOSS, p);
    } else if (likely(verdict.copies == 1 && !verdict.copy[0].bits &&
                      !verdict.copy[0].refused)) {
        place(batch, p, &verdict.copy[0], arrival, verdict.index << COPY_BITS);
    } else {
        app_count(batch->app, DUPLICATED, verdict.copies - 1);
        for (uint32_t i = 0; i < verdict.copies; i++)
            deliver(batch, p, &verdict, i, arrival);
    }
}

/* Gauges, and the next wake-up. */
static void settle(struct app *app, uint64_t now)
{
    struct clumsy *clumsy = app->state;
    bottleneck_expire(&clumsy->impair.bottleneck, now);
    app->counters[FLOOR_HITS] = clumsy->impair.floor_hits;
    app->counters[HELD] = clumsy->line.count + clumsy->plain.count;
    app->counters[PACKETS] = clumsy->taken + clumsy->plain.count + clumsy->plain.bad;
    app->counters[SPLIT] = clumsy->plain.split;
    app->counters[DROP_GSO] = clumsy->plain.bad;
    app->counters[HELD_BYTES] = clumsy->line.used;
    app->counters[QUEUE_PACKETS] = bottleneck_packets(&clumsy->impair.bottleneck);
    app->counters[QUEUE_BYTES] = clumsy->impair.bottleneck.bytes;
    struct link *input = app_input(app, 0);
    bool waiting = input && plain_front(&clumsy->plain, input); /* for a free packet */
    if (!clumsy->line.count && !waiting)
        return;
    uint64_t wake =
        clumsy->blocked || waiting ? now + RETRY : delay_line_next(&clumsy->line);
    if (!timer_pending(&app->wake) || app->wake.time != wake)
        app_wake_at(app, wake);
}

/* How far time has come for what leaves: what is still to be read may arrive, and leave,
 * before other things that are due by now. */
static uint64_t horizon(const struct clumsy *clumsy, struct link *input, uint64_t now)
{
    const struct packet *p = input ? plain_front(&clumsy->plain, input) : NULL;
    return p && p->timestamp && p->timestamp < now ? p->timestamp : now;
}

/* What happens on a network happens to the segments of a super-frame, one by one. Takes
 * nothing that came after `end`, which a loop in the graph may bring. */
static uint32_t take_input(struct clumsy *clumsy, struct link *input, uint64_t end,
                           struct packet **p)
{
    uint32_t most = clumsy->plain.count || end - input->read > LINK_BURST
                        ? LINK_BURST
                        : (uint32_t)(end - input->read);
    return plain_receive_burst(&clumsy->plain, input, p, most);
}

/* What is due leaves between bursts too, at the time that it has become meanwhile. */
static void push(struct app *app)
{
    struct clumsy *clumsy = app->state;
    struct link *input = app_input(app, 0);
    uint64_t now = engine_now(app->engine);
    struct packet *p[LINK_BURST];
    uint64_t end = input ? input->write : 0;
    uint32_t n;
    release(app, horizon(clumsy, input, now), now);
    while (input && (n = take_input(clumsy, input, end, p))) {
        struct batch batch = batch_begin(app, now);
        for (uint32_t i = 0; i < n; i++)
            handle(&batch, p[i]);
        batch_end(&batch);
        clumsy->taken += n;
        if (clumsy->line.count) {
            now = engine_clock(app->engine);
            release(app, horizon(clumsy, input, now), now);
        }
    }
    settle(app, now);
}

static void configure(struct app *app, const struct clumsy_conf *conf)
{
    struct clumsy *clumsy = app->state;
    uint64_t seed = conf->seed < 0 ? app->engine->options.seed : (uint64_t)conf->seed;
    impair_configure(&clumsy->impair, conf, seed, app->name);
    clumsy->line.budget = conf->memory;
}

static int start(struct app *app, struct error *err)
{
    struct clumsy *clumsy = app->state;
    char name[NAME_SIZE + sizeof("apps//lateness_ns")];
    snprintf(name, sizeof(name), "apps/%s/lateness_ns", app->name);
    delay_line_init(&clumsy->line, 0);
    clumsy->lateness = counters_add_histogram(app->engine->counters, name);
    if (!clumsy->lateness)
        return error_set(err, ERROR_RUN, ENOSPC, "no room for the histogram of lateness");
    clumsy->plain.partial = true; /* until it is to be damaged */
    configure(app, app->conf);
    return 0;
}

static int reconfigure(struct app *app, const void *conf, struct error *err)
{
    configure(app, conf);
    return 0;
}

static void stop(struct app *app)
{
    struct clumsy *clumsy = app->state;
    app_count(app, DROP_STOPPED, clumsy->line.count + plain_drop(&clumsy->plain));
    app->counters[HELD] = 0;
    delay_line_free(&clumsy->line);
    impair_free(&clumsy->impair);
    counters_remove(app->engine->counters, clumsy->lateness);
}

static void report(struct app *app, FILE *out)
{
    const struct clumsy *clumsy = app->state;
    fprintf(out, "(left late by %.3g us at the median, %.3g us at p99)",
            (double)histogram_quantile(clumsy->lateness, 0.5) / 1e3,
            (double)histogram_quantile(clumsy->lateness, 0.99) / 1e3);
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets" },
    { "output", PORT_OUTPUT, "what is left of them, when it is time" },
    { NULL },
};

const struct app_class clumsy_class = {
    .name = "Clumsy",
    .doc = "a bad network: delay, jitter, loss, duplicates, damage, reordering, a "
           "bottleneck with its queue",
    .ports = ports,
    .params = clumsy_params,
    .conf_size = sizeof(struct clumsy_conf),
    .counters = counters,
    .state_size = sizeof(struct clumsy),
    .start = start,
    .stop = stop,
    .push = push,
    .reconfigure = reconfigure,
    .report = report,
    .verify = clumsy_verify,
};
