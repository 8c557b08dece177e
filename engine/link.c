/* link: what is not on the fast path. */
#include "engine/link.h"

void link_drop(struct link *link, struct packet *const *p, uint32_t n)
{
    link->drops += n;
    while (n) {
        uint32_t some = n < FREELIST_BATCH ? n : FREELIST_BATCH;
        packet_free_burst(p, some);
        p += some;
        n -= some;
    }
}
