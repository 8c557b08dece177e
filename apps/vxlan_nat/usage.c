/* usage: how many flows, packets and bytes went on by which rule, and of whom. */
#include "apps/vxlan_nat/usage.h"

#include <stdlib.h>
#include <string.h>

#include "lib/array.h"

struct usage *usage_new(void)
{
    return calloc(1, sizeof(struct usage));
}

void usage_free(struct usage *usage)
{
    if (!usage)
        return;
    for (uint32_t i = 0; i < usage->nowners; i++)
        free(usage->owners[i].name);
    free(usage->owners);
    strmap_clear(&usage->by_name);
    free(usage);
}

static struct use *use_of(struct usage *usage, const char *owner)
{
    uint32_t number = owner ? strmap_get(&usage->by_name, owner) : STRMAP_NONE;
    if (number != STRMAP_NONE)
        return &usage->owners[number].use;
    char *name =
        owner && usage->nowners < USAGE_OWNERS &&
                array_reserve(&usage->owners, usage->nowners, sizeof(*usage->owners))
            ? strdup(owner)
            : NULL;
    if (!name)
        return &usage->nobody;
    strmap_put(&usage->by_name, name, usage->nowners);
    usage->owners[usage->nowners] = (struct use_of){ .name = name };
    return &usage->owners[usage->nowners++].use;
}

static void add(struct use *to, const struct use *more)
{
    to->flows += more->flows;
    to->packets += more->packets;
    to->bytes += more->bytes;
}

void usage_add(struct usage *usage, const char *owner, const struct vxlan_flow *flow)
{
    const struct use use = { 1, flow->packets, flow->bytes };
    if (flow->reason)
        return;
    add(use_of(usage, owner), &use);
    add(&usage->rules[flow->rule < RULES_MAX ? flow->rule : USAGE_NO_RULE], &use);
}

void usage_add_all(struct usage *to, const struct usage *from)
{
    for (int i = 0; i <= RULES_MAX; i++)
        add(&to->rules[i], &from->rules[i]);
    add(&to->nobody, &from->nobody);
    for (uint32_t i = 0; i < from->nowners; i++)
        add(use_of(to, from->owners[i].name), &from->owners[i].use);
}

void usage_forget_rule(struct usage *usage, uint32_t number)
{
    add(&usage->rules[USAGE_NO_RULE], &usage->rules[number]);
    usage->rules[number] = (struct use){ 0 };
}
