/* contacts: whom a mapping has sent to, for filtering (RFC 4787, 5). */
#include "apps/nat/contacts.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/hash.h"
#include "lib/random.h"

int contacts_make(struct nat_contacts *contacts, uint32_t mappings, uint64_t seed,
                  const char *name)
{
    struct random_key key = random_key(seed, name, "nat contacts");
    uint64_t rows = 1;
    while (rows < mappings)
        rows *= 2;
    contacts->rows = calloc(rows, sizeof(*contacts->rows));
    contacts->mask = rows - 1;
    contacts->key = random_draw(&key, 0);
    return contacts->rows ? 0 : -ENOMEM;
}

void contacts_free(struct nat_contacts *contacts)
{
    free(contacts->rows);
    *contacts = (struct nat_contacts){ 0 };
}

static uint64_t mark_of(const struct nat_contacts *contacts, uint64_t serial,
                        const struct nat_endpoint *remote, bool ports)
{
    struct nat_endpoint end = *remote;
    if (!ports)
        end.port = 0;
    return hash_bytes(hash_mix(contacts->key, serial), (const uint8_t *)&end,
                      sizeof(end)) |
           1;
}

static struct nat_contact *row_of(const struct nat_contacts *contacts, uint64_t mark)
{
    return contacts->rows[mark >> 32 & contacts->mask];
}

bool contacts_note(struct nat_contacts *contacts, uint64_t serial,
                   const struct nat_endpoint *remote, bool ports, uint64_t now,
                   uint64_t timeout)
{
    uint64_t mark = mark_of(contacts, serial, remote, ports);
    struct nat_contact *row = row_of(contacts, mark), *place = row;
    for (uint32_t i = 0; i < CONTACTS_WAYS && place->mark != mark; i++)
        if (row[i].mark == mark || row[i].time < place->time)
            place = &row[i];
    bool lost = place->mark && place->mark != mark && now - place->time < timeout;
    *place = (struct nat_contact){ mark, now };
    return lost;
}

bool contacts_allow(const struct nat_contacts *contacts, uint64_t serial,
                    const struct nat_endpoint *remote, bool ports, uint64_t now,
                    uint64_t timeout)
{
    uint64_t mark = mark_of(contacts, serial, remote, ports);
    const struct nat_contact *row = row_of(contacts, mark);
    for (uint32_t i = 0; i < CONTACTS_WAYS; i++)
        if (row[i].mark == mark)
            return now - row[i].time < timeout;
    return false;
}
