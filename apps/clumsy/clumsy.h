/* clumsy: what the files of the app share.
 *
 *     clumsy.c      the app class: configuration, counters, the next wake-up
 *     arrive.c      packets come in, are judged, damaged, and go on or have to wait
 *     leave.c       what has waited leaves
 *     decisions.c   the log of what became of each packet
 *     captures.c    the packets themselves, before and after
 *
 * A packet arrives when its timestamp says, and is released no earlier than the decided
 * time; that time is its timestamp from then on, so that in a row of these apps delays
 * add up exactly. What cannot leave, because the output is full or no packet is free,
 * waits. Packets are accounted for at any time:
 *
 *     packets + duplicated = delivered + drop_* + held
 */
#pragma once
#include <stdio.h>

#include "apps/clumsy/captures.h"
#include "apps/clumsy/delay_line.h"
#include "apps/clumsy/gate.h"
#include "apps/clumsy/impair.h"
#include "apps/clumsy/slot.h"
#include "apps/clumsy/swap.h"
#include "engine/engine.h"
#include "engine/plain.h"
#include "lib/capture_filter.h"

#define CLUMSY_METADATA  sizeof(struct delay_meta)
#define CLUMSY_COPY_BITS 4            /* of a sequence number: below the packet's index */
#define CLUMSY_EXEMPT    (1ull << 63) /* in a sequence number: of one not impaired */

_Static_assert(CLUMSY_COPIES_MAX < 1 << CLUMSY_COPY_BITS, "a copy's number fits");
_Static_assert(offsetof(struct packet, chunk) - offsetof(struct packet, length) ==
                   CLUMSY_METADATA,
               "a record holds all that is known of a packet, from its length on");

enum clumsy_histogram { LATENESS, DELAY, LOSS_RUNS };

enum clumsy_counter {
    PACKETS,
    DELIVERED,
    DUPLICATED,
    CORRUPTED,
    TRUNCATED,
    REORDERED,
    MARKED,
    RESETS,
    ANSWERED,
    ANSWERS_LOST,
    EXEMPTED,
    UNMATCHED,
    SPLIT,
    FLOOR_HITS,
    OUTPUT_FULL,
    NO_PACKET,
    DROP_GSO,
    DROP_DOWN,
    DROP_PATTERN,
    DROP_LOSS,
    DROP_MTU,
    DROP_QUEUE,
    DROP_AQM,
    DROP_MEMORY,
    DROP_NO_OUTPUT,
    DROP_STOPPED,
    HELD,
    HELD_BYTES,
    QUEUE_PACKETS_NOW,
    QUEUE_BYTES_NOW,
    CAPTURE_LOST,
};

struct clumsy {
    struct impair impair;
    struct delay_line line;
    struct gate *gate;
    struct gate_member member;
    uint16_t number; /* in the gate */
    uint64_t seed;
    struct swap swap;
    struct slot slot;
    uint64_t slot_opens; /* for what is due and waits for it; 0: nothing does */
    struct capture_filter match;
    bool matches;      /* not all are impaired */
    bool usual;        /* nobody looks into packets: the short way will do */
    uint64_t run;      /* packets lost in a row, now */
    uint64_t latest;   /* highest index delivered */
    uint64_t exempted; /* sequence number of those that are not impaired */
    bool blocked;      /* something due could not leave */
    uint8_t *scratch;  /* room for two frames, where one is needed */
    uint8_t *spare;    /* and for one that changes places */
    FILE *decisions;
    char *decisions_path; /* of that file */
    struct captures *captures;
    bool noted;         /* one of both is there */
    struct plain plain; /* of the input ... */
    uint64_t taken;     /* ... packets of it that were dealt with */
};

/* Packets that leave together. */
struct batch {
    struct app *app;
    struct link *output; /* NULL when not linked */
    uint64_t now;
    uint32_t room; /* in the output, less what is in p */
    uint32_t n;
    struct packet *p[LINK_BURST];
};

/* --- leave.c ---------------------------------------------------------------------------- */

struct batch batch_begin(struct app *app, uint64_t now);
void batch_end(struct batch *batch);

/* There must be room. */
void batch_add(struct batch *batch, struct packet *p, uint64_t sequence,
               uint64_t arrival);

/* Everything due by that time leaves. */
void clumsy_release(struct app *app, uint64_t due, uint64_t now);

/* A frame goes to the delay line; false when there is no room. */
bool clumsy_add(struct clumsy *clumsy, const struct delay_meta *meta,
                const uint8_t *frame, const struct fate *fate, uint64_t sequence);

/* The same for one that may change places with another of its flow. */
bool clumsy_store(struct app *app, const struct delay_meta *meta, const uint8_t *frame,
                  const struct fate *fate, uint64_t sequence, uint64_t flow);

/* The packet with that fate leaves, or will: so does one that changes places with it. */
void clumsy_swap(struct app *app, const struct fate *fate, uint64_t sequence,
                 uint64_t flow);

/* Those that have waited for that in vain. */
void clumsy_give_up(struct app *app, uint64_t now);

void clumsy_count_held(struct app *app);

/* For the gate: user is the app. */
void clumsy_passed(void *user, const struct queue_packet *packet, uint64_t departure);
void clumsy_dropped(void *user, const struct queue_packet *packet,
                    enum queue_reason reason);

/* When something is to be done next; UINT64_MAX: nothing is. */
uint64_t clumsy_next(const struct clumsy *clumsy);

/* --- arrive.c --------------------------------------------------------------------------- */

/* A packet of the wire; it becomes the app's. */
void clumsy_handle(struct batch *batch, struct packet *p);

/* --- decisions.c -------------------------------------------------------------------------- */

/* Opens the file when it is not open yet, or closes what is there; with an error that stays. */
int decisions_configure(struct clumsy *clumsy, const char *path, struct error *err);
void decisions_close(struct clumsy *clumsy);

/* One line, and for the captures: what became of a copy (or of the packet: copy 0). Times are counted from the start
 * of the app; delay only when it passes. content: lib/frame.h, 0 when not known any more. */
void decisions_note(struct clumsy *clumsy, uint64_t index, uint32_t copy,
                    uint64_t arrival, const char *outcome, uint64_t delay,
                    uint64_t content);
