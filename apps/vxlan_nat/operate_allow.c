/* operate_allow: what people ask a running VxlanNat's allowlist for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "apps/vxlan_nat/operations.h"
#include "apps/vxlan_nat/vxlan_nat.h"
#include "lib/arguments.h"

#define DIFFERENCES 100 /* that are named; the rest is counted */
#define PROBLEMS    20

static void add_prefix(struct value *to, const char *name, const struct prefix *prefix)
{
    char text[PREFIX_TEXT_SIZE];
    answer_string(to, name, prefix_short(prefix, text));
}

static void add_name(struct value *to, const struct allowlist *list, uint32_t number)
{
    const char *name = allowlist_name(list, number);
    if (name)
        answer_string(to, "organization", name);
}

/* --- a file -------------------------------------------------------------------------- */

static void tell(void *user, const char *problem)
{
    struct value *problems = user;
    if (problems->table->count < PROBLEMS)
        value_table_add(problems, NULL, value_string(problem));
}

/* What the arguments say of the file `path`. Fills the list, and the facts of it in the answer. */
static int read_file(struct app *app, const struct value *args, struct allowlist *list,
                     struct value *answer, struct error *err)
{
    const char *path = argument_string(args, "path");
    struct allowlist_options options = plan_allow_options(app->conf);
    struct value problems = value_table();
    options.flat_only |= argument_bool(args, "flat_only");
    options.mask |= argument_bool(args, "mask");
    options.skip_bad |= argument_bool(args, "skip_bad");
    options.allow_empty |= argument_bool(args, "allow_empty");
    options.tell = tell;
    options.user = &problems;
    *list = (struct allowlist){ 0 };
    int error = path ? allowlist_read(list, path, &options, err)
                     : error_set(err, ERROR_CONFIG, EINVAL, "path: which file?");
    if (error) {
        allowlist_clear(list);
        value_free(&problems);
        return error;
    }
    *answer = value_table();
    answer_string(answer, "path", path);
    answer_integer(answer, "entries", list->entries);
    answer_integer(answer, "prefixes", list->added);
    answer_integer(answer, "duplicates", list->entries - list->skipped - list->added);
    answer_integer(answer, "skipped", list->skipped);
    answer_integer(answer, "organizations", list->nnames);
    if (list->total)
        answer_integer(answer, "total", (uint64_t)list->total);
    value_table_add(answer, "problems", problems);
    return 0;
}

OPERATION(allow_load)
{
    struct allowlist list;
    int error = read_file(app, args, &list, answer, err);
    if (error)
        return error;
    if (argument_bool(args, "dry_run"))
        allowlist_clear(&list);
    else
        live_list(app, &list);
    return 0;
}

/* What is in one set and not in the other. */
static void add_differences(struct value *answer, const char *name,
                            const struct prefix_set *in, const struct prefix_set *not_in)
{
    struct value names = value_table();
    struct prefix prefix;
    uint32_t cursor = 0;
    uint64_t count = 0;
    while (in && prefix_set_next(in, &cursor, &prefix, NULL)) {
        if (not_in && prefix_set_find(not_in, &prefix, NULL))
            continue;
        if (count++ < DIFFERENCES)
            add_prefix(&names, NULL, &prefix);
    }
    value_table_add(answer, name, names);
    char counted[32];
    snprintf(counted, sizeof(counted), "%s_count", name);
    answer_integer(answer, counted, count);
}

OPERATION(allow_diff)
{
    const struct vxlan_nat *nat = app->state;
    struct allowlist list;
    int error = read_file(app, args, &list, answer, err);
    if (error)
        return error;
    add_differences(answer, "added", list.set, nat->plan.allow.set);
    add_differences(answer, "removed", nat->plan.allow.set, list.set);
    allowlist_clear(&list);
    return 0;
}

/* --- entries -------------------------------------------------------------------------- */

OPERATION(allow_list)
{
    const struct vxlan_nat *nat = app->state;
    const struct allowlist *list = &nat->plan.allow;
    const char *organization =
        args->kind == VALUE_TABLE ? argument_string(args, "organization") : NULL;
    struct value rows = value_table();
    struct prefix prefix;
    int64_t from = 0;
    uint32_t number;
    int error = argument_integer(args, "from", &from, err);
    uint32_t cursor = (uint32_t)from;
    while (!error && list->set && rows.table->count < OPERATION_ROWS &&
           prefix_set_next(list->set, &cursor, &prefix, &number)) {
        const char *name = allowlist_name(list, number);
        if (organization && (!name || strcmp(name, organization) != 0))
            continue;
        struct value row = value_table();
        add_prefix(&row, "entry", &prefix);
        add_name(&row, list, number);
        value_table_add(&rows, NULL, row);
    }
    *answer = value_table();
    if (rows.table->count == OPERATION_ROWS)
        answer_integer(answer, "next", cursor);
    value_table_add(answer, "rows", rows);
    return error;
}

OPERATION(allow_clear)
{
    struct vxlan_nat *nat = app->state;
    struct allowlist none = { 0 };
    *answer = value_integer((int64_t)allowlist_count(&nat->plan.allow));
    live_list(app, &none);
    return 0;
}

OPERATION(allow_add)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    struct prefix prefix;
    char text[PREFIX_TEXT_SIZE];
    int error = argument_prefix(args, "prefix", &prefix, err);
    if (error)
        return error;
    if (prefix_clear(&prefix) && !conf->mask && !argument_bool(args, "mask"))
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "prefix: it has bits behind it: %s (mask = true)",
                         prefix_short(&prefix, text));
    *answer = value_bool(!nat->plan.allow.set ||
                         !prefix_set_find(nat->plan.allow.set, &prefix, NULL));
    return live_allow(app, &prefix, err);
}

OPERATION(allow_del)
{
    struct prefix prefix;
    int error = argument_prefix(args, "prefix", &prefix, err);
    if (!error)
        *answer = value_bool(live_disallow(app, &prefix));
    return error;
}

OPERATION(allow_find)
{
    const struct vxlan_nat *nat = app->state;
    const struct allowlist *list = &nat->plan.allow;
    struct prefix prefix, entry;
    uint32_t number;
    uint8_t address[16];
    int error = argument_prefix(args, "address", &prefix, err);
    if (error)
        return error;
    if (prefix.bits < prefix_size(&prefix) * 8)
        return error_set(err, ERROR_CONFIG, EINVAL, "address: one, not a network");
    prefix_mapped(&prefix, address);
    bool found = list->set && prefix_set_match(list->set, address, &entry, &number);
    *answer = value_table();
    value_table_add(answer, "allowed", value_bool(found));
    if (found) {
        add_prefix(answer, "entry", &entry);
        add_name(answer, list, number);
    }
    return 0;
}

/* --- figures --------------------------------------------------------------------------- */

static int by_packets(const void *a, const void *b)
{
    const struct use_of *x = a, *y = b;
    if (x->use.packets != y->use.packets)
        return x->use.packets < y->use.packets ? 1 : -1;
    return strcmp(x->name, y->name);
}

OPERATION(allow_stats)
{
    const struct vxlan_nat *nat = app->state;
    const struct allowlist *list = &nat->plan.allow;
    struct usage *usage = live_use(app);
    int64_t limit = OPERATION_ROWS;
    int error = argument_integer(args, "limit", &limit, err);
    if (!usage)
        error = error_set(err, ERROR_RUN, ENOMEM, "no memory");
    *answer = value_table();
    if (!error) {
        answer_integer(answer, "entries", allowlist_count(list));
        answer_integer(answer, "ipv4",
                       list->set ? prefix_set_count(list->set, AF_INET) : 0);
        answer_integer(answer, "ipv6",
                       list->set ? prefix_set_count(list->set, AF_INET6) : 0);
        answer_integer(answer, "capacity",
                       (uint64_t)((const struct vxlan_nat_conf *)app->conf)->allow_max);
        struct value rows = value_table(), nobody = value_table();
        if (usage->nowners)
            qsort(usage->owners, usage->nowners, sizeof(*usage->owners), by_packets);
        for (uint32_t i = 0; i < usage->nowners && i < limit; i++) {
            struct value row = value_table();
            answer_string(&row, "organization", usage->owners[i].name);
            operation_add_use(&row, &usage->owners[i].use);
            value_table_add(&rows, NULL, row);
        }
        operation_add_use(&nobody, &usage->nobody);
        value_table_add(answer, "organizations", rows);
        value_table_add(answer, "others", nobody);
    }
    usage_free(usage);
    return error;
}
