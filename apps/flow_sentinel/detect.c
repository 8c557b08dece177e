/* detect: is a protected address flooded, and what follows? */
#include "apps/flow_sentinel/detect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/flow_sentinel/parameters.h"

#define SECOND_NS 1e9
#define BURST     200000000ull /* ns, of a destination's limits */

const char *const detect_state_names[] = { "normal", "suspect", "mitigate", "cooldown" };

#define SIGNATURE_PORT(PORT, CONDITION) PORT,

static const uint16_t signature_ports[SENTINEL_SIGNATURES] = { SENTINEL_SIGNATURE_ROWS(
    SIGNATURE_PORT) };

const char *detection_name(unsigned detection)
{
    static const char *const names[] = { "dst_syn",    "dst_udp", "dst_icmp",
                                         "fragments",  "anomaly", "scan",
                                         "dst_pps",    "dst_bps", "prefix_pps",
                                         "prefix_bps", "rotation" };
    static _Thread_local char text[32];
    if (detection < LIMITS)
        return sentinel_limit_names[detection];
    if (detection >= DETECTIONS || detection < DETECT_DST_SYN)
        return "unknown";
    if (detection < DETECT_AMPLIFICATION)
        return names[detection - DETECT_DST_SYN];
    snprintf(text, sizeof(text), "amplification_%u",
             signature_ports[detection - DETECT_AMPLIFICATION]);
    return text;
}

/* --- rates ---------------------------------------------------------------------------------- */

/* What is new came before `now`: it belongs to the window that ends, if one does. */
void rate_add(struct rate *rate, uint64_t total, uint64_t now, uint64_t window)
{
    uint64_t elapsed = now - rate->began;
    rate->current += total - rate->total;
    rate->total = total;
    if (elapsed < window)
        return;
    rate->previous = (uint64_t)((double)rate->current * (double)window / (double)elapsed);
    rate->current = 0;
    rate->began = now - elapsed % window;
}

double rate_value(const struct rate *rate, uint64_t now, uint64_t window)
{
    double elapsed = (double)(now - rate->began) / (double)window;
    double left = elapsed < 1 ? 1 - elapsed : 0;
    return ((double)rate->current + (double)rate->previous * left) * SECOND_NS /
           (double)window;
}

double scan_estimate(const uint8_t registers[SENTINEL_REGISTERS])
{
    double sum = 0, m = SENTINEL_REGISTERS;
    unsigned empty = 0;
    for (int i = 0; i < SENTINEL_REGISTERS; i++) {
        sum += ldexp(1, -registers[i]);
        empty += !registers[i];
    }
    double estimate = 0.709 * m * m / sum;
    return estimate <= 2.5 * m && empty ? m * log(m / empty) : estimate;
}

/* --- alarms --------------------------------------------------------------------------------- */

struct tick {
    const struct detect_policy *policy;
    uint64_t now;
    void (*news)(const struct detect_news *news, void *user);
    void *user;
};

static void enter(const struct tick *t, struct alarm *alarm, enum detect_state state,
                  unsigned detection, double rate, double threshold)
{
    struct detect_news news = { detection, state, rate, threshold };
    alarm->state = state;
    alarm->since = t->now;
    t->news(&news, t->user);
}

/* Its detection was turned off. */
static void alarm_end(const struct tick *t, struct alarm *alarm, unsigned detection)
{
    if (alarm->state != STATE_NORMAL)
        enter(t, alarm, STATE_NORMAL, detection, 0, 0);
}

/* above: the condition holds; threshold: what the rate is compared with when it is to end. */
static void alarm_step(const struct tick *t, struct alarm *alarm, unsigned detection,
                       bool above, double rate, double threshold, uint64_t sustain)
{
    bool calm = rate < t->policy->exit_ratio * threshold;
    switch (alarm->state) {
    case STATE_NORMAL:
        if (above)
            enter(t, alarm, STATE_SUSPECT, detection, rate, threshold);
        if (!above || sustain)
            break;
        /* fall through */
    case STATE_SUSPECT:
        if (!above)
            enter(t, alarm, STATE_NORMAL, detection, rate, threshold);
        else if (t->now - alarm->since >= sustain)
            enter(t, alarm, STATE_MITIGATE, detection, rate, threshold);
        break;
    case STATE_MITIGATE:
        if (calm)
            enter(t, alarm, STATE_COOLDOWN, detection, rate, threshold);
        break;
    case STATE_COOLDOWN:
        if (!calm)
            enter(t, alarm, STATE_MITIGATE, detection, rate, threshold);
        else if (t->now - alarm->since >= t->policy->exit_hold)
            enter(t, alarm, STATE_NORMAL, detection, rate, threshold);
        break;
    }
}

static bool is_acting(const struct tick *t, const struct alarm *alarm)
{
    return alarm->state >= STATE_MITIGATE && !t->policy->dry_run;
}

/* --- detections ------------------------------------------------------------------------------ */

static void look_at_syn(struct detector *d, const struct tick *t)
{
    const struct detect_policy *p = t->policy;
    double syn = rate_value(&d->syn, t->now, p->window);
    double done = rate_value(&d->first_ack, t->now, p->window);
    bool incomplete = syn > p->syn && done < p->completion_min * syn;
    bool above = incomplete || (p->syn_hard > 0 && syn > p->syn_hard);
    alarm_step(t, &d->syn_alarm, DETECT_DST_SYN, above, syn, p->syn, p->sustain);
}

static void look_at_value(const struct tick *t, struct alarm *alarm, double value,
                          unsigned detection, double threshold)
{
    if (threshold <= 0)
        alarm_end(t, alarm, detection);
    else
        alarm_step(t, alarm, detection, value > threshold, value, threshold,
                   t->policy->sustain);
}

static void look_at_rate(const struct tick *t, struct alarm *alarm,
                         const struct rate *rate, unsigned detection, double threshold)
{
    look_at_value(t, alarm, rate_value(rate, t->now, t->policy->window), detection,
                  threshold);
}

/* Of bytes, as bits. */
static void look_at_bits(const struct tick *t, struct alarm *alarm, double bytes,
                         unsigned detection, double threshold)
{
    look_at_value(t, alarm, 8 * bytes, detection, 8 * threshold);
}

static void look_at_signature(struct detector *d, const struct tick *t, unsigned i)
{
    const struct detect_policy *p = t->policy;
    double packets = rate_value(&d->signatures[i], t->now, p->window);
    double bytes = rate_value(&d->signature_bytes[i], t->now, p->window);
    /* In units of the threshold: whichever of the two is further above its own. */
    double share = fmax(packets / p->signature_packets, bytes / p->signature_bytes);
    alarm_step(t, &d->signature_alarms[i], DETECT_AMPLIFICATION + i, share > 1,
               share * p->signature_packets, p->signature_packets, p->sustain);
}

/* The baseline forgets with its time constant, and learns nothing of an attack. At first it is
 * the mean so far, and before a tenth of that time nothing is usual yet. */
static void look_at_baseline(struct detector *d, const struct tick *t)
{
    const struct detect_policy *p = t->policy;
    double rate = rate_value(&d->packets, t->now, p->window);
    double threshold = fmax(p->anomaly_factor * d->baseline, p->anomaly_floor);
    uint64_t age = t->now - d->baseline_since;
    if (p->anomaly_factor <= 0) {
        alarm_end(t, &d->anomaly_alarm, DETECT_ANOMALY);
        d->baseline_time = d->baseline_since = t->now;
        return;
    }
    alarm_step(t, &d->anomaly_alarm, DETECT_ANOMALY,
               rate > threshold && age >= p->baseline / 10, rate, threshold,
               p->anomaly_sustain);
    if (d->anomaly_alarm.state == STATE_NORMAL) {
        double constant = (double)(age < p->baseline ? age : p->baseline);
        double step = (double)(t->now - d->baseline_time) / fmax(constant, 1);
        d->baseline += (rate - d->baseline) * (1 - exp(-step));
    }
    d->baseline_time = t->now;
}

static void take(struct detector *d, const struct sentinel_destination_counts *c,
                 uint64_t now, uint64_t window)
{
    rate_add(&d->syn, c->syn, now, window);
    rate_add(&d->first_ack, c->first_ack, now, window);
    rate_add(&d->packets, c->all.packets, now, window);
    rate_add(&d->bytes, c->all.bytes, now, window);
    rate_add(&d->udp, c->udp.packets, now, window);
    rate_add(&d->icmp, c->icmp.packets, now, window);
    rate_add(&d->fragments, c->fragments.packets, now, window);
    for (int i = 0; i < SENTINEL_SIGNATURES; i++) {
        rate_add(&d->signatures[i], c->signatures[i].packets, now, window);
        rate_add(&d->signature_bytes[i], c->signatures[i].bytes, now, window);
    }
}

/* What was counted before we looked says nothing about rates. */
static void begin(struct detector *d, const struct sentinel_destination_counts *c,
                  uint64_t now, uint64_t window)
{
    take(d, c, now, window);
    struct rate *rates[] = { &d->syn, &d->first_ack, &d->packets,  &d->bytes,
                             &d->udp, &d->icmp,      &d->fragments };
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
        rates[i]->current = rates[i]->previous = 0;
    for (int i = 0; i < SENTINEL_SIGNATURES; i++) {
        d->signatures[i].current = d->signatures[i].previous = 0;
        d->signature_bytes[i].current = d->signature_bytes[i].previous = 0;
    }
    d->baseline_time = d->baseline_since = now;
    d->started = true;
}

/* --- what is done --------------------------------------------------------------------------------- */

/* A rule holds for ttl, anew with every tick while its alarm is raised: should nobody look
 * after the data path any more, it ends by itself. */
static uint64_t until(const struct tick *t, bool acting)
{
    return acting ? t->now + t->policy->ttl : 0;
}

static void limit(struct sentinel_limiter *limiter, double rate, uint64_t end)
{
    limiter->until = rate > 0 ? end : 0;
    limiter->period = rate > 0 ? (uint64_t)(SECOND_NS * 1024 / rate) : 0;
    limiter->burst = BURST;
}

/* Of two limits, of which either may be none. */
static double lower(double a, double b)
{
    return a > 0 && b > 0 ? fmin(a, b) : fmax(a, b);
}

/* Its own, and those that its prefix has for it. */
static void decide_all(const struct detector *d, const struct tick *t,
                       const struct detect_share *share, struct sentinel_destination *to)
{
    const struct detect_policy *p = t->policy;
    double packets =
        lower(is_acting(t, &d->packet_alarm) ? p->packets : 0, share->packets);
    double bytes = lower(is_acting(t, &d->byte_alarm) ? p->bytes : 0, share->bytes);
    bool watch = d->syn_alarm.state != STATE_NORMAL ||
                 d->packet_alarm.state != STATE_NORMAL ||
                 d->byte_alarm.state != STATE_NORMAL || packets > 0 || bytes > 0;
    limit(&to->packets, packets, until(t, !p->dry_run));
    limit(&to->bytes, bytes, until(t, !p->dry_run));
    to->watch_until = until(t, watch && !p->dry_run);
}

static void decide(const struct detector *d, const struct tick *t,
                   const struct detect_share *share, struct sentinel_destination *to)
{
    const struct detect_policy *p = t->policy;
    decide_all(d, t, share, to);
    to->mitigation =
        is_acting(t, &d->syn_alarm) ? (uint8_t)p->mitigation : MITIGATION_NONE;
    limit(&to->syn, p->syn, until(t, to->mitigation != MITIGATION_NONE));
    limit(&to->syn_hard, p->syn_hard, UINT64_MAX);
    limit(&to->udp, p->udp, until(t, is_acting(t, &d->udp_alarm)));
    limit(&to->icmp, p->icmp, until(t, is_acting(t, &d->icmp_alarm)));
    to->fragments_until = until(t, is_acting(t, &d->fragment_alarm));
    for (int i = 0; i < SENTINEL_SIGNATURES; i++)
        to->signature_until[i] = until(t, is_acting(t, &d->signature_alarms[i]));
}

bool detector_tick(struct detector *d, const struct detect_policy *policy,
                   const struct sentinel_destination_counts *counts, uint64_t now,
                   const struct detect_share *share, struct sentinel_destination *to,
                   void (*news)(const struct detect_news *news, void *user), void *user)
{
    struct tick t = { policy, now, news, user };
    struct sentinel_destination before = *to;
    if (!d->started)
        begin(d, counts, now, policy->window);
    take(d, counts, now, policy->window);
    look_at_syn(d, &t);
    look_at_rate(&t, &d->udp_alarm, &d->udp, DETECT_DST_UDP, policy->udp);
    look_at_rate(&t, &d->icmp_alarm, &d->icmp, DETECT_DST_ICMP, policy->icmp);
    look_at_rate(&t, &d->fragment_alarm, &d->fragments, DETECT_FRAGMENTS,
                 policy->fragments);
    for (unsigned i = 0; i < SENTINEL_SIGNATURES; i++)
        look_at_signature(d, &t, i);
    look_at_rate(&t, &d->packet_alarm, &d->packets, DETECT_DST_PPS, policy->packets);
    look_at_bits(&t, &d->byte_alarm, rate_value(&d->bytes, now, policy->window),
                 DETECT_DST_BPS, policy->bytes);
    look_at_baseline(d, &t);
    decide(d, &t, share, to);
    return memcmp(&before, to, sizeof(before));
}

/* --- prefixes --------------------------------------------------------------------------------- */

void prefix_tick(struct prefix_detector *d, const struct detect_policy *policy,
                 double packets, double bytes, uint64_t now,
                 void (*news)(const struct detect_news *news, void *user), void *user)
{
    struct tick t = { policy, now, news, user };
    look_at_value(&t, &d->packet_alarm, packets, DETECT_PREFIX_PPS,
                  policy->prefix_packets);
    look_at_bits(&t, &d->byte_alarm, bytes, DETECT_PREFIX_BPS, policy->prefix_bytes);
    d->limit_packets = policy->prefix_limit && is_acting(&t, &d->packet_alarm);
    d->limit_bytes = policy->prefix_limit && is_acting(&t, &d->byte_alarm);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* From the lowest: whoever is below an equal part of what is left takes no more than it gets. */
double share_level(double *rates, size_t count, double total)
{
    qsort(rates, count, sizeof(*rates), compare);
    for (; count > 1 && *rates < total / (double)count; count--)
        total -= *rates++;
    return total / (double)count;
}
