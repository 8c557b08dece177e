/* user_path: FlowSentinel's data path in this process.
 *
 * The rules are those of the XDP program, from the same text; the tables they ask for are
 * here. One thread, one CPU: what is per CPU there is one of its kind here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/flow_sentinel/path.h"
#include "lib/prefix_set.h"
#include "lib/table.h"

#define EVENTS 1024 /* that wait to be read */

struct list {
    struct prefix_set *set; /* NULL: nothing is listed */
    struct sentinel_entry *entries;
};

struct user_path {
    struct path path;
    struct sentinel_policy policy;
    struct sentinel_state state;
    struct shared_table *entries, *destinations;
    struct table *suspects, *verified;
    struct list list;
    struct sentinel_destination_counts *counts;
    uint32_t ncounts;
    uint32_t (*sketch)[8192];
    uint32_t *handshakes;
    struct sentinel_totals totals;
    struct sentinel_event events[EVENTS];
    uint32_t first_event, nevents;
};

/* --- the tables that judge.bpf.h asks for --------------------------------------------- */

struct sentinel_context {
    const uint8_t *data, *end;
    struct user_path *path;
};

#define sentinel_stage    static
#define CONTEXT_DATA(c)   ((c)->data)
#define CONTEXT_END(c)    ((c)->end)
#define CONTEXT_POLICY(c) (&(c)->path->policy)

#define TABLE_ENTRY(c, key)            shared_table_find((c)->path->entries, key)
#define TABLE_ADD_ENTRY(c, key, value) shared_table_put((c)->path->entries, key, value)
#define TABLE_DESTINATION(c, key)      shared_table_find((c)->path->destinations, key)
#define TABLE_FIND(c, name, key)       table_find((c)->path->name, key)
#define TABLE_INSERT(c, name, key, value)                                                \
    insert((c)->path->name, key, value, sizeof(*(value)))
#define TABLE_PREFIX(c, key)      find_prefix((c)->path, key)
#define TABLE_COUNTS(c, index)    (&(c)->path->counts[index])
#define TABLE_SKETCH(c, row)      ((c)->path->sketch[row])
#define TABLE_HANDSHAKES(c, cell) (&(c)->path->handshakes[cell])
#define TABLE_STATE(c)            (&(c)->path->state)
#define TABLE_EVENT(c)            new_event((c)->path)
#define TABLE_SUBMIT(c, event)    ((c)->path->nevents++)
#define TABLE_CONNECTED(c, frame) false /* connections of others are not known */
#define TABLE_ANSWERS(c, frame)   false

static int insert(struct table *table, const void *key, const void *value, size_t size)
{
    if (table_find(table, key))
        return -EEXIST;
    void *place = table_insert(table, key);
    if (!place)
        return -ENOSPC;
    memcpy(place, value, size);
    return 0;
}

static struct sentinel_entry *find_prefix(struct user_path *u,
                                          const struct sentinel_prefix *key)
{
    uint32_t value;
    if (!u->list.set ||
        !prefix_set_match(u->list.set, (const uint8_t *)key->address, NULL, &value))
        return NULL;
    return &u->list.entries[value];
}

static struct sentinel_event *new_event(struct user_path *u)
{
    return u->nevents < EVENTS ? &u->events[(u->first_event + u->nevents) % EVENTS]
                               : NULL;
}

#include "apps/flow_sentinel/judge.bpf.h"

/* --- frames ---------------------------------------------------------------------------- */

static struct user_path *user(struct path *path)
{
    return (struct user_path *)path;
}

void path_judge(struct path *path, struct sentinel_frame *frame, const uint8_t *data,
                uint32_t length, uint16_t vlan, uint64_t now)
{
    struct user_path *u = user(path);
    struct sentinel_context context = { .data = data, .end = data + length, .path = u };
    sentinel_judge(&context, frame, length, vlan, now);
    judge_add(&u->totals.reasons[frame->reason * VERDICTS + frame->verdict], frame);
    judge_add(&u->totals.classes[frame->class], frame);
}

/* --- what others ask ------------------------------------------------------------------- */

static int set_policy(struct path *path, const struct sentinel_policy *policy,
                      struct error *err)
{
    user(path)->policy = *policy;
    return 0;
}

static bool get(struct path *path, const struct path_address *key,
                struct sentinel_entry *entry)
{
    const struct sentinel_entry *found = shared_table_find(user(path)->entries, key);
    if (found)
        *entry = *found;
    return found;
}

static bool is_block(struct path *path, const struct path_address *key)
{
    const struct sentinel_entry *found = shared_table_find(user(path)->entries, key);
    return found && found->kind == KIND_BLOCKED;
}

static int put(struct path *path, const struct path_address *key,
               const struct sentinel_entry *entry)
{
    bool was = is_block(path, key);
    if (shared_table_put(user(path)->entries, key, entry))
        return -ENOSPC;
    path->state->blocks += (uint64_t)is_block(path, key) - was;
    return 0;
}

static bool remove_entry(struct path *path, const struct path_address *key)
{
    path->state->blocks -= is_block(path, key);
    return shared_table_remove(user(path)->entries, key);
}

static void each_of(const struct table *table, path_visit *each, void *data)
{
    void *value = NULL;
    while ((value = table_next(table, value)))
        each(table_key(table, value), value, data);
}

static void entries(struct path *path, path_visit *each, void *data)
{
    uint64_t at = 0;
    void *value;
    while ((value = shared_table_next(user(path)->entries, &at)))
        each(shared_table_key(user(path)->entries, value), value, data);
}

static void list_free(struct list *list)
{
    prefix_set_free(list->set);
    free(list->entries);
}

static int set_list(struct path *path, const struct path_listed *listed, size_t count,
                    struct error *err)
{
    struct list list = { 0 };
    if (count) {
        list.set = prefix_set_new();
        list.entries = calloc(count, sizeof(*list.entries));
        int error = list.set && list.entries ? 0 : -ENOMEM;
        for (size_t i = 0; i < count && !error; i++) {
            struct prefix prefix = prefix_unmapped(
                (const uint8_t *)listed[i].prefix.address, listed[i].prefix.bits);
            list.entries[i] = listed[i].entry;
            error = prefix_set_insert(list.set, &prefix, (uint32_t)i);
        }
        if (error) {
            list_free(&list);
            return error_set(err, ERROR_RUN, -error, "no room for a list of %zu prefixes",
                             count);
        }
    }
    list_free(&user(path)->list);
    user(path)->list = list;
    return 0;
}

static int put_destination(struct path *path, const struct path_address *key,
                           const struct sentinel_destination *to)
{
    if (to->index >= user(path)->ncounts)
        return -ENOSPC;
    return shared_table_put(user(path)->destinations, key, to);
}

static bool get_destination(struct path *path, const struct path_address *key,
                            struct sentinel_destination *to)
{
    const struct sentinel_destination *found =
        shared_table_find(user(path)->destinations, key);
    if (found)
        *to = *found;
    return found;
}

static bool remove_destination(struct path *path, const struct path_address *key)
{
    return shared_table_remove(user(path)->destinations, key);
}

static void counts(struct path *path, uint32_t index,
                   struct sentinel_destination_counts *sum)
{
    *sum = index < user(path)->ncounts ? user(path)->counts[index]
                                       : (struct sentinel_destination_counts){ 0 };
}

static void suspects(struct path *path, path_visit *each, void *data)
{
    each_of(user(path)->suspects, each, data);
}

static void totals(struct path *path, struct sentinel_totals *sum)
{
    *sum = user(path)->totals;
}

static int events(struct path *path, void (*each)(const struct sentinel_event *, void *),
                  void *data)
{
    struct user_path *u = user(path);
    int count = (int)u->nevents;
    for (; u->nevents; u->nevents--) {
        each(&u->events[u->first_event], data);
        u->first_event = (u->first_event + 1) % EVENTS;
    }
    return count;
}

/* Who sees the packets needs no samples. */
static int samples(struct path *path,
                   void (*each)(const struct sentinel_sample *, void *), void *data)
{
    return 0;
}

static struct path_backlog backlog(const struct path *path)
{
    const struct user_path *u = (const struct user_path *)path;
    return (struct path_backlog){ .events = (double)u->nevents / EVENTS };
}

static void user_free(struct path *path)
{
    struct user_path *u = user(path);
    shared_table_free(u->entries);
    shared_table_free(u->destinations);
    table_free(u->suspects);
    table_free(u->verified);
    list_free(&u->list);
    free(u->counts);
    free(u->sketch);
    free(u->handshakes);
    free(u);
}

static const struct path_ops user_ops = {
    .set_policy = set_policy,
    .get = get,
    .put = put,
    .remove = remove_entry,
    .entries = entries,
    .set_list = set_list,
    .put_destination = put_destination,
    .get_destination = get_destination,
    .remove_destination = remove_destination,
    .counts = counts,
    .suspects = suspects,
    .totals = totals,
    .events = events,
    .samples = samples,
    .backlog = backlog,
    .free = user_free,
};

static uint32_t or_default(uint32_t size, uint32_t initial)
{
    return size ? size : initial;
}

struct path *path_new_user(const struct path_sizes *sizes, uint64_t secret)
{
    struct user_path *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    struct siphash_key seed = { .a = secret, .b = ~secret };
    size_t key = sizeof(struct path_address);
    uint32_t nsuspects = or_default(sizes->suspects, 65536);
    u->ncounts = or_default(sizes->destinations, 4096);
    u->path = (struct path){ .ops = &user_ops, .state = &u->state };
    u->state.secret = secret;
    u->entries = shared_table_new(4, sizeof(struct sentinel_entry),
                                  or_default(sizes->entries, 393216), secret);
    u->suspects =
        table_new(key, sizeof(struct sentinel_suspect), nsuspects, &seed, TABLE_LRU);
    u->verified = table_new(key, sizeof(uint64_t), nsuspects, &seed, TABLE_LRU);
    u->destinations =
        shared_table_new(4, sizeof(struct sentinel_destination), u->ncounts, secret);
    u->counts = calloc(u->ncounts, sizeof(*u->counts));
    u->sketch = calloc(SKETCH_ROWS, sizeof(*u->sketch));
    u->handshakes = calloc(HANDSHAKES, sizeof(*u->handshakes));
    if (u->entries && u->suspects && u->verified && u->destinations && u->counts &&
        u->sketch && u->handshakes)
        return &u->path;
    user_free(&u->path);
    return NULL;
}
