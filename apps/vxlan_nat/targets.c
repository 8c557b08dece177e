/* targets: what a rule makes a packet's destination, one or one of several. */
#include "apps/vxlan_nat/targets.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "lib/hash.h"
#include "lib/param.h"
#include "lib/prefix.h"

struct target_conf {
    char *to;
    int64_t weight;
};

static const struct param target_params[] = {
    PARAM_STRING(struct target_conf, to, NULL, "ADDRESS, ADDRESS:PORT or ADDRESS:N-M"),
    PARAM_INTEGER(struct target_conf, weight, "1", "1", "65535",
                  "its part, beside those of the others"),
    PARAM_END,
};

/* --- as they are written ------------------------------------------------------------- */

/* 1..65535, up to `end`. */
static bool parse_port(const char *text, const char *end, uint16_t *port)
{
    unsigned long number = 0;
    if (text == end || end - text > 5)
        return false;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9')
            return false;
        number = number * 10 + (unsigned long)(*text - '0');
    }
    *port = (uint16_t)number;
    return number && number <= UINT16_MAX;
}

bool port_range_parse(struct port_range *range, const char *text)
{
    const char *end = text + strlen(text), *dash = strchr(text, '-');
    return parse_port(text, dash ? dash : end, &range->low) &&
           parse_port(dash ? dash + 1 : text, end, &range->high) &&
           range->high >= range->low;
}

/* 192.0.2.1, 192.0.2.1:80, 192.0.2.1:80-90, 2001:db8::1, [2001:db8::1]:80. Returns its family. */
static int parse_target(struct target *target, const char *text)
{
    char address[64];
    struct prefix prefix;
    struct port_range range = { 0, 0 };
    bool bracket = *text == '[';
    const char *from = text + bracket, *end = text + strlen(text);
    const char *stop = bracket ? strchr(text, ']') : strchr(text, ':');
    if (!bracket && stop && strchr(stop + 1, ':'))
        stop = NULL; /* of IPv6, and no port */
    const char *behind = stop ? stop + bracket : end;
    stop = stop ? stop : end;
    snprintf(address, sizeof(address), "%.*s", (int)(stop - from), from);
    target->to.has_port = behind < end;
    if ((bracket && stop == end) || strchr(address, '/') ||
        prefix_parse(&prefix, address) ||
        (target->to.has_port &&
         (*behind != ':' || !port_range_parse(&range, behind + 1))))
        return -1;
    target->to.port = range.low;
    target->high = range.high;
    prefix_mapped(&prefix, target->to.address);
    return prefix.family;
}

static int check_ports(const struct target *target, const struct port_range *ports,
                       struct error *err)
{
    if (target->to.has_port && !ports)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "to has a port, and the rule none: which one becomes it?");
    if (target->high > target->to.port &&
        target->high - target->to.port != ports->high - ports->low)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "ranges that are not of one length: %d ports, and %d",
                         ports->high - ports->low + 1,
                         target->high - target->to.port + 1);
    return 0;
}

static bool is_same(const struct target *a, const struct target *b)
{
    return !memcmp(a->to.address, b->to.address, sizeof(a->to.address)) &&
           a->to.port == b->to.port && a->high == b->high;
}

static int check_group(const struct targets *targets, const struct target_group *group,
                       const struct target *target, int family, struct error *err)
{
    if (group->count && family != group->family)
        return error_set(err, ERROR_CONFIG, EINVAL, "not of the family of the first one");
    for (uint32_t i = 0; i < group->count; i++)
        if (is_same(&targets->list[group->first + i], target))
            return error_set(err, ERROR_CONFIG, EINVAL,
                             "the same as number %u: give that one a weight", i + 1);
    return 0;
}

static struct random_key draws_of(const struct target *target)
{
    uint64_t hash = hash_bytes(0, target->to.address, sizeof(target->to.address));
    hash = hash_mix(hash, (uint64_t)target->to.port << 16 | target->high);
    return random_key(hash, "targets", "sources");
}

static int add(struct targets *targets, struct target_group *group,
               const struct target_conf *conf, const struct port_range *ports,
               struct error *err)
{
    struct target target = { .weight = (double)conf->weight };
    int family = parse_target(&target, conf->to), error;
    if (family < 0)
        return error_set(err, ERROR_CONFIG, EINVAL, "to: \"%.80s\" is none", conf->to);
    error = check_ports(&target, ports, err);
    if (!error)
        error = check_group(targets, group, &target, family, err);
    if (error)
        return error;
    if (targets->count == TARGETS_MAX)
        return error_set(err, ERROR_CONFIG, EINVAL, "more than %d destinations in all",
                         TARGETS_MAX);
    if (!array_reserve(&targets->list, targets->count, sizeof(target)))
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for the destinations");
    target.draws = draws_of(&target);
    targets->list[targets->count++] = target;
    group->family = family;
    group->count++;
    return 0;
}

static int read_one(struct targets *targets, struct target_group *group,
                    const struct value *value, const struct port_range *ports,
                    struct error *err)
{
    struct target_conf conf;
    int error = param_parse(target_params, value, &conf, sizeof(conf), err);
    if (error)
        return error;
    error = add(targets, group, &conf, ports, err);
    param_free(target_params, &conf);
    return error;
}

int targets_read(struct targets *targets, struct target_group *group,
                 const struct value *value, const struct port_range *ports,
                 struct error *err)
{
    size_t count = value->kind == VALUE_TABLE ? value->table->count : 0;
    int error = 0;
    *group = (struct target_group){ .first = targets->count };
    if (value->kind == VALUE_STRING)
        return read_one(targets, group, value, ports, err);
    if (!count || count > TARGETS_GROUP || value->table->fields[0].key)
        return error_set(
            err, ERROR_CONFIG, EINVAL,
            "to: a destination such as \"192.0.2.1:80\", or a list of up to %d",
            TARGETS_GROUP);
    for (size_t i = 0; i < count && !error; i++) {
        error = read_one(targets, group, &value->table->fields[i].value, ports, err);
        if (error)
            error_prefix(err, "to[%zu]: ", i + 1);
    }
    return error;
}

void targets_clear(struct targets *targets)
{
    free(targets->list);
    *targets = (struct targets){ 0 };
}

/* --- choosing ------------------------------------------------------------------------ */

/* Of several exponential distributions the one with weight w has the smallest draw with a
 * probability of w by the sum of all weights, whatever the others draw. */
static const struct target *choose(const struct target *list, uint32_t count,
                                   const void *source)
{
    uint64_t index = hash_bytes(0, source, 16);
    const struct target *best = list;
    double least = INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        double draw = -log1p(-random_unit(&list[i].draws, index)) / list[i].weight;
        if (draw < least) {
            least = draw;
            best = &list[i];
        }
    }
    return best;
}

void targets_choose(const struct targets *targets, const struct target_group *group,
                    const void *source, uint16_t behind, struct rewrite_target *to)
{
    const struct target *target = &targets->list[group->first];
    if (group->count > 1)
        target = choose(target, group->count, source);
    *to = target->to;
    if (target->high > to->port)
        to->port = (uint16_t)(to->port + behind);
}
