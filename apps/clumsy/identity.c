/* identity: which packet this is, for the random numbers. */
#include "apps/clumsy/identity.h"

bool identity_configure(struct identity *identity, int mode)
{
    if (mode == identity->mode)
        return true;
    tally_free(&identity->seen);
    identity->mode = mode;
    return mode == KEY_INDEX ||
           tally_init(&identity->seen,
                      mode == KEY_FLOW ? IDENTITY_FLOWS : IDENTITY_CONTENTS);
}

void identity_free(struct identity *identity)
{
    tally_free(&identity->seen);
}

uint64_t identity_draw(struct identity *identity, uint64_t index,
                       const struct frame *frame)
{
    if (identity->mode == KEY_INDEX)
        return index;
    uint64_t hash = identity->mode == KEY_FLOW ? frame_flow(frame) : frame_content(frame);
    uint64_t n = (*tally_at(&identity->seen, hash))++;
    uint64_t draw = (hash ^ (n + 1) * 0xbf58476d1ce4e5b9) * 0x94d049bb133111eb;
    return draw ^ draw >> 32;
}
