/* health: is the work being done? */
#include "apps/neigh_sync/health.h"

static void count(struct health *health, const struct health_facts *facts, uint64_t now)
{
    if (now - health->slot_at >= HEALTH_SLOT) {
        uint64_t slots = (now - health->slot_at) / HEALTH_SLOT;
        health->slot_at = now;
        for (uint64_t i = 0; i < slots && i < HEALTH_SLOTS; i++) {
            health->slot = (health->slot + 1) % HEALTH_SLOTS;
            health->slots[health->slot].done = health->slots[health->slot].failed = 0;
        }
    }
    health->slots[health->slot].done += facts->done - health->last.done;
    health->slots[health->slot].failed += facts->failed - health->last.failed;
    health->last.done = facts->done;
    health->last.failed = facts->failed;
}

enum health_status health_look(struct health *health, const struct health_facts *facts,
                               uint64_t now)
{
    uint64_t failed = 0, all = 0;
    if (!health->progress_at || !facts->waiting || facts->done != health->done)
        health->progress_at = now;
    health->done = facts->done;
    count(health, facts, now);
    for (unsigned i = 0; i < HEALTH_SLOTS; i++) {
        failed += health->slots[i].failed;
        all += health->slots[i].failed + health->slots[i].done;
    }
    if (!facts->connected || now - health->progress_at > HEALTH_STALL)
        return HEALTH_UNHEALTHY;
    return all >= HEALTH_MINIMUM && failed * 20 > all ? HEALTH_DEGRADED : HEALTH_HEALTHY;
}
