/* stamps: what the program that measures and its XDP programs agree on. */
#pragma once

#include <stdint.h>

#define STAMPS_HEADER 108 /* bytes of a frame, the last 16 of which are the stamp */

struct stamps_frame {
    uint8_t header[STAMPS_HEADER];
    uint32_t size;     /* bytes */
    uint32_t together; /* at least one */
    uint32_t gap;      /* from those to the next, ns */
    uint32_t at;       /* where the stamp is when it arrives */
};
