/* queue: packets that wait for the bottleneck. */
#include "apps/clumsy/queue.h"

#include <stdlib.h>

#include "apps/clumsy/fq_codel.h"
#include "apps/clumsy/pie.h"
#include "apps/clumsy/queue_flows.h"
#include "apps/clumsy/red.h"

#define BATCH_MOST 64   /* packets that the fattest flow loses at once, RFC 8290, 4.1 */
#define FULL_FRAME 1514 /* bytes, of a limit in packets */

struct queue {
    queue_drop_fn *drop;
    void *user;
    int victim, aqm; /* enum queue_drop, enum queue_aqm */
    bool ecn;
    uint64_t rate, now;
    uint64_t limit_packets, limit_bytes; /* exceeded are both; 0: none */
    struct random_key random, pie_random, red_random;
    struct queue_flows flows;
    struct fq fq;
    struct codel_conf codel_conf;
    struct pie_conf pie_conf;
    struct pie pie;
    struct red_conf red_asked, red_conf; /* without the defaults, and with them */
    struct red red;
};

struct queue *queue_new(queue_drop_fn *drop, void *user)
{
    struct queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return NULL;
    queue->drop = drop;
    queue->user = user;
    if (!flows_init(&queue->flows) || !fq_init(&queue->fq)) {
        queue_free(queue);
        return NULL;
    }
    return queue;
}

uint64_t queue_packets(const struct queue *queue)
{
    return queue->flows.packets;
}

uint64_t queue_bytes(const struct queue *queue)
{
    return queue->flows.bytes;
}

/* --- packets that go ------------------------------------------------------------------ */

static struct queue_packet take(struct queue *queue, struct queue_node *node)
{
    struct queue_packet packet = node->packet;
    flows_remove(&queue->flows, node);
    if (!queue->flows.packets)
        red_empty(&queue->red, queue->now);
    return packet;
}

static void discard(struct queue *queue, struct queue_node *node,
                    enum queue_reason reason)
{
    struct queue_packet packet = take(queue, node);
    queue->drop(queue->user, &packet, reason);
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    for (uint32_t flow = 0; flow < queue->flows.count; flow++)
        while (queue->flows.fifos[flow].packets)
            discard(queue, flows_head(&queue->flows, flow), QUEUE_FULL);
    flows_free(&queue->flows);
    fq_free(&queue->fq);
    free(queue);
}

static void purge_flow(struct queue *queue, uint32_t flow, uint16_t owner)
{
    uint32_t left = queue->flows.fifos[flow].packets;
    uint32_t index = queue->flows.fifos[flow].head;
    while (left--) {
        struct queue_node *node = &queue->flows.nodes[index];
        index = node->next;
        if (node->packet.owner == owner)
            discard(queue, node, QUEUE_FULL);
    }
}

void queue_purge(struct queue *queue, uint16_t owner)
{
    for (uint32_t flow = 0; flow < queue->flows.count; flow++)
        purge_flow(queue, flow, owner);
}

static bool exceeds(const struct queue *queue, uint64_t packets, uint64_t bytes)
{
    if (packets > QUEUE_MOST)
        return true;
    if (queue->limit_packets && packets <= queue->limit_packets)
        return false;
    if (queue->limit_bytes && bytes <= queue->limit_bytes)
        return false;
    return queue->limit_packets || queue->limit_bytes;
}

static bool is_over(const struct queue *queue)
{
    return queue->flows.packets > 1 &&
           exceeds(queue, queue->flows.packets, queue->flows.bytes);
}

/* A flood that fills the queue loses a batch from its head, and so hears of it soon. */
static void shrink_fattest(struct queue *queue)
{
    uint32_t flow = flows_fattest(&queue->flows);
    uint32_t batch = queue->flows.fifos[flow].packets / 2;
    batch = batch < 1 ? 1 : batch > BATCH_MOST ? BATCH_MOST : batch;
    while (batch--)
        discard(queue, flows_head(&queue->flows, flow), QUEUE_FULL);
}

/* The new one is among those that may go. */
static void make_room(struct queue *queue, uint64_t draw)
{
    while (is_over(queue)) {
        if (queue->aqm == AQM_FQ_CODEL) {
            shrink_fattest(queue);
        } else if (queue->victim == QUEUE_RANDOM) {
            draw = random_draw(&queue->random, draw);
            discard(queue, flows_any(&queue->flows, draw), QUEUE_FULL);
        } else {
            discard(queue, flows_head(&queue->flows, 0), QUEUE_FULL);
        }
    }
}

/* --- arrival -------------------------------------------------------------------------- */

static struct pie_backlog backlog_of(const struct queue *queue)
{
    struct pie_backlog backlog = { .bytes = queue->flows.bytes, .rate = queue->rate };
    if (queue->flows.packets)
        backlog.oldest = flows_head(&queue->flows, 0)->packet.arrival;
    return backlog;
}

static void advance(struct queue *queue, uint64_t now)
{
    queue->now = now;
    if (queue->aqm != AQM_PIE)
        return;
    struct pie_backlog backlog = backlog_of(queue);
    pie_advance(&queue->pie, &queue->pie_conf, now, &backlog);
}

static bool can_mark(const struct queue *queue, const struct queue_packet *packet)
{
    return queue->ecn && packet->ect;
}

/* Is the new packet dropped by the AQM? Or marked by it. */
static bool refused(struct queue *queue, struct queue_packet *packet)
{
    bool drops = false, mark = can_mark(queue, packet);
    if (queue->aqm == AQM_RED) {
        drops = red_arrives(&queue->red, &queue->red_conf, queue->now, queue->flows.bytes,
                            random_unit(&queue->red_random, packet->draw));
    } else if (queue->aqm == AQM_PIE) {
        struct pie_backlog backlog = backlog_of(queue);
        drops = pie_drops(&queue->pie, &queue->pie_conf, queue->now, &backlog,
                          random_unit(&queue->pie_random, packet->draw));
        mark = mark && queue->pie.probability <= PIE_ECN_MOST;
    }
    packet->marked |= drops && mark;
    return drops && !mark;
}

/* Those that put others out must fit the queue when it is empty. */
static bool is_full(const struct queue *queue, uint32_t length)
{
    const struct queue_flows *flows = &queue->flows;
    if (!flows->packets)
        return false;
    if (queue->aqm == AQM_FQ_CODEL || queue->victim != QUEUE_TAIL)
        return exceeds(queue, 1, length);
    return exceeds(queue, flows->packets + 1ull, flows->bytes + length);
}

void queue_push(struct queue *queue, uint64_t now, const struct queue_packet *packet)
{
    struct queue_packet arrived = *packet;
    advance(queue, now);
    if (refused(queue, &arrived)) { /* before the limit: RED averages over all */
        queue->drop(queue->user, packet, QUEUE_AQM);
        return;
    }
    if (!queue->flows.packets)
        fq_rest(&queue->fq);
    uint32_t flow = is_full(queue, packet->length)
                        ? FLOWS_NONE
                        : flows_append(&queue->flows, &arrived);
    if (flow == FLOWS_NONE) {
        queue->drop(queue->user, packet, QUEUE_FULL);
        return;
    }
    if (queue->aqm == AQM_FQ_CODEL)
        fq_wake(&queue->fq, flow);
    make_room(queue, packet->draw);
}

/* --- departure ------------------------------------------------------------------------ */

static bool codel_refuses(struct queue *queue, uint32_t flow,
                          const struct queue_packet *packet)
{
    if (queue->aqm != AQM_CODEL && queue->aqm != AQM_FQ_CODEL)
        return false;
    uint64_t now = queue->now;
    uint64_t sojourn = now > packet->arrival ? now - packet->arrival : 0;
    return codel_drops(&queue->fq.flows[flow].codel, &queue->codel_conf, now, sojourn,
                       queue->flows.bytes - packet->length);
}

bool queue_pop(struct queue *queue, uint64_t now, struct queue_packet *packet)
{
    advance(queue, now);
    while (queue->flows.packets) {
        uint32_t flow =
            queue->aqm == AQM_FQ_CODEL ? fq_next(&queue->fq, &queue->flows) : 0;
        struct queue_node *head = flows_head(&queue->flows, flow);
        bool refuses = codel_refuses(queue, flow, &head->packet);
        if (refuses && !can_mark(queue, &head->packet)) {
            discard(queue, head, QUEUE_AQM);
            continue;
        }
        *packet = take(queue, head);
        packet->marked |= refuses;
        fq_charge(&queue->fq, flow, packet->length);
        return true;
    }
    return false;
}

/* --- configuration -------------------------------------------------------------------- */

static uint64_t or_default(uint64_t value, uint64_t other)
{
    return value ? value : other;
}

static uint64_t bytes_in(uint64_t ns, uint64_t rate)
{
    double bytes = (double)ns * (double)rate / 8e9;
    return bytes < 1 ? 1 : bytes > 1e18 ? (uint64_t)1e18 : (uint64_t)bytes;
}

/* Exceeding a size and a time is exceeding the larger. */
static void set_limit(struct queue *queue, const struct limit *limit, uint64_t rate)
{
    queue->limit_packets = limit->packets;
    queue->limit_bytes = limit->bytes;
    if (limit->ns && rate) {
        uint64_t bytes = bytes_in(limit->ns, rate);
        if (queue->limit_bytes < bytes)
            queue->limit_bytes = bytes;
    } else if (limit->ns && queue->limit_packets < QUEUE_PACKETS) {
        queue->limit_packets = QUEUE_PACKETS;
    }
}

static struct red_conf red_conf_of(const struct queue *queue)
{
    struct red_conf red = queue->red_asked;
    bool asked = red.min > 0;
    double limit = (double)queue->limit_packets * FULL_FRAME;
    if (limit < (double)queue->limit_bytes)
        limit = (double)queue->limit_bytes;
    red.min = asked ? red.min : limit / 12;
    red.max = red.max > 0 ? red.max : limit / 4;
    red.rate = queue->rate;
    if (red.max <= red.min && asked)
        red.max = 3 * red.min;
    else if (red.max <= red.min)
        red.min = red.max / 3;
    return red;
}

static bool set_flows(struct queue *queue, uint32_t count, struct random_key key)
{
    struct fq fq = { .quantum = queue->fq.quantum };
    if (!fq_resize(&fq, count))
        return false;
    if (!flows_resize(&queue->flows, count, key)) {
        fq_free(&fq);
        return false;
    }
    fq_free(&queue->fq);
    queue->fq = fq;
    return true;
}

static bool is_same_key(struct random_key a, struct random_key b)
{
    return a.a == b.a && a.b == b.b;
}

/* Flows are sorted anew only where they change, for that forgets their turns. */
static bool configure_flows(struct queue *queue, const struct queue_conf *conf,
                            struct random_key key)
{
    bool other = conf->aqm != queue->aqm;
    bool fair = conf->aqm == AQM_FQ_CODEL;
    uint32_t count = fair ? (uint32_t)conf->flows : 1;
    queue->fq.quantum = conf->quantum;
    if (!other && count == queue->flows.count &&
        (!fair || is_same_key(key, queue->flows.key)))
        return true;
    if (!set_flows(queue, count, key))
        return false;
    for (uint32_t flow = 0; fair && flow < queue->flows.count; flow++)
        if (queue->flows.fifos[flow].packets)
            fq_wake(&queue->fq, flow);
    return true;
}

/* A discipline starts afresh; one that was there before goes on with what it knows. */
static void set_discipline(struct queue *queue, const struct queue_conf *conf,
                           struct random_key key)
{
    bool other = conf->aqm != queue->aqm;
    if (!configure_flows(queue, conf, key))
        return;
    queue->aqm = conf->aqm;
    if (!other)
        return;
    queue->pie = (struct pie){ 0 };
    queue->red = (struct red){ .empty_since = queue->red.empty_since };
}

void queue_describe(struct queue *queue, const struct limit *limit, uint64_t rate)
{
    queue->rate = rate;
    set_limit(queue, limit, rate);
    queue->red_conf = red_conf_of(queue);
}

void queue_configure(struct queue *queue, const struct queue_conf *conf,
                     const struct limit *limit, uint64_t rate, uint64_t seed,
                     const char *name)
{
    queue->victim = conf->drop;
    queue->ecn = conf->ecn;
    queue->random = random_key(seed, name, "queue-random");
    queue->pie_random = random_key(seed, name, "queue-pie");
    queue->red_random = random_key(seed, name, "queue-red");
    queue->codel_conf = (struct codel_conf){ or_default(conf->target, CODEL_TARGET),
                                             or_default(conf->interval, CODEL_INTERVAL) };
    queue->pie_conf = (struct pie_conf){ or_default(conf->target, PIE_TARGET),
                                         or_default(conf->interval, PIE_INTERVAL) };
    queue->red_asked = (struct red_conf){ .min = (double)conf->min,
                                          .max = (double)conf->max,
                                          .probability = conf->probability };
    queue_describe(queue, limit, rate);
    set_discipline(queue, conf, random_key(seed, name, "queue-flow"));
}
