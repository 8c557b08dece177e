/* delay_line: frames on their way, until it is time to release them.
 *
 *   delay_line_add       a frame to be released at a time
 *   delay_line_hold      a frame to be released when others have been
 *   delay_line_park      a frame that only its owner knows when to release
 *   delay_line_parked, delay_line_unpark
 *   delay_line_due       the next frame that is due
 *   delay_line_take      take that one out
 *   delay_line_next      when something is due
 *   delay_line_cost      bytes of the budget that a frame takes
 *   delay_line_free      forget all
 *
 *     in order    | record frame | record frame | record ...       bytes, block by block
 *     any order   4-ary heap of (release, sequence, cell) ---+
 *     held        ring of (count, until, cell) --------------+-> cells of 128 bytes
 *
 * Frames are copied in and out, so that a long delay does not keep the packets of the
 * engine from everybody else: a million 64-byte frames take 107 MiB. What comes in the
 * order in which it leaves, the usual case, costs little more than the copy. The three
 * are merged by (release, sequence): of frames with the same release time the first to
 * arrive leaves first.
 *
 * A budget of bytes bounds it. Nothing is ever released early to make room; when the
 * budget is used up, adding fails. Memory once taken is kept for the next frames.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELAY_LINE_NEVER UINT64_MAX

/* Who comes first: the earlier release, of equal ones the lower sequence. */
struct delay_key {
    uint64_t release; /* ns */
    uint64_t sequence;
};

/* What is known of a frame; rest is the owner's. May be part of some other struct. */
struct delay_meta {
    uint32_t length;
    uint8_t rest[28];
} __attribute__((may_alias));

struct delay_record {
    struct delay_key key;
    struct delay_meta meta;
};

enum delay_lane { DELAY_IN_ORDER, DELAY_ANY_ORDER, DELAY_HELD, DELAY_LANES };

#define DELAY_NO_HANDLE UINT32_MAX

struct delay_block;

struct delay_heap_entry {
    struct delay_key key;
    uint32_t cell;
};

struct delay_held {
    uint64_t after; /* frames of the other lanes released by then, ever */
    uint64_t until; /* released at this time at the latest */
    uint32_t cell;
};

struct delay_line {
    uint64_t budget;      /* bytes; may be changed at any time */
    uint64_t used;        /* bytes of it */
    uint64_t next;        /* when the first frame is due */
    uint64_t count;       /* frames, without those parked */
    uint64_t parked;      /* frames */
    enum delay_lane lane; /* where the first frame is */

    struct delay_block *head, *tail, *spare;
    uint32_t head_at; /* where in head the first record is */
    uint64_t tail_release;

    struct delay_heap_entry *heap;
    uint64_t heap_count, heap_size;

    struct delay_held *held;
    uint64_t held_head, held_tail, held_size; /* cursors; size 0 or a power of two */
    uint64_t entered, left;                   /* frames of the other two lanes, ever */
    uint64_t left_at; /* release time of the last of them that left */

    uint8_t **cell_blocks;
    uint32_t *cell_next; /* of each cell: the next of the same frame, or the next free */
    uint32_t cells, free_cell;
};

/* A line of all zeros is empty but for the budget. */
void delay_line_init(struct delay_line *line, uint64_t budget);
void delay_line_free(struct delay_line *line);

/* Copies meta and the frame in; false when there is no room. lane is
 * DELAY_IN_ORDER for a frame that is not due before the last one of that lane (another is
 * taken for DELAY_ANY_ORDER). */
bool delay_line_add(struct delay_line *line, enum delay_lane lane, struct delay_key key,
                    const struct delay_meta *meta, const void *frame);

/* The same for a frame that waits until `depth` frames added after it have left, hold ns
 * longer than its release time at most, and is due no earlier than that time. Held frames
 * leave in the order they came. */
bool delay_line_hold(struct delay_line *line, struct delay_key key,
                     const struct delay_meta *meta, const void *frame, uint32_t depth,
                     uint64_t hold);

/* Copies meta and the frame in, to no lane: the handle it is known by, or DELAY_NO_HANDLE when
 * there is no room. */
uint32_t delay_line_park(struct delay_line *line, struct delay_key key,
                         const struct delay_meta *meta, const void *frame);

/* What was parked; valid until the line changes. */
const struct delay_record *delay_line_parked(const struct delay_line *line,
                                             uint32_t handle);

/* Takes it out, its bytes to frame (NULL: nowhere). */
void delay_line_unpark(struct delay_line *line, uint32_t handle, void *frame);

uint64_t delay_line_cost(enum delay_lane lane, uint32_t length);

/* The record at the head, valid until the line changes; the line must not be empty. */
const struct delay_record *delay_line_head(struct delay_line *line);

/* Takes the frame at the head out, its bytes to frame (NULL: nowhere). */
void delay_line_take(struct delay_line *line, void *frame);

static inline uint64_t delay_line_next(const struct delay_line *line)
{
    return line->next;
}

/* The next frame due by now, or NULL. For a held frame release is the time at which the
 * condition came true. */
static inline const struct delay_record *delay_line_due(struct delay_line *line,
                                                        uint64_t now)
{
    return line->next <= now && line->count ? delay_line_head(line) : NULL;
}

static inline uint64_t delay_line_held(const struct delay_line *line)
{
    return line->held_tail - line->held_head;
}
