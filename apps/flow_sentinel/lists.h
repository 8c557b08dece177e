/* lists: who is allowed and who is banned, by prefix.
 *
 *   lists_load     from parameters and files; what people said since then stays
 *   lists_adopt    takes another one's place
 *   lists_apply    into a data path
 *   lists_find     the longest prefix that holds an address
 *   lists_add, lists_remove, lists_clear
 *   lists_addresses   every address of a prefix, or of a list of them
 *
 * Who is allowed is never banned, unless by force: a banned prefix that lies within an allowed one
 * is left out, so that the longest prefix may decide. Single addresses do not come here (flow_sentinel's
 * operations put them among the entries), unless by list.
 */
#pragma once
#include <stdbool.h>

#include "apps/flow_sentinel/path.h"
#include "lib/prefix_set.h"
#include "lib/value.h"

struct sentinel_conf;

struct sentinel_lists {
    struct prefix_set *allowed, *banned; /* NULL: none */
    /* ... of them those that lists_add brought: no parameter names them */
    struct prefix_set *also_allowed, *also_banned;
    uint32_t cleared; /* host bits behind prefixes of files */
};

/* Into lists that are empty; before: NULL, or whose additions are taken along. On error lists
 * stay empty. */
int lists_load(struct sentinel_lists *lists, const struct sentinel_conf *conf,
               const struct sentinel_lists *before, struct error *err);

/* Clears what was there; `from` is empty then. */
void lists_adopt(struct sentinel_lists *lists, struct sentinel_lists *from);

int lists_apply(const struct sentinel_lists *lists, struct path *path, struct error *err);

/* kind: KIND_ALLOWED or KIND_BANNED. False when no list holds the address. */
bool lists_find(const struct sentinel_lists *lists, const struct path_address *address,
                enum sentinel_kind *kind, struct prefix *matched);

/* force: of a ban, though it is allowed. */
int lists_add(struct sentinel_lists *lists, enum sentinel_kind kind,
              const struct prefix *prefix, bool force, struct error *err);
bool lists_remove(struct sentinel_lists *lists, enum sentinel_kind kind,
                  const struct prefix *prefix);
void lists_clear(struct sentinel_lists *lists);

#define LISTS_ADDRESSES 1024 /* of a prefix at most */

/* name: of the parameter, for messages. *addresses is the caller's to free; NULL when there are
 * none. */
int lists_addresses(const struct value *value, const char *name,
                    struct path_address **addresses, size_t *count, struct error *err);
