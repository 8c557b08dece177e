/* live: what files and people change of a running VxlanNat.
 *
 *   live_start, live_stop
 *   live_configure   all of another configuration
 *   live_list        another allowlist
 *   live_allow, live_disallow    one entry of it
 *   live_rules       other rules
 *   live_forget_rules    what those did whose numbers are others' now
 *   live_reload      list and rules are those of the configuration and its file again
 *   live_use         what flows do, those that are over and those that are not
 *   live_trace       what becomes of the next packets
 *
 * Each change is one between two packets: all of it holds from the next one on, or none does and why
 * is in the error. What people change lasts until the configuration changes or the file is read
 * again, which happens by itself when it has changed (lib/file_watch.h). A file that cannot be read
 * leaves all as it was; `problem` says so until one can.
 *
 * Flows whose packets were refused are decided anew after every change. Flows that go on keep their
 * translation, and end when they may not pass any more, unless keep_sessions says otherwise.
 */
#pragma once
#include "apps/vxlan_nat/claim.h"
#include "apps/vxlan_nat/guard.h"
#include "apps/vxlan_nat/plan.h"
#include "apps/vxlan_nat/trace.h"
#include "apps/vxlan_nat/usage.h"
#include "engine/timer.h"
#include "lib/file_watch.h"
#include "lib/value.h"

#define VXLAN_OLD_RULE 0xfffe /* one of before the rules were others */

struct app;
struct vxlan_nat;

struct live {
    struct timer timer;
    struct file_watch file;
    struct claim claim;
    struct guard guard;
    char problem[512];         /* why the list is not that of the file; empty: it is */
    char complaint[512];       /* what somebody else says is wrong */
    uint64_t loaded;           /* when the list became what it is, ns */
    bool by_hand;              /* people have changed it since */
    struct value rules;        /* by their numbers from 0; nil where one was taken out */
    const struct plan *before; /* while another one takes its place */
    struct usage *usage;       /* of flows that are over */
    struct vxlan_trace *trace; /* NULL: nobody wants to know */
    char path[200]; /* why there is no fast path; empty: there is, or it is off */
};

/* Makes the plan. */
int live_start(struct app *app, struct error *err);
void live_stop(struct app *app);

int live_configure(struct app *app, const struct vxlan_nat_conf *conf, struct error *err);

/* Takes the list. app_log says what is odd about it. */
void live_list(struct app *app, struct allowlist *list);

int live_allow(struct app *app, const struct prefix *prefix, struct error *err);

/* False when there is no such entry. */
bool live_disallow(struct app *app, const struct prefix *prefix);

/* Takes the value, a list of rules or nils; on an error, too. */
int live_rules(struct app *app, struct value rules, struct error *err);

/* first: from 0. */
void live_forget_rules(struct vxlan_nat *nat, uint32_t first, uint32_t count);

int live_reload(struct app *app, struct error *err);

/* Of now; to be freed. NULL when memory is out. */
struct usage *live_use(struct app *app);

int live_trace(struct app *app, uint32_t packets, struct error *err);
void live_end_trace(struct app *app);
