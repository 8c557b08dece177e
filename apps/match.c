/* Match: compares two streams of packets, for the tests of graphs.
 *
 *     input ----> [ Match ]     what a graph made of it
 *     expected -> [       ]     what should have come out
 *
 * The bytes of frames are compared, not what travels beside them. As a rule the n-th
 * packet of one stream is compared with the n-th of the other. With fuzzy = true order
 * does not matter: a packet matches any equal one of those that wait on the other side,
 * of which there are at most `window`; the oldest gives way to the next and counts as
 * missing or extra for good.
 *
 * Packets wait in the app until there is something to compare them with, at most `window`
 * on each side; in order, further ones stay on the link.
 *
 * Invariant: input + expected = 2 * (matched + mismatched) + extra + missing, where extra
 * and missing include the packets that still wait, so that they are final as soon as
 * nothing more comes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/engine.h"

struct match_conf {
    bool fuzzy;
    int64_t window;
};

/* Packets first .. first + count - 1 of an array of two windows: the front moves up, and
 * all move to the beginning when the end is reached. */
struct queue {
    struct packet **packets;
    uint32_t first, count;
    uint64_t gone; /* gave way without a match */
};

struct difference {
    uint64_t number; /* of the pair, from 1; 0: there was none */
    uint32_t offset; /* of the first byte that differs */
    uint32_t length, expected_length;
    uint8_t byte, expected_byte;
};

enum { INPUT, EXPECTED, SIDES };

struct match {
    struct queue queues[SIDES];
    struct difference difference;
};

enum { MATCHED, MISMATCHED, MISSING, EXTRA };

static const struct counter_row counters[] = {
    [MATCHED] = { "matched", "pairs of equal packets" },
    [MISMATCHED] = { "mismatched", "pairs that differ (never with fuzzy)" },
    [MISSING] = { "missing", "packets on \"expected\" without a counterpart so far" },
    [EXTRA] = { "extra", "packets on \"input\" without a counterpart so far" },
    { NULL, NULL },
};

static int start(struct app *app, struct error *err)
{
    struct match *match = app->state;
    const struct match_conf *conf = app->conf;
    for (int side = 0; side < SIDES; side++) {
        match->queues[side].packets =
            calloc(2 * (size_t)conf->window, sizeof(struct packet *));
        if (!match->queues[side].packets)
            return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    }
    return 0;
}

static struct packet *queue_take(struct queue *queue)
{
    queue->count--;
    return queue->packets[queue->first++];
}

static void queue_put(struct queue *queue, struct packet *p, uint32_t window)
{
    if (queue->first + queue->count == 2 * window) {
        memmove(queue->packets, queue->packets + queue->first,
                queue->count * sizeof(*queue->packets));
        queue->first = 0;
    }
    queue->packets[queue->first + queue->count++] = p;
}

static void stop(struct app *app)
{
    struct match *match = app->state;
    for (int side = 0; side < SIDES; side++) {
        while (match->queues[side].count)
            packet_free(queue_take(&match->queues[side]));
        free(match->queues[side].packets);
    }
}

static bool equal(const struct packet *a, const struct packet *b)
{
    return a->length == b->length && !memcmp(a->data, b->data, a->length);
}

static void note_difference(struct app *app, const struct packet *p,
                            const struct packet *expected)
{
    struct match *match = app->state;
    if (match->difference.number)
        return;
    uint32_t both = p->length < expected->length ? p->length : expected->length, at = 0;
    while (at < both && p->data[at] == expected->data[at])
        at++;
    match->difference = (struct difference){
        .number = app->counters[MATCHED] + 1,
        .offset = at,
        .length = p->length,
        .expected_length = expected->length,
        .byte = at < both ? p->data[at] : 0,
        .expected_byte = at < both ? expected->data[at] : 0,
    };
}

static void compare_fronts(struct app *app, struct queue *queues)
{
    while (queues[INPUT].count && queues[EXPECTED].count) {
        struct packet *p = queue_take(&queues[INPUT]);
        struct packet *expected = queue_take(&queues[EXPECTED]);
        if (equal(p, expected)) {
            app_count(app, MATCHED, 1);
        } else {
            note_difference(app, p, expected);
            app_count(app, MISMATCHED, 1);
        }
        packet_free(p);
        packet_free(expected);
    }
}

static bool take_in_order(struct app *app, int side)
{
    struct match *match = app->state;
    const struct match_conf *conf = app->conf;
    struct queue *queue = &match->queues[side];
    struct link *link = app_input(app, (uint32_t)side);
    bool some = false;
    while (link && !link_empty(link) && queue->count < conf->window) {
        queue_put(queue, link_receive(link), (uint32_t)conf->window);
        some = true;
    }
    return some;
}

static void push_in_order(struct app *app)
{
    struct match *match = app->state;
    bool some;
    do {
        some = take_in_order(app, INPUT);
        some |= take_in_order(app, EXPECTED);
        compare_fronts(app, match->queues);
    } while (some);
}

/* Takes the packet equal to p out of the queue; NULL when there is none. */
static struct packet *queue_find(struct queue *queue, const struct packet *p)
{
    struct packet **packets = queue->packets + queue->first;
    for (uint32_t i = 0; i < queue->count; i++)
        if (equal(packets[i], p)) {
            struct packet *found = packets[i];
            memmove(packets + 1, packets, i * sizeof(*packets));
            packets[0] = found;
            return queue_take(queue);
        }
    return NULL;
}

static bool take_fuzzy(struct app *app, int side)
{
    struct match *match = app->state;
    const struct match_conf *conf = app->conf;
    struct queue *own = &match->queues[side], *other = &match->queues[SIDES - 1 - side];
    struct link *link = app_input(app, (uint32_t)side);
    if (!link || link_empty(link))
        return false;
    struct packet *p = link_receive(link), *found = queue_find(other, p);
    if (found) {
        app_count(app, MATCHED, 1);
        packet_free(found);
        packet_free(p);
        return true;
    }
    if (own->count == conf->window) {
        own->gone++;
        packet_free(queue_take(own));
    }
    queue_put(own, p, (uint32_t)conf->window);
    return true;
}

/* One of each side in turn, so that a small window does not overflow because one side
 * was looked at first. */
static void push_fuzzy(struct app *app)
{
    bool some;
    do {
        some = take_fuzzy(app, INPUT);
        some |= take_fuzzy(app, EXPECTED);
    } while (some);
}

static uint64_t unmatched(const struct app *app, int side)
{
    const struct match *match = app->state;
    const struct link *link = app_input(app, (uint32_t)side);
    return match->queues[side].gone + match->queues[side].count +
           (link ? link_readable(link) : 0);
}

static void push(struct app *app)
{
    const struct match_conf *conf = app->conf;
    if (conf->fuzzy)
        push_fuzzy(app);
    else
        push_in_order(app);
    app->counters[EXTRA] = unmatched(app, INPUT);
    app->counters[MISSING] = unmatched(app, EXPECTED);
}

static void report(struct app *app, FILE *out)
{
    const struct match *match = app->state;
    const struct difference *d = &match->difference;
    if (!d->number)
        return;
    fprintf(out, "first difference: packet %" PRIu64 ", byte %u: ", d->number, d->offset);
    if (d->offset == d->length)
        fprintf(out, "ends there, expected %u bytes", d->expected_length);
    else if (d->offset == d->expected_length)
        fprintf(out, "%u bytes, expected to end there", d->length);
    else
        fprintf(out, "0x%02x, expected 0x%02x", d->byte, d->expected_byte);
}

static const struct port ports[] = {
    { "input", PORT_INPUT, "packets to be examined" },
    { "expected", PORT_INPUT, "what they should be" },
    { NULL },
};

static const struct param params[] = {
    PARAM_BOOL(struct match_conf, fuzzy, "false", "order does not matter"),
    PARAM_INTEGER(struct match_conf, window, "1024", "1", "65536",
                  "packets that wait for a counterpart on each side at most"),
    PARAM_END,
};

const struct app_class match_class = {
    .name = "Match",
    .doc = "compares two streams of packets",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct match_conf),
    .counters = counters,
    .state_size = sizeof(struct match),
    .start = start,
    .stop = stop,
    .push = push,
    .report = report,
};
