/* audit: rows of ours that Redis has and should not have.
 *
 *   audit_ask   after Redis came back
 *
 * A Redis that reads an older copy of its data has rows again that were deleted since, and
 * rows that were about to be set. Both are looked through, and the mirror says which were
 * ours. Rows that are wanted are written anew in any case, and rows of others stay.
 */
#pragma once
#include "apps/neigh_sync/writer.h"

void audit_ask(struct writer *writer);
