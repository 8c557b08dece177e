/* leave: what has waited leaves when it is time, as far as the output has room. */
#include <string.h>

#include "apps/clumsy/clumsy.h"
#include "lib/checksum.h"

struct batch batch_begin(struct app *app, uint64_t now)
{
    struct batch batch;
    batch.app = app;
    batch.output = app_output(app, 0);
    batch.now = now;
    batch.room = batch.output ? link_writable(batch.output) : UINT32_MAX;
    batch.n = 0;
    return batch;
}

void batch_end(struct batch *batch)
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

/* For the capture of what leaves; kept apart, so that nobody else saves registers for it. */
static __attribute__((noinline)) void capture(struct batch *batch, const struct packet *p,
                                              uint64_t sequence, uint64_t arrival)
{
    struct clumsy *clumsy = batch->app->state;
    bool exempt = sequence & CLUMSY_EXEMPT;
    if (batch->output)
        app_count(batch->app, CAPTURE_LOST,
                  captures_leave(clumsy->captures, p, batch->now, arrival,
                                 exempt ? UINT64_MAX : sequence >> CLUMSY_COPY_BITS,
                                 sequence & ((1 << CLUMSY_COPY_BITS) - 1)));
}

static inline void add(struct batch *batch, struct packet *p, uint64_t sequence,
                       uint64_t arrival)
{
    struct clumsy *clumsy = batch->app->state;
    if (batch->n == LINK_BURST)
        batch_end(batch);
    batch->p[batch->n++] = p;
    batch->room--;
    if (unlikely(clumsy->captures))
        capture(batch, p, sequence, arrival);
    if (sequence & CLUMSY_EXEMPT)
        return;
    uint64_t index = sequence >> CLUMSY_COPY_BITS;
    if (likely(index >= clumsy->latest))
        clumsy->latest = index;
    else
        app_count(batch->app, REORDERED, 1);
}

void batch_add(struct batch *batch, struct packet *p, uint64_t sequence, uint64_t arrival)
{
    add(batch, p, sequence, arrival);
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

/* When the packet at the head may go: in a slot, perhaps. */
static uint64_t time_of(struct clumsy *clumsy, const struct delay_record *record)
{
    uint64_t leaves = record->key.release;
    if (unlikely(clumsy->slot.active))
        leaves = slot_ready(&clumsy->slot, leaves, record->meta.length);
    return leaves;
}

static void send_head(struct batch *batch, struct packet *p,
                      const struct delay_record *record, uint64_t leaves)
{
    struct clumsy *clumsy = batch->app->state;
    memcpy(&p->length, &record->meta, CLUMSY_METADATA);
    uint64_t arrival = p->timestamp;
    histogram_add(batch->app->histograms[DELAY], leaves - arrival);
    p->timestamp = leaves;
    packet_place(p, p->length);
    histogram_add(batch->app->histograms[LATENESS], batch->now - leaves);
    uint64_t sequence = record->key.sequence;
    if (unlikely(clumsy->slot.active))
        slot_take(&clumsy->slot, record->meta.length);
    delay_line_take(&clumsy->line, p->data);
    add(batch, p, sequence, arrival);
}

void clumsy_release(struct app *app, uint64_t due, uint64_t now)
{
    struct clumsy *clumsy = app->state;
    const struct delay_record *record;
    clumsy->slot_opens = 0;
    if (!delay_line_due(&clumsy->line, due))
        return;
    struct batch batch = batch_begin(app, now);
    while ((record = delay_line_due(&clumsy->line, due))) {
        uint64_t leaves = time_of(clumsy, record);
        if (unlikely(leaves > due)) {
            clumsy->slot_opens = leaves;
            record = NULL; /* nothing is blocked */
            break;
        }
        struct packet *p = batch.room ? take_packet(record->meta.length) : NULL;
        if (unlikely(!p)) {
            block(app, batch.room ? NO_PACKET : OUTPUT_FULL);
            break;
        }
        send_head(&batch, p, record, leaves);
    }
    if (!record)
        clumsy->blocked = false;
    batch_end(&batch);
}

bool clumsy_add(struct clumsy *clumsy, const struct delay_meta *meta,
                const uint8_t *frame, const struct fate *fate, uint64_t sequence)
{
    struct delay_key key = { fate->release, sequence };
    if (fate->order == IMPAIR_HELD)
        return delay_line_hold(&clumsy->line, key, meta, frame, clumsy->impair.depth,
                               clumsy->impair.hold);
    return delay_line_add(
        &clumsy->line, fate->order == IMPAIR_ANY_ORDER ? DELAY_ANY_ORDER : DELAY_IN_ORDER,
        key, meta, frame);
}

/* --- changing places ---------------------------------------------------------------------- */

/* A parked one goes to the delay line. */
static void unpark(struct app *app, uint32_t handle, const struct fate *fate)
{
    struct clumsy *clumsy = app->state;
    const struct delay_record *parked = delay_line_parked(&clumsy->line, handle);
    uint64_t sequence = parked->key.sequence;
    struct delay_meta meta = parked->meta;
    delay_line_unpark(&clumsy->line, handle, clumsy->spare);
    app_count(app, DROP_MEMORY,
              !clumsy_add(clumsy, &meta, clumsy->spare, fate, sequence));
}

/* In order it is behind the other at the same time; where there is none, just after it. */
void clumsy_swap(struct app *app, const struct fate *fate, uint64_t sequence,
                 uint64_t flow)
{
    struct clumsy *clumsy = app->state;
    struct fate after = *fate;
    if (likely(!swap_waiting(&clumsy->swap)) || sequence & CLUMSY_EXEMPT)
        return;
    uint32_t handle = swap_take(&clumsy->swap, flow, sequence >> CLUMSY_COPY_BITS);
    if (handle == SWAP_NONE)
        return;
    after.release += fate->order == IMPAIR_ANY_ORDER;
    unpark(app, handle, &after);
}

void clumsy_give_up(struct app *app, uint64_t now)
{
    struct clumsy *clumsy = app->state;
    struct fate fate = { .order = IMPAIR_ANY_ORDER };
    uint32_t handle;
    while ((handle = swap_expired(&clumsy->swap, now, &fate.release)) != SWAP_NONE)
        unpark(app, handle, &fate);
}

/* False: it does not wait, because another one of its flow has waited for it, or for lack of
 * memory. */
static bool wait_for_partner(struct clumsy *clumsy, const struct delay_meta *meta,
                             const uint8_t *frame, const struct fate *fate,
                             uint64_t sequence, uint64_t flow)
{
    uint64_t index = sequence >> CLUMSY_COPY_BITS;
    if (swap_has(&clumsy->swap, flow))
        return false;
    uint32_t handle = delay_line_park(
        &clumsy->line, (struct delay_key){ fate->release, sequence }, meta, frame);
    if (handle == DELAY_NO_HANDLE)
        return false;
    if (swap_hold(&clumsy->swap, flow, index, fate->release + clumsy->impair.hold,
                  handle))
        return true;
    delay_line_unpark(&clumsy->line, handle, NULL);
    return false;
}

bool clumsy_store(struct app *app, const struct delay_meta *meta, const uint8_t *frame,
                  const struct fate *fate, uint64_t sequence, uint64_t flow)
{
    struct clumsy *clumsy = app->state;
    if (unlikely(fate->order == IMPAIR_SWAPPED) &&
        wait_for_partner(clumsy, meta, frame, fate, sequence, flow))
        return true;
    bool stored = clumsy_add(clumsy, meta, frame, fate, sequence);
    clumsy_swap(app, fate, sequence, flow);
    return stored;
}

void clumsy_count_held(struct app *app)
{
    const struct clumsy *clumsy = app->state;
    app->counters[HELD] = clumsy->line.count + clumsy->line.parked + clumsy->plain.count;
}

uint64_t clumsy_next(const struct clumsy *clumsy)
{
    uint64_t next =
        clumsy->slot_opens ? clumsy->slot_opens : delay_line_next(&clumsy->line);
    uint64_t gate = gate_next(clumsy->gate), swap = swap_next(&clumsy->swap);
    next = next < gate ? next : gate;
    return next < swap ? next : swap;
}

/* --- out of the queue ----------------------------------------------------------------- */

/* Congestion experienced: RFC 3168, 5. The frame says that it can be marked. */
static void mark(uint8_t *data, uint32_t length)
{
    struct frame frame;
    frame_parse(&frame, data, length);
    uint8_t *ip = data + frame.l3;
    if (frame.family == 4) {
        uint16_t from, to, checksum;
        memcpy(&from, ip, sizeof(from));
        ip[1] |= 3;
        memcpy(&to, ip, sizeof(to));
        memcpy(&checksum, ip + 10, sizeof(checksum));
        checksum = checksum_update16(checksum, from, to);
        memcpy(ip + 10, &checksum, sizeof(checksum));
    } else if (frame.family == 6) {
        ip[1] |= 3 << 4;
    }
}

static void note(struct clumsy *clumsy, const struct queue_packet *packet,
                 const char *outcome, uint64_t delay)
{
    if (clumsy->noted && !(packet->sequence & CLUMSY_EXEMPT))
        decisions_note(clumsy, packet->sequence >> CLUMSY_COPY_BITS,
                       packet->sequence & ((1 << CLUMSY_COPY_BITS) - 1), packet->arrival,
                       outcome, delay, 0);
}

/* Waits for its propagation delay now, in another lane. */
static void propagate(struct app *app, const struct queue_packet *packet,
                      uint64_t departure)
{
    struct clumsy *clumsy = app->state;
    struct delay_line *line = &clumsy->line;
    struct delay_meta meta = delay_line_parked(line, packet->handle)->meta;
    uint8_t *frame = clumsy->scratch;
    struct fate fate = { .release = departure, .order = IMPAIR_ANY_ORDER };
    delay_line_unpark(line, packet->handle, frame);
    if (packet->marked) {
        mark(frame, meta.length);
        app_count(app, MARKED, 1);
    }
    if (!(packet->sequence & CLUMSY_EXEMPT))
        impair_propagate(&clumsy->impair, departure, packet->draw,
                         packet->sequence & ((1 << CLUMSY_COPY_BITS) - 1), &fate);
    bool stored = clumsy_store(app, &meta, frame, &fate, packet->sequence, packet->flow);
    app_count(app, DROP_MEMORY, !stored);
    note(clumsy, packet, stored ? "pass" : "memory", fate.release - packet->arrival);
}

void clumsy_passed(void *user, const struct queue_packet *packet, uint64_t departure)
{
    struct app *app = user;
    struct clumsy *clumsy = app->state;
    if (packet->lost) {
        delay_line_unpark(&clumsy->line, packet->handle, NULL);
        app_count(app, DROP_LOSS, 1);
        note(clumsy, packet, "loss", 0);
    } else {
        propagate(app, packet, departure);
    }
    clumsy_count_held(app); /* another one's breath, perhaps */
    uint64_t next = clumsy_next(clumsy);
    if (!timer_pending(&app->wake) || app->wake.time > next)
        app_wake_at(app, next);
}

void clumsy_dropped(void *user, const struct queue_packet *packet,
                    enum queue_reason reason)
{
    struct app *app = user;
    struct clumsy *clumsy = app->state;
    delay_line_unpark(&clumsy->line, packet->handle, NULL);
    clumsy_count_held(app);
    app_count(app, reason == QUEUE_AQM ? DROP_AQM : DROP_QUEUE, 1);
    note(clumsy, packet, reason == QUEUE_AQM ? "aqm" : "queue", 0);
}
