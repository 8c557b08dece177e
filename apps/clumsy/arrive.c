/* arrive: packets come in, are judged, damaged, and go on or have to wait. */
#include <string.h>

#include "apps/clumsy/answer.h"
#include "apps/clumsy/clumsy.h"
#include "apps/clumsy/damage.h"
#include "lib/checksum.h"

#define ETHERNET_TYPE 12
#define TAG_SIZE      4
#define TAGS_MAX      2
#define IPV6_HEADER   40
#define IPV6_NEXT     6
#define ICMPV6        58
#define ND_FIRST      133 /* router solicitation ... */
#define ND_LAST       137 /* ... redirect: RFC 4861, 4 */

/* What is known of a packet while it is dealt with. */
struct arriving {
    struct packet *p;
    uint64_t arrival;
    uint64_t content;   /* for the log of decisions */
    uint64_t draw;      /* for the capture */
    struct frame frame; /* when it is looked at */
};

static const struct clumsy_conf *conf_of(const struct batch *batch)
{
    return batch->app->conf;
}

/* Runs of losses: what arrives ends one. */
static inline void note_run(struct app *app, bool lost)
{
    struct clumsy *clumsy = app->state;
    if (unlikely(lost)) {
        clumsy->run++;
    } else if (unlikely(clumsy->run)) {
        histogram_add(app->histograms[LOSS_RUNS], clumsy->run);
        clumsy->run = 0;
    }
}

static void note(struct batch *batch, const struct arriving *in, uint64_t index,
                 uint32_t copy, const char *outcome, uint64_t delay)
{
    struct clumsy *clumsy = batch->app->state;
    if (unlikely(clumsy->noted))
        decisions_note(clumsy, index, copy, in->arrival, outcome, delay, in->content);
}

/* --- where a packet goes ------------------------------------------------------------------ */

static bool store(struct batch *batch, const struct packet *p, const struct fate *fate,
                  uint64_t sequence, uint64_t flow)
{
    return clumsy_store(batch->app, (const void *)&p->length, p->data, fate, sequence,
                        flow);
}

/* May a packet leave at once? One that was to leave after its arrival may not, even when
 * that time has come: something that arrived later may have to go before it. Nor may one
 * pass what is due, or a held one, which counts what passes. */
static bool direct(const struct batch *batch, const struct fate *fate, uint64_t arrival)
{
    const struct clumsy *clumsy = batch->app->state;
    return fate->release <= arrival && batch->room && fate->order < IMPAIR_HELD &&
           delay_line_next(&clumsy->line) > arrival && !delay_line_held(&clumsy->line) &&
           !clumsy->slot.active;
}

static void pass(struct batch *batch, struct packet *p, uint64_t sequence)
{
    histogram_add(batch->app->histograms[DELAY], 0);
    batch_add(batch, p, sequence, p->timestamp);
}

/* Into the queue; p stays the caller's. */
static bool enqueue(struct batch *batch, const struct arriving *in,
                    const struct packet *p, const struct fate *fate, uint64_t draw,
                    uint64_t sequence)
{
    struct clumsy *clumsy = batch->app->state;
    const struct frame *frame = &in->frame;
    struct delay_key key = { in->arrival, sequence };
    struct queue_packet packet = {
        .arrival = in->arrival,
        .sequence = sequence,
        .draw = draw,
        .flow = frame_flow(frame),
        .length = p->length,
        .ect = frame_ecn(frame),
        .lost = fate->lost,
        .handle = delay_line_park(&clumsy->line, key, (const void *)&p->length, p->data),
    };
    if (packet.handle == DELAY_NO_HANDLE)
        return false;
    gate_push(clumsy->gate, clumsy->number, in->arrival, &packet);
    return true;
}

/* A copy leaves, or waits; with `last` it is the packet itself, which is gone then. */
static void place(struct batch *batch, const struct arriving *in, struct packet *p,
                  const struct fate *fate, const struct verdict *verdict, uint32_t copy,
                  bool last)
{
    struct clumsy *clumsy = batch->app->state;
    uint64_t sequence = verdict->index << CLUMSY_COPY_BITS | copy;
    if (unlikely(fate->order == IMPAIR_QUEUED)) {
        bool parked = enqueue(batch, in, p, fate, verdict->draw, sequence);
        app_count(batch->app, DROP_MEMORY, !parked);
        if (!parked)
            note(batch, in, verdict->index, copy, "memory", 0);
    } else {
        struct packet *out = !direct(batch, fate, in->arrival) ? NULL
                             : last                            ? p
                                                               : packet_clone(p);
        uint64_t flow = clumsy->impair.swap ? frame_flow(&in->frame) : 0;
        bool kept = out || store(batch, p, fate, sequence, flow);
        app_count(batch->app, DROP_MEMORY, !kept);
        note(batch, in, verdict->index, copy, kept ? "pass" : "memory",
             fate->release - in->arrival);
        if (out) {
            pass(batch, out, sequence);
            clumsy_swap(batch->app, fate, sequence, flow);
            if (last)
                return;
        }
    }
    if (last)
        packet_free(p);
}

/* --- damage ------------------------------------------------------------------------------- */

/* A checksum that somebody computes later, or that is known to be right, would hide the
 * damage: it is completed before anything changes, and verified by the receiver. */
static void expose_checksum(struct packet *p)
{
    if (p->flags & PACKET_CSUM_PARTIAL)
        checksum_complete(p->data, p->length, p->csum_start, p->csum_offset);
    p->flags &= (uint16_t) ~(PACKET_CSUM_PARTIAL | PACKET_CSUM_VALID);
}

static void damage(struct batch *batch, struct packet *p, const struct fate *fate,
                   uint64_t draw, uint32_t copy)
{
    struct clumsy *clumsy = batch->app->state;
    const struct clumsy_conf *conf = conf_of(batch);
    expose_checksum(p);
    if (fate->length < p->length) {
        p->length = fate->length;
        damage_truncate(p->data, p->length, conf->truncate.fix);
        app_count(batch->app, TRUNCATED, 1);
    }
    if (fate->bits) {
        struct random_key key = impair_damage_key(&clumsy->impair, draw, copy);
        uint32_t hit =
            damage_corrupt(&conf->corrupt, &key, p->data, p->length, fate->bits);
        app_count(batch->app, CORRUPTED, hit > 0);
    }
}

/* A packet on the way back to the sender. */
static struct packet *answer(struct batch *batch)
{
    struct packet *p = app_output(batch->app, 1) ? packet_allocate() : NULL;
    app_count(batch->app, p ? ANSWERED : ANSWERS_LOST, 1);
    return p;
}

/* A tag that hardware took out of the packet is one of the answer, too. */
static void send_answer(struct batch *batch, const struct arriving *in, struct packet *p,
                        uint32_t length)
{
    p->length = length;
    p->timestamp = in->arrival;
    p->flags |= in->p->flags & PACKET_VLAN;
    p->vlan_tci = in->p->vlan_tci;
    p->vlan_tpid = in->p->vlan_tpid;
    app_transmit(app_output(batch->app, 1), p);
}

static void answer_mtu(struct batch *batch, const struct arriving *in)
{
    const struct clumsy_conf *conf = conf_of(batch);
    uint8_t frame[ANSWER_SIZE];
    uint32_t length =
        conf->mtu.icmp ? answer_too_big(&in->frame, (uint32_t)conf->mtu.max, frame) : 0;
    struct packet *p = length ? answer(batch) : NULL;
    if (!p)
        return;
    memcpy(p->data, frame, length);
    send_answer(batch, in, p, length);
}

/* The connection of this packet is torn down: by packets of our own, of which the one to the
 * receiver takes its place, or by its flag. */
static void reset(struct batch *batch, struct arriving *in)
{
    const struct rst_conf *conf = &conf_of(batch)->rst;
    struct packet *back = NULL;
    app_count(batch->app, RESETS, 1);
    expose_checksum(in->p);
    if (conf->mode == RESET_FLIP) {
        answer_flip(&in->frame, in->p->data);
        return;
    }
    if (conf->side != SIDE_B)
        back = answer(batch);
    if (back)
        send_answer(batch, in, back, answer_reset(&in->frame, true, back->data));
    if (conf->side != SIDE_A) {
        uint8_t frame[ANSWER_SIZE];
        in->p->length = answer_reset(&in->frame, false, frame);
        memcpy(in->p->data, frame, in->p->length);
        frame_parse(&in->frame, in->p->data, in->p->length);
    }
}

/* --- what becomes of a packet ------------------------------------------------------------- */

static const struct {
    enum clumsy_counter counter;
    const char *name;
} reasons[] = {
    [OUTCOME_DOWN] = { DROP_DOWN, "down" },    [OUTCOME_DROP] = { DROP_PATTERN, "drop" },
    [OUTCOME_LOSS] = { DROP_LOSS, "loss" },    [OUTCOME_TOO_BIG] = { DROP_MTU, "mtu" },
    [OUTCOME_QUEUE] = { DROP_QUEUE, "queue" },
};

static void drop_copy(struct batch *batch, const struct arriving *in,
                      const struct verdict *verdict, uint32_t copy)
{
    uint8_t outcome = verdict->copies ? verdict->copy[copy].outcome : verdict->outcome;
    app_count(batch->app, reasons[outcome].counter, 1);
    note(batch, in, verdict->index, copy, reasons[outcome].name, 0);
    if (outcome == OUTCOME_TOO_BIG && !copy)
        answer_mtu(batch, in);
}

/* One of several copies, or one that is damaged or dropped. What a copy does to the bytes is
 * undone for the next one. */
static void deliver(struct batch *batch, const struct arriving *in,
                    const struct verdict *verdict, uint32_t copy)
{
    struct clumsy *clumsy = batch->app->state;
    const struct fate *fate = &verdict->copy[copy];
    struct packet *p = in->p;
    bool last = copy == verdict->copies - 1;
    if (fate->outcome != OUTCOME_PASS) {
        drop_copy(batch, in, verdict, copy);
        if (last)
            packet_free(p);
        return;
    }
    bool damaged = fate->bits || fate->length < p->length;
    uint32_t length = p->length;
    if (damaged) {
        expose_checksum(p);
        if (!last)
            memcpy(clumsy->scratch, p->data, length);
        damage(batch, p, fate, verdict->draw, copy);
    }
    bool gone = fate->order == IMPAIR_QUEUED; /* the gate may use the scratch */
    if (damaged && !last && gone)
        memcpy(clumsy->scratch + PACKET_LARGE, clumsy->scratch, length);
    place(batch, in, p, fate, verdict, copy, last);
    if (damaged && !last) {
        p->length = length;
        memcpy(p->data, clumsy->scratch + (gone ? PACKET_LARGE : 0), length);
    }
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
        uint16_t type = frame_u16(p->data + at);
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

/* Those that are not impaired keep their order by numbers of their own. */
static uint64_t exempt_sequence(struct clumsy *clumsy)
{
    return CLUMSY_EXEMPT | clumsy->exempted++;
}

/* Leaves at once, or at that time. */
static void bypass(struct batch *batch, struct packet *p, uint64_t release)
{
    struct clumsy *clumsy = batch->app->state;
    struct fate fate = { .release = release, .order = IMPAIR_ANY_ORDER };
    uint64_t sequence = exempt_sequence(clumsy);
    if (batch->room && release <= batch->now &&
        delay_line_next(&clumsy->line) > release) {
        p->timestamp = release;
        batch_add(batch, p, sequence, release);
        return;
    }
    if (!store(batch, p, &fate, sequence, 0))
        app_count(batch->app, DROP_MEMORY, 1);
    packet_free(p);
}

/* Traffic that is not to be impaired meets what the others share with it: times without a
 * path, and a bottleneck of several. */
static void handle_unmatched(struct batch *batch, struct arriving *in)
{
    struct clumsy *clumsy = batch->app->state;
    struct impair *impair = &clumsy->impair;
    struct packet *p = in->p;
    struct fate fate = { .release = in->arrival, .order = IMPAIR_ANY_ORDER };
    app_count(batch->app, UNMATCHED, 1);
    if (impair->outage.active && outage_at(&impair->outage, in->arrival)) {
        if (!impair->outage.hold) {
            app_drop(batch->app, DROP_DOWN, p);
            return;
        }
        fate.release = outage_over(&impair->outage, in->arrival);
    }
    if (!conf_of(batch)->rate.shared) {
        bypass(batch, p, fate.release);
        return;
    }
    uint64_t sequence = exempt_sequence(clumsy);
    if (impair->queued) {
        bool parked = enqueue(batch, in, p, &fate, 0, sequence);
        app_count(batch->app, DROP_MEMORY, !parked);
    } else if (!bottleneck_pass(impair->bottleneck, in->arrival, p->length,
                                &fate.release)) {
        app_count(batch->app, DROP_QUEUE, 1);
    } else if (!store(batch, p, &fate, sequence, 0)) {
        app_count(batch->app, DROP_MEMORY, 1);
    }
    packet_free(p);
}

/* A packet may have come while this breath was under way, but not in the future. */
static uint64_t arrival_of(struct batch *batch, const struct packet *p)
{
    if (unlikely(p->timestamp > batch->now))
        batch->now = engine_clock(batch->app->engine);
    return p->timestamp && p->timestamp <= batch->now ? p->timestamp : batch->now;
}

/* What the trace says of the link is for the queue, too. */
static void describe_link(struct clumsy *clumsy)
{
    const struct impair *impair = &clumsy->impair;
    const struct bottleneck_conf *link = &clumsy->gate->bottleneck.conf;
    bool rate = impair->trace.columns & TRACE_RATE;
    gate_describe(clumsy->gate, &link->limit, rate ? impair->described.rate : link->rate);
}

static void handle_impaired(struct batch *batch, struct arriving *in)
{
    struct clumsy *clumsy = batch->app->state;
    struct subject subject = { in->arrival, in->p->length, &in->frame };
    struct verdict verdict;
    impair_decide(&clumsy->impair, &subject, &verdict);
    in->draw = verdict.draw;
    if (clumsy->gate->queue && clumsy->impair.trace.columns)
        describe_link(clumsy);
    note_run(batch->app, verdict.outcome == OUTCOME_LOSS);
    if (verdict.reset)
        reset(batch, in);
    if (!verdict.copies) {
        drop_copy(batch, in, &verdict, 0);
        packet_free(in->p);
        return;
    }
    app_count(batch->app, DUPLICATED, verdict.copies - 1);
    for (uint32_t i = 0; i < verdict.copies; i++)
        deliver(batch, in, &verdict, i);
}

/* The captures have the packet as it was before anything is done to it. */
static void handle_captured(struct batch *batch, struct arriving *in, bool matches)
{
    struct clumsy *clumsy = batch->app->state;
    struct captures *captures = clumsy->captures;
    uint32_t lost = 0;
    if (matches) {
        captures_arrive(captures, in->p, in->arrival, clumsy->impair.index);
        handle_impaired(batch, in);
        lost = captures_judged(captures, in->draw);
    } else {
        lost = captures_pass(captures, in->p, in->arrival, "unmatched");
        handle_unmatched(batch, in);
    }
    app_count(batch->app, CAPTURE_LOST, lost);
}

/* Everything that only some networks do. */
static void handle_unusual(struct batch *batch, struct packet *p, uint64_t arrival)
{
    struct clumsy *clumsy = batch->app->state;
    struct arriving in = { .p = p, .arrival = arrival };
    frame_parse(&in.frame, p->data, p->length);
    if (clumsy->decisions)
        in.content = frame_content(&in.frame);
    if (clumsy->gate->queue)
        gate_advance(clumsy->gate, arrival);
    bool matches =
        !clumsy->matches || capture_filter_matches(&clumsy->match, p->data, p->length);
    if (clumsy->captures)
        handle_captured(batch, &in, matches);
    else if (matches)
        handle_impaired(batch, &in);
    else
        handle_unmatched(batch, &in);
}

static void handle_usual(struct batch *batch, struct packet *p, uint64_t arrival)
{
    struct clumsy *clumsy = batch->app->state;
    struct fate fate;
    uint64_t index;
    uint8_t outcome =
        impair_decide_usual(&clumsy->impair, arrival, p->length, &index, &fate);
    uint64_t sequence = index << CLUMSY_COPY_BITS;
    if (unlikely(outcome != OUTCOME_PASS)) {
        clumsy->run += outcome == OUTCOME_LOSS;
        app_drop(batch->app, reasons[outcome].counter, p);
        return;
    }
    note_run(batch->app, false);
    if (direct(batch, &fate, arrival)) {
        pass(batch, p, sequence);
        return;
    }
    if (unlikely(!clumsy_add(clumsy, (const void *)&p->length, p->data, &fate, sequence)))
        app_count(batch->app, DROP_MEMORY, 1);
    packet_free(p);
}

void clumsy_handle(struct batch *batch, struct packet *p)
{
    const struct clumsy *clumsy = batch->app->state;
    uint64_t arrival = p->timestamp = arrival_of(batch, p);
    if (!conf_of(batch)->arp && unlikely(is_exempt(p))) {
        app_count(batch->app, EXEMPTED, 1);
        if (unlikely(clumsy->captures))
            app_count(batch->app, CAPTURE_LOST,
                      captures_pass(clumsy->captures, p, arrival, "exempt"));
        bypass(batch, p, arrival);
        return;
    }
    if (likely(clumsy->usual))
        handle_usual(batch, p, arrival);
    else
        handle_unusual(batch, p, arrival);
}
