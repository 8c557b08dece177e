/* surroundings: addresses that no flood may make us block.
 *
 *   surroundings_find   one of them
 *   surroundings_read   those of this machine, and of those it cannot do without
 *
 * Own: what the interfaces of this network namespace have. Needed: default gateways, the name
 * servers of /etc/resolv.conf, where the SSH session comes from in which this process was
 * started.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "apps/flow_sentinel/path.h"

#define SURROUNDINGS_MAX 4096 /* more are left out */

struct surrounding {
    struct path_address address;
    uint8_t kind; /* KIND_OWN or KIND_ALLOWED */
};

struct surroundings {
    size_t count;
    struct surrounding *all; /* sorted, none twice; the caller's, free() */
};

/* Files that cannot be read are not there: a kernel without IPv6 has no table of it. False when
 * the kernel does not tell of its addresses and routes: nothing is known then, and nothing
 * changed. */
bool surroundings_read(struct surroundings *surroundings);

/* NULL when it is not among them. */
const struct surrounding *surroundings_find(const struct surroundings *surroundings,
                                            const struct path_address *address);
