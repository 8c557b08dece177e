/* groups: protected addresses that have limits of their own, by prefix. */
#include "apps/flow_sentinel/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/flow_sentinel/parameters.h"
#include "lib/nearest.h"

/* What may be said of a group. */
static const char *const names[] = { "prefix",
                                     "dst_syn_pps",
                                     "dst_syn_hard_pps",
                                     "dst_udp_pps",
                                     "dst_icmp_pps",
                                     "dst_frag_pps",
                                     "dst_pps",
                                     "dst_bps",
                                     "ampl_dst_pps",
                                     "ampl_dst_bps",
                                     "syn_action",
                                     "dst_completion_min",
                                     "window",
                                     "sustain",
                                     "dst_exit_ratio",
                                     "dst_exit_hold",
                                     "anomaly_factor",
                                     "anomaly_floor",
                                     NULL };

static int no_such(const char *name, struct error *err)
{
    const char *near = nearest(name, names);
    return error_set(err, ERROR_CONFIG, EINVAL,
                     near ? "\"%s\" is nothing of a group, did you mean \"%s\"?"
                          : "\"%s\" is nothing of a group",
                     name, near);
}

static bool is_name(const char *name)
{
    for (size_t i = 0; names[i]; i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

static int read_prefix(const struct value *table, struct prefix *prefix,
                       struct error *err)
{
    const struct value *value = value_get(table, names[0]);
    char text[64];
    if (value && value->kind == VALUE_STRING && !prefix_parse(prefix, value->string))
        return 0;
    return error_set(err, ERROR_CONFIG, EINVAL, "prefix: %s is not a prefix",
                     value ? value_format(text, sizeof(text), value) : "nothing");
}

/* conf: the app's own, which becomes the group's. */
static int read_limits(const struct value *table, struct sentinel_conf *conf,
                       struct error *err)
{
    int error = 0;
    for (size_t i = 0; i < table->table->count && !error; i++) {
        const char *name = table->table->fields[i].key;
        if (!name || !is_name(name))
            error = no_such(name ? name : "", err);
        else if (strcmp(name, names[0]))
            error = param_set(sentinel_params, name, &table->table->fields[i].value, conf,
                              err);
    }
    return error ? error : sentinel_verify(conf, err);
}

static int read_group(const struct value *table, const struct sentinel_conf *all,
                      struct group *group, struct error *err)
{
    struct sentinel_conf conf;
    if (table->kind != VALUE_TABLE)
        return error_set(err, ERROR_CONFIG, EINVAL, "a table, with a prefix");
    int error = read_prefix(table, &group->prefix, err);
    if (error)
        return error;
    param_copy(sentinel_params, all, &conf, sizeof(conf));
    error = read_limits(table, &conf, err);
    sentinel_detect_policy_of(&conf, &group->policy);
    param_free(sentinel_params, &conf);
    return error;
}

static bool is_same(const struct prefix *a, const struct prefix *b)
{
    return a->bits == b->bits && prefix_contains(a, b->family, b->address);
}

static int is_new(const struct groups *groups, const struct prefix *prefix,
                  struct error *err)
{
    char text[PREFIX_TEXT_SIZE];
    for (size_t i = 0; i < groups->count; i++)
        if (is_same(&groups->some[i].prefix, prefix))
            return error_set(err, ERROR_CONFIG, EEXIST,
                             "prefix: %s is that of groups[%zu]",
                             prefix_format(prefix, text), i + 1);
    return 0;
}

int groups_load(struct groups *groups, const struct sentinel_conf *conf,
                struct error *err)
{
    const struct value *list = &conf->groups;
    size_t count = list->kind == VALUE_TABLE ? list->table->count : 0;
    bool none = list->kind == VALUE_NIL || (list->kind == VALUE_STRING && !*list->string);
    if ((list->kind != VALUE_TABLE && !none) || count > GROUPS_MAX)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "groups: a list of up to %d, such as { { prefix = "
                         "\"192.0.2.0/28\", dst_pps = 50000 } }",
                         GROUPS_MAX);
    *groups = (struct groups){ .some = calloc(count + 1, sizeof(*groups->some)) };
    if (!groups->some)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for groups");
    sentinel_detect_policy_of(conf, &groups->all);
    for (size_t i = 0; i < count; i++) {
        struct group *group = &groups->some[i];
        int error = read_group(&list->table->fields[i].value, conf, group, err);
        if (!error)
            error = is_new(groups, &group->prefix, err);
        if (error) {
            error_prefix(err, "groups[%zu]: ", i + 1);
            groups_clear(groups);
            return error;
        }
        groups->count++;
    }
    return 0;
}

const struct detect_policy *groups_find(const struct groups *groups,
                                        const struct path_address *address)
{
    struct prefix one = prefix_unmapped((const uint8_t *)address->word, 128);
    const struct group *best = NULL;
    for (size_t i = 0; i < groups->count; i++) {
        const struct group *group = &groups->some[i];
        if (prefix_contains(&group->prefix, one.family, one.address) &&
            (!best || group->prefix.bits > best->prefix.bits))
            best = group;
    }
    return best ? &best->policy : &groups->all;
}

bool groups_cookies(const struct groups *groups)
{
    for (size_t i = 0; i < groups->count; i++)
        if (groups->some[i].policy.mitigation == MITIGATION_COOKIE)
            return true;
    return groups->all.mitigation == MITIGATION_COOKIE;
}

void groups_clear(struct groups *groups)
{
    free(groups->some);
    *groups = (struct groups){ 0 };
}
