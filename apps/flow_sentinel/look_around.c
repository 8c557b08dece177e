/* look_around: who must not be blocked, and who is protected, as it changes. */
#include <stdlib.h>
#include <string.h>

#include "apps/flow_sentinel/flow_sentinel.h"

static bool is_among(const struct surroundings *all, const struct surrounding *one)
{
    const struct surrounding *found = surroundings_find(all, &one->address);
    return found && found->kind == one->kind;
}

/* What people said of an address stays. */
static void know(struct app *app, const struct surrounding *one)
{
    struct flow_sentinel *s = app->state;
    struct sentinel_entry entry;
    if (path_get(s->path, &one->address, &entry) && entry.kind != KIND_BLOCKED &&
        !(one->kind == KIND_OWN && entry.kind == KIND_ALLOWED))
        return;
    entry = (struct sentinel_entry){ .created = sentinel_now(app),
                                     .kind = one->kind,
                                     .automatic = true };
    path_put(s->path, &one->address, &entry);
}

static void forget(struct flow_sentinel *s, const struct surrounding *one)
{
    struct sentinel_entry entry;
    if (path_get(s->path, &one->address, &entry) && entry.automatic)
        path_remove(s->path, &one->address);
}

static void forget_one(const struct path_address *key, const void *value, void *user)
{
    const struct sentinel_entry *entry = value;
    struct flow_sentinel *s = user;
    if (entry->automatic)
        path_remove(s->path, key);
}

void sentinel_forget_surroundings(struct flow_sentinel *s)
{
    path_entries(s->path, forget_one, s);
}

void sentinel_guard(struct app *app)
{
    struct flow_sentinel *s = app->state;
    struct path_address *all =
        calloc(s->nprotect + s->surroundings.count + 1, sizeof(*all));
    size_t count = s->nprotect;
    if (!all)
        return;
    if (count)
        memcpy(all, s->protect, count * sizeof(*all));
    for (size_t i = 0; i < s->surroundings.count; i++)
        if (s->surroundings.all[i].kind == KIND_OWN)
            all[count++] = s->surroundings.all[i].address;
    uint32_t left = guarded_set(&s->guarded, s->path, all, count, &s->groups);
    if (left)
        app_log(app, "%u addresses are not watched by themselves: destinations", left);
    free(all);
}

void sentinel_look_around(struct app *app)
{
    struct flow_sentinel *s = app->state;
    struct surroundings before = s->surroundings;
    if (!surroundings_read(&s->surroundings))
        return;
    bool same = before.count == s->surroundings.count &&
                (!before.count || !memcmp(before.all, s->surroundings.all,
                                          before.count * sizeof(*before.all)));
    for (size_t i = 0; i < before.count && !same; i++)
        if (!is_among(&s->surroundings, &before.all[i]))
            forget(s, &before.all[i]);
    /* of those that stayed too: a ban may have taken one's place, and ended */
    for (size_t i = 0; i < s->surroundings.count; i++)
        know(app, &s->surroundings.all[i]);
    free(before.all);
    if (!same)
        sentinel_guard(app);
}
