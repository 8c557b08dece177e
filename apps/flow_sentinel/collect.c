/* collect: what has ended goes; what is blocked is counted, and what follows from that. */
#include <string.h>

#include "apps/flow_sentinel/flow_sentinel.h"

struct collector {
    struct flow_sentinel *s;
    uint64_t now, blocks;
};

/* A block stays for repeat_window after its end, so that the next one is longer. */
static void collect_one(const struct path_address *key, const void *value, void *user)
{
    const struct sentinel_entry *entry = value;
    struct collector *c = user;
    uint64_t keep = entry->kind == KIND_BLOCKED ? c->s->policy.repeat_window : 0;
    if (entry->expires && c->now >= entry->expires + keep && path_remove(c->s->path, key))
        c->s->expired++;
    else {
        c->blocks += entry->kind == KIND_BLOCKED;
        networks_count(&c->s->networks, key, entry);
    }
}

/* Of no source and no destination: of what is held against many. */
static void tell(const struct path_address *key, const struct sentinel_entry *entry,
                 void *user)
{
    struct app *app = user;
    struct sentinel_event event = { .time = entry->created,
                                    .kind = EVENT_BLOCK,
                                    .detection = DETECT_ROTATION,
                                    .ttl = entry->ttl };
    memcpy(event.src, key, sizeof(event.src));
    sentinel_tell(app, &event);
}

/* Counts the blocks that there are, too: the number that max_blocks is held against is kept by
 * several at once, who may take one off it twice. What begins and ends while they are counted is
 * no drift. */
void sentinel_collect(struct app *app)
{
    struct flow_sentinel *s = app->state;
    const struct sentinel_conf *conf = app->conf;
    struct collector c = { .s = s, .now = sentinel_now(app) };
    __u64 *blocks = &s->path->state->blocks;
    uint64_t before = __atomic_load_n(blocks, __ATOMIC_RELAXED);
    networks_begin(&s->networks, (uint32_t)conf->block_networks,
                   (unsigned)conf->source_prefix6, c.now);
    path_entries(s->path, collect_one, &c);
    uint64_t after = __atomic_load_n(blocks, __ATOMIC_RELAXED);
    uint64_t least =
        (int64_t)before < (int64_t)after ? before : after; /* it may be below 0 */
    uint64_t most = least == before ? after : before;
    if ((int64_t)c.blocks < (int64_t)least)
        __atomic_fetch_sub(blocks, least - c.blocks, __ATOMIC_RELAXED);
    else if ((int64_t)c.blocks > (int64_t)most)
        __atomic_fetch_add(blocks, c.blocks - most, __ATOMIC_RELAXED);
    networks_end(&s->networks, s->path, &s->policy, tell, app);
}
