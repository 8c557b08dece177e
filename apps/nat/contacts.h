/* contacts: whom a mapping has sent to, for filtering (RFC 4787, 5).
 *
 *   contacts_make, contacts_free
 *   contacts_note     the mapping has sent to that endpoint now
 *   contacts_allow    ... did it, within a time?
 *
 * A set in rows of four: a fifth takes the place of the one that is longest ago. What is kept of a
 * contact is a hash of 64 bits with a key of its own, in which the serial number of the mapping
 * is, so that nothing need be done when a mapping goes.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/nat/view.h"

#define CONTACTS_WAYS 4

struct nat_contacts {
    struct nat_contact {
        uint64_t mark; /* 0: an empty place */
        uint64_t time; /* ns */
    } (*rows)[CONTACTS_WAYS];
    uint64_t mask, key;
};

/* Zeroed before. mappings: how many there can be. -ENOMEM. */
int contacts_make(struct nat_contacts *contacts, uint32_t mappings, uint64_t seed,
                  const char *name);
void contacts_free(struct nat_contacts *contacts);

/* ports: do they count? True when another contact of less than timeout ago was given up for it. */
bool contacts_note(struct nat_contacts *contacts, uint64_t serial,
                   const struct nat_endpoint *remote, bool ports, uint64_t now,
                   uint64_t timeout);
bool contacts_allow(const struct nat_contacts *contacts, uint64_t serial,
                    const struct nat_endpoint *remote, bool ports, uint64_t now,
                    uint64_t timeout);
