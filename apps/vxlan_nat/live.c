/* live: what files and people change of a running VxlanNat. */
#include "apps/vxlan_nat/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/vxlan_nat/vxlan_nat.h"

#define LOOK 500000000ull /* ns between two looks at a file */
#define TRACE_TIME                                                                       \
    10000000000ull /* ... after which nobody seems to want to know any more */

#define FILES(conf) ((const char *const[]){ (conf)->allow_file }), 1

/* --- whose flows are ------------------------------------------------------------------ */

static const char *owner_of(const struct vxlan_nat *nat, const struct vxlan_key *key)
{
    const struct plan *plan = &nat->plan;
    uint32_t organization = plan_organization(plan, key->src, key->dst);
    if (!organization && nat->live.before) {
        plan = nat->live.before;
        organization = plan_organization(plan, key->src, key->dst);
    }
    return allowlist_name(&plan->allow, organization);
}

static void count_ended(void *user, const struct vxlan_key *key,
                        const struct vxlan_flow *flow)
{
    struct vxlan_nat *nat = user;
    usage_add(nat->live.usage, owner_of(nat, key), flow);
}

struct usage *live_use(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    struct usage *usage = usage_new();
    const struct vxlan_key *key;
    const struct vxlan_flow *flow;
    uint64_t at = 0;
    if (!usage)
        return NULL;
    usage_add_all(usage, nat->live.usage);
    while ((flow = sessions_next(&nat->sessions, &at, &key)))
        usage_add(usage, owner_of(nat, key), flow);
    return usage;
}

/* --- changes -------------------------------------------------------------------------- */

static void follow(struct app *app, const struct vxlan_nat_conf *conf,
                   const struct plan *before)
{
    struct vxlan_nat *nat = app->state;
    nat->live.before = before;
    vxlan_tables_follow(app, conf);
    nat->live.before = NULL;
}

void live_forget_rules(struct vxlan_nat *nat, uint32_t first, uint32_t count)
{
    const struct vxlan_key *key;
    struct vxlan_flow *flow;
    uint64_t at = 0;
    while ((flow = sessions_next(&nat->sessions, &at, &key)))
        if (flow->rule - first < count)
            flow->rule = VXLAN_OLD_RULE;
    for (uint32_t number = first; number < first + count; number++)
        usage_forget_rule(nat->live.usage, number);
}

/* As the configuration has them. */
static void take_rules(struct vxlan_nat *nat, const struct value *rules)
{
    if (value_equal(&nat->live.rules, rules))
        return;
    live_forget_rules(nat, 0, RULES_MAX);
    value_free(&nat->live.rules);
    nat->live.rules = value_copy(rules);
}

/* What is odd about a file is no reason not to use it. */
static void take_list(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    const struct allowlist *list = &nat->plan.allow;
    nat->live.loaded = engine_now(app->engine);
    nat->live.by_hand = false;
    if (list->total && (unsigned long long)list->total != list->added)
        app_log(app, "allow_file says that it has %lld entries, and has %zu", list->total,
                list->added);
    if (list->skipped)
        app_log(app, "allow_file: %zu entries are wrong and left out", list->skipped);
}

/* Takes the plan of conf. */
static void take_plan(struct app *app, const struct vxlan_nat_conf *conf,
                      struct plan *plan)
{
    struct vxlan_nat *nat = app->state;
    struct plan before = nat->plan;
    nat->plan = *plan;
    nat->plan.snat.secret = nat->secret;
    *nat->live.problem = 0;
    follow(app, conf, &before);
    plan_clear(&before);
    take_rules(nat, &conf->rules);
    take_list(app);
}

/* Without it there are no sessions with addresses that the host has; others do not need it. */
static void take_guard(struct app *app, const struct vxlan_nat_conf *conf,
                       const struct snat *snat)
{
    struct vxlan_nat *nat = app->state;
    struct error err = { 0 };
    if (!conf->guard || !conf->egress)
        guard_drop(&nat->live.guard);
    else if (guard_addresses(&nat->live.guard, snat, conf->egress, &err))
        app_log(app, "the kernel may reset sessions with addresses of its own: %s",
                err.text);
}

/* The plan of conf, and what has to be opened for it. */
static int make_plan(struct app *app, struct plan *plan,
                     const struct vxlan_nat_conf *conf, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    int error = plan_make(plan, conf, err);
    if (error)
        return error;
    if (conf->claim)
        error = claim_ports(&nat->live.claim, plan->policy.ports, plan->policy.nports,
                            conf->ingress, err);
    else
        claim_drop(&nat->live.claim);
    if (error)
        plan_clear(plan);
    else
        take_guard(app, conf, &plan->snat);
    return error;
}

int live_configure(struct app *app, const struct vxlan_nat_conf *conf, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    struct file_watch before = nat->live.file;
    struct plan plan;
    file_watch_begin(&nat->live.file, FILES(conf));
    int error = make_plan(app, &plan, conf, err);
    if (error)
        nat->live.file = before;
    else
        take_plan(app, conf, &plan);
    return error;
}

void live_list(struct app *app, struct allowlist *list)
{
    struct vxlan_nat *nat = app->state;
    struct plan before = nat->plan;
    nat->plan.allow = *list;
    follow(app, app->conf, &before);
    allowlist_clear(&before.allow);
    take_list(app);
    nat->live.by_hand = true;
}

int live_allow(struct app *app, const struct prefix *prefix, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    int error = allowlist_add(&nat->plan.allow, prefix, 0, (size_t)conf->allow_max, err);
    if (error)
        return error;
    nat->live.by_hand = true;
    follow(app, conf, NULL);
    return 0;
}

bool live_disallow(struct app *app, const struct prefix *prefix)
{
    struct vxlan_nat *nat = app->state;
    struct plan before = nat->plan;
    uint32_t organization = 0;
    if (!before.allow.set || !prefix_set_find(before.allow.set, prefix, &organization))
        return false;
    before.allow.set = prefix_set_new(); /* what flows that end now are counted for */
    if (before.allow.set)
        prefix_set_insert(before.allow.set, prefix, organization);
    allowlist_remove(&nat->plan.allow, prefix);
    nat->live.by_hand = true;
    follow(app, app->conf, &before);
    prefix_set_free(before.allow.set);
    return true;
}

int live_rules(struct app *app, struct value value, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    struct rules rules, before = nat->plan.rules;
    int error = rules_read(&rules, &value, err);
    if (error) {
        value_free(&value);
        return error;
    }
    nat->plan.rules = rules;
    follow(app, app->conf, NULL);
    rules_clear(&before);
    value_free(&nat->live.rules);
    nat->live.rules = value;
    return 0;
}

/* The list alone. */
static int read_again(struct app *app, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    struct allowlist list;
    int error = plan_allow(&list, conf, err);
    if (error)
        return error;
    live_list(app, &list);
    nat->live.by_hand = false;
    *nat->live.problem = 0;
    return 0;
}

/* Why not is told, and that nothing has changed. */
static int reload(struct app *app, int (*read)(struct app *app, struct error *err),
                  struct error *err)
{
    struct vxlan_nat *nat = app->state;
    file_watch_begin(&nat->live.file, FILES((struct vxlan_nat_conf *)app->conf));
    int error = read(app, err);
    if (!error)
        return 0;
    memcpy(nat->live.problem, err->text, sizeof(nat->live.problem));
    app_log(app, "everything stays as it was: %s", err->text);
    return error;
}

static int configure_again(struct app *app, struct error *err)
{
    return live_configure(app, app->conf, err);
}

int live_reload(struct app *app, struct error *err)
{
    return reload(app, configure_again, err);
}

/* --- now and then ---------------------------------------------------------------------- */

int live_trace(struct app *app, uint32_t packets, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    struct vxlan_trace *trace = vxlan_trace_new(packets, engine_now(app->engine));
    if (!trace)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory for a trace");
    live_end_trace(app);
    nat->live.trace = trace;
    nat->state->traced = 1;
    return 0;
}

void live_end_trace(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    vxlan_trace_free(nat->live.trace);
    nat->live.trace = NULL;
    nat->state->traced = 0;
}

static void fire(struct timer *timer, uint64_t now)
{
    struct app *app = timer->user;
    struct vxlan_nat *nat = app->state;
    struct error err = { 0 };
    if (file_watch_changed(&nat->live.file, FILES((struct vxlan_nat_conf *)app->conf)) &&
        !reload(app, read_again, &err))
        app_log(app, "allow_file was read again: %zu entries",
                allowlist_count(&nat->plan.allow));
    if (nat->live.trace && now > nat->live.trace->asked + TRACE_TIME)
        live_end_trace(app);
    timer_set(&app->engine->timers, timer, now + LOOK);
}

int live_start(struct app *app, struct error *err)
{
    struct vxlan_nat *nat = app->state;
    const struct vxlan_nat_conf *conf = app->conf;
    file_watch_begin(&nat->live.file, FILES(conf));
    int error = make_plan(app, &nat->plan, conf, err);
    if (error)
        return error;
    nat->live.usage = usage_new();
    if (!nat->live.usage)
        return error_set(err, ERROR_RUN, ENOMEM, "no memory");
    nat->live.rules = value_copy(&conf->rules);
    nat->sessions.ended = count_ended;
    nat->sessions.user = nat;
    take_list(app);
    nat->live.timer = (struct timer){ .fire = fire, .user = app };
    timer_set(&app->engine->timers, &nat->live.timer, engine_now(app->engine) + LOOK);
    return 0;
}

void live_stop(struct app *app)
{
    struct vxlan_nat *nat = app->state;
    if (nat->live.timer.fire)
        timer_cancel(&app->engine->timers, &nat->live.timer);
    claim_drop(&nat->live.claim);
    guard_drop(&nat->live.guard);
    vxlan_trace_free(nat->live.trace);
    usage_free(nat->live.usage);
    value_free(&nat->live.rules);
}
