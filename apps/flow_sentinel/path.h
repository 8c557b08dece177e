/* path: FlowSentinel's data path, in the kernel or in this process, and what its tables hold.
 *
 *   path_new_user, path_judge   judges packets in this process; kernel_path.h: an XDP program
 *                         on an interface does
 *   path_set_policy       what is allowed from now on
 *   path_get, path_put, path_remove, path_entries   what is known of sources
 *   path_set_list         the prefixes of allow and block lists, all at once
 *   path_put_destination, path_get_destination, path_remove_destination, path_counts   who is
 *                         protected
 *   path_suspects         the sources that send a good share of a limit
 *   path_totals           what was counted
 *   path_events, path_samples                       news
 *   path_backlog          how full the rings are in which they wait
 *   path_free
 *
 * The rules are the same source text (judge.bpf.h), compiled for both; so are the tables'
 * values (sentinel.bpf.h). Everybody above this header works with either.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/flow_sentinel/sentinel.bpf.h"
#include "lib/error.h"

struct path;

/* Room in the tables. 0: the default in brackets. */
struct path_sizes {
    uint32_t entries;      /* sources that are blocked, banned or allowed (393,216) */
    uint32_t suspects;     /* (65,536), and as many that are verified */
    uint32_t destinations; /* (4,096) */
    uint32_t samples;      /* bytes of the ring, a power of two (16 MiB) */
};

struct path_address {
    uint32_t word[4]; /* 16 bytes in the order of the wire, IPv4 mapped */
};

struct path_listed {
    struct sentinel_prefix prefix; /* bits: of 128 */
    struct sentinel_entry entry;
};

/* A key and its value: struct sentinel_entry, struct sentinel_suspect. */
typedef void path_visit(const struct path_address *key, const void *value, void *user);

/* What waits to be read, as shares of the room for it. */
struct path_backlog {
    double events, samples;
};

struct path_ops {
    int (*set_policy)(struct path *path, const struct sentinel_policy *policy,
                      struct error *err);
    bool (*get)(struct path *path, const struct path_address *key,
                struct sentinel_entry *entry);
    int (*put)(struct path *path, const struct path_address *key,
               const struct sentinel_entry *entry);
    bool (*remove)(struct path *path, const struct path_address *key);
    void (*entries)(struct path *path, path_visit *each, void *user);
    int (*set_list)(struct path *path, const struct path_listed *list, size_t count,
                    struct error *err);
    int (*put_destination)(struct path *path, const struct path_address *key,
                           const struct sentinel_destination *to);
    bool (*get_destination)(struct path *path, const struct path_address *key,
                            struct sentinel_destination *to);
    bool (*remove_destination)(struct path *path, const struct path_address *key);
    void (*counts)(struct path *path, uint32_t index,
                   struct sentinel_destination_counts *sum);
    void (*suspects)(struct path *path, path_visit *each, void *user);
    void (*totals)(struct path *path, struct sentinel_totals *sum);
    int (*events)(struct path *path,
                  void (*each)(const struct sentinel_event *event, void *user),
                  void *user);
    int (*samples)(struct path *path,
                   void (*each)(const struct sentinel_sample *sample, void *user),
                   void *user);
    struct path_backlog (*backlog)(const struct path *path);
    void (*free)(struct path *path);
};

struct path {
    const struct path_ops *ops;
    struct sentinel_state *state; /* shared with the data path */
};

/* Judges with the given secret, which nobody else should know. NULL when memory is out. */
struct path *path_new_user(const struct path_sizes *sizes, uint64_t secret);

/* What is to be done with a frame, at a time of the engine's clock: fills `frame`. vlan: of a
 * tag that is not in the bytes any more, or 0xffff; length: of all the frame. Only for
 * path_new_user. */
void path_judge(struct path *path, struct sentinel_frame *frame, const uint8_t *data,
                uint32_t length, uint16_t vlan, uint64_t now);

/* No frame is judged by halves of two policies. On error the old one holds. */
static inline int path_set_policy(struct path *path, const struct sentinel_policy *policy,
                                  struct error *err)
{
    return path->ops->set_policy(path, policy, err);
}

static inline bool path_get(struct path *path, const struct path_address *key,
                            struct sentinel_entry *entry)
{
    return path->ops->get(path, key, entry);
}

/* Replaces what was there. -ENOSPC when the table is full. */
static inline int path_put(struct path *path, const struct path_address *key,
                           const struct sentinel_entry *entry)
{
    return path->ops->put(path, key, entry);
}

/* False when it was not there. */
static inline bool path_remove(struct path *path, const struct path_address *key)
{
    return path->ops->remove(path, key);
}

/* Calls back for every entry; the callback may remove the one it is told of. */
static inline void path_entries(struct path *path, path_visit *each, void *user)
{
    path->ops->entries(path, each, user);
}

/* Takes the place of the list that was there between two frames; on error that stays. The
 * longest prefix decides. */
static inline int path_set_list(struct path *path, const struct path_listed *list,
                                size_t count, struct error *err)
{
    return path->ops->set_list(path, list, count, err);
}

/* Writes all but the arrival times. index: 1 and up, one for each destination. */
static inline int path_put_destination(struct path *path, const struct path_address *key,
                                       const struct sentinel_destination *to)
{
    return path->ops->put_destination(path, key, to);
}

static inline bool path_get_destination(struct path *path, const struct path_address *key,
                                        struct sentinel_destination *to)
{
    return path->ops->get_destination(path, key, to);
}

static inline bool path_remove_destination(struct path *path,
                                           const struct path_address *key)
{
    return path->ops->remove_destination(path, key);
}

/* Since the path was made. SENTINEL_TRANSIT is all that is not protected. */
static inline void path_counts(struct path *path, uint32_t index,
                               struct sentinel_destination_counts *sum)
{
    path->ops->counts(path, index, sum);
}

static inline void path_suspects(struct path *path, path_visit *each, void *user)
{
    path->ops->suspects(path, each, user);
}

static inline void path_totals(struct path *path, struct sentinel_totals *sum)
{
    path->ops->totals(path, sum);
}

/* Hands over what is waiting and returns how many those were; never blocks. */
static inline int
path_events(struct path *path,
            void (*each)(const struct sentinel_event *event, void *user), void *user)
{
    return path->ops->events(path, each, user);
}

static inline int
path_samples(struct path *path,
             void (*each)(const struct sentinel_sample *sample, void *user), void *user)
{
    return path->ops->samples(path, each, user);
}

static inline struct path_backlog path_backlog(const struct path *path)
{
    return path->ops->backlog(path);
}

/* May be NULL. */
static inline void path_free(struct path *path)
{
    if (path)
        path->ops->free(path);
}
