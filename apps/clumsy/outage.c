/* outage: times without a path. */
#include "apps/clumsy/outage.h"

#include <errno.h>
#include <string.h>

/* The laws of up and down; false when there is no schedule. */
static bool laws_of(const struct down_conf *conf, struct sojourn_law law[2],
                    struct error *err, int *error)
{
    struct sojourn_law *down = &law[0], *up = &law[1];
    *error = 0;
    if (!conf->period && !conf->on)
        return false;
    if (conf->off)
        *error = sojourn_parse(conf->off, down, err);
    if (!*error && conf->on)
        *error = sojourn_parse(conf->on, up, err);
    if (*error || conf->on)
        return true;
    uint64_t off =
        conf->off ? down->a : (uint64_t)((1 - conf->duty) * (double)conf->period);
    *down = (struct sojourn_law){ SOJOURN_FIXED, off, 0 };
    *up = (struct sojourn_law){ SOJOURN_FIXED, conf->period - off, 0 };
    return true;
}

static int impossible(struct error *err, const char *text)
{
    return error_set(err, ERROR_CONFIG, EINVAL, "%s", text);
}

static int verify_schedule(const struct down_conf *conf, struct error *err)
{
    struct sojourn_law law[2] = { 0 };
    int error;
    if (conf->off && !conf->on && !conf->period)
        return impossible(err, "down.off: needs on (a law) or period");
    if (conf->period && conf->on)
        return impossible(err, "down: period and on exclude each other");
    if (conf->on && !conf->off)
        return impossible(err, "down.on: needs off, how long it is down");
    if (conf->off && conf->duty < 1)
        return impossible(err, "down: off and duty exclude each other");
    if (!laws_of(conf, law, err, &error))
        return 0;
    if (error) {
        error_prefix(err, "down: ");
        return error;
    }
    if (conf->period && law[0].kind != SOJOURN_FIXED)
        return impossible(err, "down.off: of a period it is a time, such as \"100ms\"");
    if (conf->period && (law[0].a >= conf->period || conf->period < 100000 || !law[0].a))
        return impossible(err,
                          "down: off (or 1 - duty) is a part of the period, which is "
                          "at least 100us");
    return 0;
}

int outage_verify(const struct down_conf *conf, struct error *err)
{
    bool schedule = conf->period || conf->on, once = conf->at || conf->duration;
    if (schedule && once)
        return impossible(err,
                          "down: at and duration, period, on and off exclude each other");
    if (conf->queue == OUTAGE_HOLD && once && !conf->duration)
        return impossible(err, "down.queue: hold needs an end: set duration");
    return verify_schedule(conf, err);
}

void outage_configure(struct outage *outage, const struct down_conf *conf, uint64_t seed,
                      const char *name, uint64_t start)
{
    struct sojourn_law law[2] = { 0 };
    int error;
    outage->now = conf->now;
    outage->hold = conf->queue == OUTAGE_HOLD;
    outage->from = outage->to = 0;
    if (conf->at || conf->duration) {
        outage->from = start + conf->at;
        outage->to = conf->duration ? outage->from + conf->duration : UINT64_MAX;
    }
    outage->scheduled = laws_of(conf, law, NULL, &error) && !error;
    if (outage->scheduled &&
        (!outage->up.started || memcmp(outage->up.law, law, sizeof(law))))
        sojourn_start(&outage->up, law, random_key(seed, name, "down"), true, start);
    outage->active = outage->now || outage->to || outage->scheduled;
}

bool outage_at(struct outage *outage, uint64_t time)
{
    return outage->now || (time >= outage->from && time < outage->to) ||
           (outage->scheduled && !sojourn_at(&outage->up, time));
}

uint64_t outage_over(struct outage *outage, uint64_t time)
{
    if (time >= outage->from && time < outage->to)
        return outage->to;
    if (!outage->scheduled)
        return time;
    struct sojourn ahead = outage->up; /* asking does not move the schedule */
    return sojourn_at(&ahead, time) ? time : ahead.until;
}
