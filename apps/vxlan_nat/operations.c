/* operations: what people ask a running VxlanNat for. */
#include "apps/vxlan_nat/operations.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "apps/vxlan_nat/vxlan_nat.h"
#include "lib/arguments.h"

void operation_add_use(struct value *row, const void *use)
{
    const struct use *of = use;
    answer_integer(row, "flows", of->flows);
    answer_integer(row, "packets", of->packets);
    answer_integer(row, "bytes", of->bytes);
}

/* --- all of it -------------------------------------------------------------------------- */

static void add_place(struct value *answer, const char *name, const char *ifname)
{
    if (ifname)
        answer_string(answer, name, ifname);
}

static void add_times(struct value *answer, const struct histogram *took)
{
    struct value row = value_table();
    answer_integer(&row, "p50", histogram_quantile(took, 0.5));
    answer_integer(&row, "p99", histogram_quantile(took, 0.99));
    answer_integer(&row, "max", took->max);
    if (took->count)
        value_table_add(answer, "took_ns", row);
    else
        value_free(&row);
}

static OPERATION(status)
{
    const struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    const struct live *live = &nat->live;
    static const char *const modes[] = { "oneway", "route", "nat-out" };
    bool fast = nat->fast && fast_path_is_attached(nat->fast);
    *answer = value_table();
    answer_string(answer, "mode", modes[conf->mode]);
    add_place(answer, "ingress", conf->ingress);
    add_place(answer, "egress", conf->egress);
    value_table_add(answer, "fast", value_bool(fast));
    if (fast)
        answer_string(answer, "path", fast_path_describe(nat->fast));
    else if (*live->path)
        answer_string(answer, "no_fast_path", live->path);
    add_times(answer, app->histograms[TOOK]);
    answer_integer(answer, "sessions", nat->sessions.count);
    answer_integer(answer, "capacity", (uint64_t)conf->sessions);
    answer_integer(answer, "allowed", allowlist_count(&nat->plan.allow));
    answer_integer(answer, "organizations", nat->plan.allow.nnames);
    answer_integer(answer, "rules", nat->plan.rules.count);
    add_place(answer, "allow_file", conf->allow_file);
    value_table_add(answer, "by_hand", value_bool(live->by_hand));
    value_table_add(answer, "loaded_ago",
                    value_number((double)(engine_now(app->engine) - live->loaded) / 1e9));
    value_table_add(answer, "tracing", value_bool(live->trace));
    if (*live->problem)
        answer_string(answer, "problem", live->problem);
    if (*live->complaint)
        answer_string(answer, "complaint", live->complaint);
    return 0;
}

/* In the order of their keys; up to this moment. */
static OPERATION(stats)
{
    struct vxlan_nat *nat = app->state;
    const struct counter_row *row = app->class->counters;
    if (nat->fast)
        vxlan_tables_follow_fast(app);
    *answer = value_table();
    for (uint32_t i = 0; row[i].name; i++) {
        struct value one = value_table();
        answer_string(&one, "name", row[i].name);
        answer_integer(&one, "value", app->counters[i]);
        value_table_add(answer, NULL, one);
    }
    return 0;
}

static OPERATION(reload)
{
    return live_reload(app, err);
}

static OPERATION(complain)
{
    struct vxlan_nat *nat = app->state;
    const char *text = argument_string(args, "text");
    snprintf(nat->live.complaint, sizeof(nat->live.complaint), "%s", text ? text : "");
    return 0;
}

/* --- rules -------------------------------------------------------------------------------- */

static OPERATION(rules_list)
{
    const struct vxlan_nat *nat = app->state;
    const struct value *rules = &nat->live.rules;
    size_t count = rules->kind == VALUE_TABLE ? rules->table->count : 0;
    struct usage *usage = live_use(app);
    if (!usage)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory");
    *answer = value_table();
    for (size_t i = 0; i < count; i++) {
        const struct value *rule = &rules->table->fields[i].value;
        if (rule->kind == VALUE_NIL)
            continue;
        struct value row = value_table();
        answer_integer(&row, "number", i + 1);
        value_table_add(&row, "rule", value_copy(rule));
        operation_add_use(&row, &usage->rules[i]);
        value_table_add(answer, NULL, row);
    }
    usage_free(usage);
    return 0;
}

static const struct value *rule_of(const struct value *args)
{
    const struct value *rule = args->kind == VALUE_TABLE ? value_get(args, "rule") : NULL;
    return rule && rule->kind == VALUE_TABLE ? rule : NULL;
}

/* Of a rule that is there; 0: there is none. */
static size_t number_of(const struct vxlan_nat *nat, const struct value *args,
                        struct error *err)
{
    const struct value *rules = &nat->live.rules;
    int64_t number = 0;
    if (argument_integer(args, "number", &number, err))
        return 0;
    if (rules->kind == VALUE_TABLE && number >= 1 &&
        (size_t)number <= rules->table->count &&
        rules->table->fields[number - 1].value.kind != VALUE_NIL)
        return (size_t)number;
    error_set(err, ERROR_CONFIG, ENOENT, "number: there is no rule %lld",
              (long long)number);
    return 0;
}

/* Behind all others; when that is too far, where one was that is there no more. */
static size_t place_of_another(const struct value *rules)
{
    size_t count = rules->table->count, place = 0;
    if (count < RULES_MAX)
        return count;
    while (place < count && rules->table->fields[place].value.kind != VALUE_NIL)
        place++;
    return place;
}

static OPERATION(rules_add)
{
    struct vxlan_nat *nat = app->state;
    const struct value *rule = rule_of(args);
    if (!rule)
        return error_set(err, ERROR_CONFIG, EINVAL, "rule: { port =, to =, ... }");
    struct value rules = value_copy(&nat->live.rules);
    if (rules.kind != VALUE_TABLE) {
        value_free(&rules);
        rules = value_table();
    }
    size_t place = place_of_another(&rules);
    bool again = place < rules.table->count;
    if (again)
        rules.table->fields[place].value = value_copy(rule);
    else
        value_table_add(&rules, NULL, value_copy(rule));
    int error = live_rules(app, rules, err);
    if (error)
        return error;
    if (again)
        live_forget_rules(nat, (uint32_t)place, 1);
    *answer = value_integer((int64_t)place + 1);
    return 0;
}

/* rule: in its place; NULL: none. */
static int put_rule(struct app *app, const struct value *args, const struct value *rule,
                    struct error *err)
{
    const struct vxlan_nat *nat = app->state;
    size_t number = number_of(nat, args, err);
    if (!number)
        return -ENOENT;
    struct value rules = value_copy(&nat->live.rules);
    struct value *place = &rules.table->fields[number - 1].value;
    value_free(place);
    *place = rule ? value_copy(rule) : (struct value){ VALUE_NIL };
    return live_rules(app, rules, err);
}

static OPERATION(rules_del)
{
    return put_rule(app, args, NULL, err);
}

static OPERATION(rules_replace)
{
    const struct value *rule = rule_of(args);
    if (!rule)
        return error_set(err, ERROR_CONFIG, EINVAL, "rule: { port =, to =, ... }");
    return put_rule(app, args, rule, err);
}

/* --- which there are ---------------------------------------------------------------------- */

#define OPERATIONS(ROW)                                                                  \
    ROW(status, "what runs where, how much it knows, and what is wrong")                 \
    ROW(stats, "all counters in their order, up to now")                                 \
    ROW(reload, "rules and list of the configuration and its file again")                \
    ROW(complain, "text=WORDS: a problem that is not ours; empty: it is solved")         \
    ROW(allow_load, "path=FILE, dry_run=, flat_only=, mask=, skip_bad=, allow_empty=")   \
    ROW(allow_list, "entries; organization=NAME, from= of a page")                       \
    ROW(allow_clear, "nothing may pass")                                                 \
    ROW(allow_add, "prefix=PREFIX, mask=true clears bits behind it; was it new?")        \
    ROW(allow_del, "prefix=PREFIX, exactly that entry; was it there?")                   \
    ROW(allow_find, "address=ADDRESS: may it pass, and by which entry")                  \
    ROW(allow_diff, "path=FILE, and what allow_load takes: what would change")           \
    ROW(allow_stats, "how much, of whom; limit=")                                        \
    ROW(rules_list, "rules by their numbers, and how much went by them")                 \
    ROW(rules_add, "rule={...}; its number")                                             \
    ROW(rules_del, "number=N")                                                           \
    ROW(rules_replace, "number=N, rule={...}")                                           \
    ROW(sessions_list, "source=, destination=, address=PREFIX, port=, vni=, rule=, "     \
                       "refused=true, passed=true, limit=")                              \
    ROW(sessions_flush, "the same: they are forgotten")                                  \
    ROW(trace_start, "n=PACKETS: the next ones")                                         \
    ROW(trace_read, "what became of those that came since")

#define OPERATION_ROW(NAME, DOC) { #NAME, DOC },
const struct operation_row vxlan_operations[] = { OPERATIONS(OPERATION_ROW){ NULL,
                                                                             NULL } };

#define OPERATION_CALL(NAME, DOC) NAME,
int vxlan_call(struct app *app, uint32_t operation, const struct value *args,
               struct value *answer, struct error *err)
{
    static int (*const calls[])(struct app *, const struct value *, struct value *,
                                struct error *) = { OPERATIONS(OPERATION_CALL) };
    return calls[operation](app, args, answer, err);
}
