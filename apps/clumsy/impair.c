/* impair: what happens to each packet, decided from what is known when it arrives. */
#include "apps/clumsy/impair.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/clumsy/damage.h"

#define RESET_STREAMS 4096 /* TCP connections that are remembered */

/* --- parameters ------------------------------------------------------------------------ */

static bool same_file(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

/* A trace that has not changed goes on where it is. */
static int configure_trace(struct impair *impair, const struct trace_conf *conf,
                           struct error *err)
{
    struct trace_conf *old = &impair->trace_conf;
    if (same_file(old->file, conf->file) && value_equal(&old->rows, &conf->rows) &&
        old->bytes == conf->bytes && old->after == conf->after &&
        old->interp == conf->interp)
        return 0;
    trace_free(&impair->trace);
    free(old->file);
    value_free(&old->rows);
    *old = *conf;
    old->file = conf->file ? strdup(conf->file) : NULL;
    old->rows = value_copy(&conf->rows);
    if (!conf->file && conf->rows.kind == VALUE_NIL)
        return 0;
    return trace_load(&impair->trace, conf, err);
}

static bool has_trace(const struct impair *impair, unsigned column)
{
    return impair->trace.columns & column;
}

/* Does the trace say when packets leave? */
static bool has_link(const struct impair *impair)
{
    return impair->trace.opportunities || has_trace(impair, TRACE_RATE);
}

void impair_own(struct impair *impair, const struct clumsy_conf *conf)
{
    impair->has_rate = conf->rate.rate || has_link(impair);
    if (!impair->has_rate)
        return;
    struct bottleneck_conf bottleneck = {
        .rate = conf->rate.rate,
        .overhead = conf->rate.overhead,
        .cell = conf->rate.cell,
        .cell_overhead = conf->rate.cell_overhead,
        .burst = conf->rate.burst,
        .count = conf->rate.count,
        .limit = clumsy_queue_limit(conf),
        .trace = has_link(impair) ? &impair->trace : NULL,
        .outage = impair->outage.active && impair->outage.hold ? &impair->outage : NULL,
        .start = impair->start,
    };
    bottleneck_configure(impair->bottleneck, &bottleneck);
}

static void configure_reorder(struct impair *impair, const struct reorder_conf *conf,
                              struct random_key key, bool netem)
{
    impair->overtaking = conf->p > 0;
    event_configure(&impair->reorder, key, conf->p, conf->corr, netem);
    impair->early = conf->mode == REORDER_EARLY;
    impair->swap = conf->p > 0 && conf->mode == REORDER_SWAP;
    impair->gap = conf->gap;
    impair->depth = conf->depth ? (uint32_t)conf->depth : UINT32_MAX;
    impair->hold = conf->hold;
}

static int configure_delay(struct impair *impair, const struct clumsy_conf *conf,
                           uint64_t seed, const char *name, struct error *err)
{
    const struct jitter_conf *jitter = &conf->jitter;
    struct jitter_conf described; /* by the trace, where that is */
    int error = 0;
    impair->owd = conf->owd;
    impair->floor = (double)jitter->floor;
    if (has_trace(impair, TRACE_JITTER)) {
        described = conf->jitter;
        *(jitter_dist_of(jitter) == DIST_UNIFORM ? &described.half : &described.sd) =
            trace_most_jitter(&impair->trace);
        jitter = &described;
    }
    jitter_configure(&impair->jitter, jitter, seed, name);
    impair->independent_jitter =
        jitter->mode == JITTER_REORDER || jitter->mode == JITTER_CLAMP;
    impair->any_order = jitter->mode == JITTER_REORDER && impair->jitter.scale > 0;
    impair->netem_delays = conf->compat == COMPAT_NETEM && impair->jitter.scale > 0;
    if (impair->netem_delays) {
        error = netem_configure(&impair->netem, jitter, seed, name, err);
        impair->any_order = !impair->has_rate; /* a rate keeps the order there, too */
    }
    return error;
}

static int configure_reset(struct impair *impair, const struct rst_conf *conf,
                           struct random_key key, struct error *err)
{
    impair->resets = conf->p > 0 || conf->at;
    impair->reset_at = conf->at;
    event_configure(&impair->reset, key, conf->p, 0, false);
    if (impair->reset_filtered)
        capture_filter_free(&impair->reset_match);
    impair->reset_filtered = false;
    if (conf->match) {
        int error = capture_filter_compile(&impair->reset_match, conf->match, err);
        if (error)
            return error;
        impair->reset_filtered = true;
    }
    if (conf->at && !impair->streams.entries &&
        (!tally_init(&impair->streams, RESET_STREAMS) ||
         !tally_init(&impair->reset_done, RESET_STREAMS))) {
        impair->resets = false;
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    }
    return 0;
}

static int configure_stages(struct impair *impair, const struct clumsy_conf *conf,
                            uint64_t seed, const char *name, struct error *err)
{
    bool netem = conf->compat == COMPAT_NETEM;
    outage_configure(&impair->outage, &conf->down, seed, name, impair->start);
    impair->loss_key = random_key(seed, name, "loss");
    loss_configure(&impair->loss, &conf->loss, seed, name, netem, impair->start);
    impair->exit_loss = conf->loss.at == LOSS_AT_EXIT;
    event_configure(&impair->duplicate, random_key(seed, name, "duplicate"),
                    conf->duplicate.p, conf->duplicate.corr, netem);
    impair->extra = (uint32_t)conf->duplicate.copies;
    impair->copy_delay = conf->duplicate.delay;
    impair->dup_dup = conf->duplicate.dup_dup;
    event_configure(&impair->truncate, random_key(seed, name, "truncate"),
                    conf->truncate.to ? conf->truncate.p : 0, 0, false);
    impair->truncate_to = (uint32_t)conf->truncate.to;
    event_configure(&impair->corrupt, random_key(seed, name, "corrupt"), conf->corrupt.p,
                    conf->corrupt.corr, netem);
    impair->damage = random_key(seed, name, "bits");
    impair->bits = (uint8_t)conf->corrupt.bits;
    impair->ber = conf->corrupt.ber;
    impair->mtu = (uint32_t)conf->mtu.max;
    event_configure(&impair->spike, random_key(seed, name, "spike"), conf->spike.p, 0,
                    false);
    impair->spike_add = conf->spike.add;
    configure_reorder(impair, &conf->reorder, random_key(seed, name, "reorder"), netem);
    return configure_reset(impair, &conf->rst, random_key(seed, name, "rst"), err);
}

int impair_configure(struct impair *impair, const struct clumsy_conf *conf, uint64_t seed,
                     const char *name, struct error *err)
{
    int error = configure_trace(impair, &conf->trace, err);
    if (!error)
        error = configure_stages(impair, conf, seed, name, err);
    impair_own(impair, conf);
    if (!error)
        error = configure_delay(impair, conf, seed, name, err);
    if (!error && (!identity_configure(&impair->identity, conf->key) ||
                   !pattern_configure(&impair->pattern, &conf->drop)))
        error = error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    impair->alters = impair->truncate.active || impair->corrupt.active || impair->ber > 0;
    impair->early_drops = impair->outage.active || impair->pattern.active ||
                          impair->loss.model != LOSS_NONE ||
                          has_trace(impair, TRACE_LOSS);
    impair->described = (struct trace_values){ .loss = -1 };
    impair_queue(impair, impair->queued);
    return error;
}

void impair_queue(struct impair *impair, bool queued)
{
    impair->queued = impair->has_rate && queued;
    impair->looks = impair->identity.mode != KEY_INDEX || impair->pattern.active ||
                    impair->mtu || impair->resets || impair->swap || impair->queued;
    impair->usual = !impair->looks && !impair->alters && !impair->exit_loss &&
                    !impair->duplicate.active && !impair->trace.columns;
}

void impair_free(struct impair *impair)
{
    identity_free(&impair->identity);
    pattern_free(&impair->pattern);
    loss_free(&impair->loss);
    jitter_free(&impair->jitter);
    netem_free(&impair->netem);
    trace_free(&impair->trace);
    free(impair->trace_conf.file);
    value_free(&impair->trace_conf.rows);
    tally_free(&impair->streams);
    tally_free(&impair->reset_done);
    if (impair->reset_filtered)
        capture_filter_free(&impair->reset_match);
}

/* --- one packet ------------------------------------------------------------------------- */

/* Copies of one packet draw from places far apart in the same stream; the original is
 * where it would be without them. */
static uint64_t draw_of_copy(uint64_t draw, uint32_t copy)
{
    return draw ^ (uint64_t)copy << 56;
}

/* What the trace says of this moment takes the place of parameters. */
static void follow_trace(struct impair *impair, uint64_t arrival)
{
    struct trace_values now;
    uint64_t time = arrival > impair->start ? arrival - impair->start : 0;
    trace_values(&impair->trace, time, &now);
    if (has_trace(impair, TRACE_OWD))
        impair->owd = now.owd;
    if (has_trace(impair, TRACE_JITTER)) {
        impair->jitter.scale = (double)now.jitter;
        netem_scale(&impair->netem, now.jitter);
    }
    if (has_trace(impair, TRACE_LOSS) && now.loss != impair->described.loss) {
        event_configure(&impair->loss.event, impair->loss_key, now.loss, 0, false);
        impair->loss.model = LOSS_EVENT;
    }
    if (has_trace(impair, TRACE_LIMIT) && impair->has_rate)
        impair->bottleneck->conf.limit = now.limit;
    impair->described = now;
}

static double draw_jitter(struct impair *impair, uint64_t start, uint64_t draw)
{
    if (impair->jitter.scale == 0)
        return 0;
    if (impair->netem_delays)
        return (double)netem_delay(&impair->netem, draw);
    return impair->independent_jitter ? jitter_draw(&impair->jitter, draw)
                                      : jitter_at(&impair->jitter, start);
}

static uint64_t delay(struct impair *impair, uint64_t start, uint64_t draw)
{
    if (impair->jitter.scale == 0)
        return impair->owd;
    double sum = (double)impair->owd + draw_jitter(impair, start, draw);
    if (sum < impair->floor) {
        sum = impair->floor;
        impair->floor_hits++;
    }
    return (uint64_t)llrint(sum);
}

/* Is this one taken out of order? */
static bool overtakes(struct impair *impair, uint64_t draw)
{
    if (!impair->overtaking)
        return false;
    if (++impair->since_reorder < impair->gap || !event_happens(&impair->reorder, draw))
        return false;
    impair->since_reorder = 0;
    return true;
}

static inline void propagate(struct impair *impair, uint64_t start, uint64_t draw,
                             uint32_t copy, struct fate *fate)
{
    draw = draw_of_copy(draw, copy);
    bool overtaking = overtakes(impair, draw);
    if (overtaking && impair->early) {
        fate->release = start;
        fate->order = IMPAIR_ANY_ORDER;
        return;
    }
    fate->release = start + delay(impair, start, draw);
    if (event_happens(&impair->spike, draw))
        fate->release += impair->spike_add;
    bool apart = impair->any_order || (copy && impair->copy_delay);
    fate->order = overtaking ? impair->swap ? IMPAIR_SWAPPED : IMPAIR_HELD
                  : apart    ? IMPAIR_ANY_ORDER
                             : IMPAIR_IN_ORDER;
    if (copy)
        fate->release += impair->copy_delay;
    if (apart)
        return;
    if (fate->release < impair->last)
        fate->release = impair->last;
    impair->last = fate->release;
}

void impair_propagate(struct impair *impair, uint64_t start, uint64_t draw, uint32_t copy,
                      struct fate *fate)
{
    propagate(impair, start, draw, copy, fate);
}

static uint8_t damaged_bits(struct impair *impair, uint64_t draw, uint32_t length)
{
    if (impair->ber > 0)
        return (uint8_t)damage_bits(impair->ber, length,
                                    random_unit(&impair->corrupt.key, draw));
    return event_happens(&impair->corrupt, draw) ? impair->bits : 0;
}

/* Through the bottleneck, as far as that can be known now. False: refused. */
static inline bool leave_bottleneck(struct impair *impair, uint32_t length,
                                    uint64_t *start)
{
    if (impair->has_rate)
        return bottleneck_pass(impair->bottleneck, *start, length, start);
    if (impair->outage.active && impair->outage.hold)
        *start = outage_over(&impair->outage, *start);
    return true;
}

/* How long it still is, and what is done to its bytes. */
static void decide_bytes(struct impair *impair, uint64_t draw, struct fate *fate)
{
    if (fate->length > impair->truncate_to && event_happens(&impair->truncate, draw))
        fate->length = impair->truncate_to;
    if (fate->length > FRAME_ETHERNET)
        fate->bits = damaged_bits(impair, draw, fate->length);
}

static bool too_big(const struct impair *impair, const struct frame *frame,
                    const struct fate *fate)
{
    uint32_t most = frame->l3 + impair->mtu;
    return frame->family && fate->length > most && frame->end > most;
}

static void decide_copy(struct impair *impair, const struct subject *subject,
                        struct verdict *verdict, uint32_t copy)
{
    struct fate *fate = &verdict->copy[copy];
    uint64_t start = subject->arrival;
    *fate = (struct fate){ .length = subject->length };
    if (impair->alters)
        decide_bytes(impair, draw_of_copy(verdict->draw, copy), fate);
    if (impair->exit_loss)
        fate->lost =
            loss_happens(&impair->loss, draw_of_copy(verdict->draw, copy), start);
    if (impair->mtu && too_big(impair, subject->frame, fate)) {
        fate->outcome = OUTCOME_TOO_BIG;
    } else if (impair->queued) {
        fate->order = IMPAIR_QUEUED;
    } else if (!leave_bottleneck(impair, fate->length, &start)) {
        fate->outcome = OUTCOME_QUEUE;
    } else if (fate->lost) {
        fate->outcome = OUTCOME_LOSS;
    } else {
        propagate(impair, start, verdict->draw, copy, fate);
    }
}

/* The connection is reset once at that byte, and every time at which chance has it. */
static bool resets(struct impair *impair, const struct frame *frame, uint64_t draw)
{
    if (!frame_is_tcp(frame) ||
        (impair->reset_filtered &&
         !capture_filter_matches(&impair->reset_match, frame->data, frame->length)))
        return false;
    if (impair->reset_at) {
        uint64_t byte = pattern_holds_byte(&impair->streams, frame, impair->reset_at);
        return byte && !(*tally_at(&impair->reset_done, byte))++;
    }
    return frame_payload_length(frame) && event_happens(&impair->reset, draw);
}

static uint8_t lost_before(struct impair *impair, const struct subject *subject,
                           uint64_t draw)
{
    if (impair->outage.active && outage_at(&impair->outage, subject->arrival) &&
        (impair->outage.now || !impair->outage.hold))
        return OUTCOME_DOWN;
    if (impair->pattern.active && pattern_drops(&impair->pattern, subject->frame))
        return OUTCOME_DROP;
    if (!impair->exit_loss && impair->loss.model != LOSS_NONE &&
        loss_happens(&impair->loss, draw, subject->arrival))
        return OUTCOME_LOSS;
    return OUTCOME_PASS;
}

/* How many packets become of one. */
static uint32_t multiply(struct impair *impair, uint64_t draw)
{
    uint32_t copies = 1;
    for (uint32_t i = 0;
         i < (impair->dup_dup ? copies : 1) && copies <= CLUMSY_COPIES_MAX; i++)
        if (event_happens(&impair->duplicate, draw_of_copy(draw, i)))
            copies += impair->extra;
    return copies > 1 + CLUMSY_COPIES_MAX ? 1 + CLUMSY_COPIES_MAX : copies;
}

void impair_decide(struct impair *impair, const struct subject *subject,
                   struct verdict *verdict)
{
    verdict->index = impair->index++;
    verdict->draw =
        impair->identity.mode == KEY_INDEX
            ? verdict->index
            : identity_draw(&impair->identity, verdict->index, subject->frame);
    verdict->copies = 0;
    verdict->reset = false;
    if (impair->trace.columns)
        follow_trace(impair, subject->arrival);
    if (impair->early_drops) {
        verdict->outcome = lost_before(impair, subject, verdict->draw);
        if (verdict->outcome != OUTCOME_PASS)
            return;
    }
    if (impair->resets)
        verdict->reset = resets(impair, subject->frame, verdict->draw);
    verdict->copies = impair->duplicate.active ? multiply(impair, verdict->draw) : 1;
    for (uint32_t i = 0; i < verdict->copies; i++)
        decide_copy(impair, subject, verdict, i);
}

uint8_t impair_decide_usual(struct impair *impair, uint64_t arrival, uint32_t length,
                            uint64_t *index, struct fate *fate)
{
    uint64_t draw = *index = impair->index++, start = arrival;
    if (impair->early_drops) {
        struct subject subject = { arrival, length, NULL };
        uint8_t outcome = lost_before(impair, &subject, draw);
        if (outcome != OUTCOME_PASS)
            return outcome;
    }
    if (!leave_bottleneck(impair, length, &start))
        return OUTCOME_QUEUE;
    propagate(impair, start, draw, 0, fate);
    return OUTCOME_PASS;
}

/* The bits of each copy come from a stream of its own. */
struct random_key impair_damage_key(const struct impair *impair, uint64_t draw,
                                    uint32_t copy)
{
    return (struct random_key){ random_draw(&impair->damage, draw_of_copy(draw, copy)),
                                impair->damage.b };
}
