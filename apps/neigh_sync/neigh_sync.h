/* neigh_sync: the parts of one NeighSync, and what people may ask of it. */
#pragma once
#include "apps/neigh_sync/audit.h"
#include "apps/neigh_sync/database_config.h"
#include "apps/neigh_sync/health.h"
#include "apps/neigh_sync/kernel.h"
#include "apps/neigh_sync/parameters.h"
#include "apps/neigh_sync/settings.h"
#include "apps/neigh_sync/warm.h"
#include "apps/neigh_sync/writer.h"
#include "engine/app.h"

struct neigh_sync {
    struct mirror *mirror;
    struct kernel kernel;
    struct redis *redis; /* APPL_DB; NULL: nobody is told */
    struct writer writer;
    struct settings settings;
    struct warm warm;
    struct health health;
    struct database_config databases;
    uint64_t now, next_look, reopen_at;
};

extern const struct operation_row neigh_sync_operations[];
int neigh_sync_call(struct app *app, uint32_t operation, const struct value *args,
                    struct value *answer, struct error *err);

/* Redis is told everything anew, as the kernel has it now. */
void neigh_sync_resync(struct neigh_sync *sync);
