/* delay_line: frames on their way, until it is time to release them. */
#include "apps/clumsy/delay_line.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 65536 /* of the lane in order; two of them fit the L2 cache */
#define ALIGNMENT  16
#define CELL_SIZE  128
#define CELL_BLOCK 1024 /* cells allocated at a time */
#define CELL_NONE  DELAY_NO_HANDLE
#define HEAP_WAYS  4
#define FIRST_SIZE 64

struct delay_block {
    struct delay_block *next;
    uint32_t used, size;
    uint8_t bytes[] __attribute__((aligned(ALIGNMENT)));
};

static uint32_t record_size(uint32_t length)
{
    return (uint32_t)(sizeof(struct delay_record) + length + ALIGNMENT - 1) &
           ~(uint32_t)(ALIGNMENT - 1);
}

static uint32_t cells_of(uint32_t length)
{
    return (uint32_t)(sizeof(struct delay_record) + length + CELL_SIZE - 1) / CELL_SIZE;
}

uint64_t delay_line_cost(enum delay_lane lane, uint32_t length)
{
    if (lane == DELAY_IN_ORDER)
        return record_size(length);
    return cells_of(length) * (uint64_t)(CELL_SIZE + sizeof(uint32_t)) +
           sizeof(struct delay_heap_entry);
}

void delay_line_init(struct delay_line *line, uint64_t budget)
{
    memset(line, 0, sizeof(*line));
    line->budget = budget;
    line->next = DELAY_LINE_NEVER;
    line->free_cell = CELL_NONE;
}

static void free_blocks(struct delay_block *block)
{
    while (block) {
        struct delay_block *next = block->next;
        free(block);
        block = next;
    }
}

void delay_line_free(struct delay_line *line)
{
    free_blocks(line->head);
    free_blocks(line->spare);
    free(line->heap);
    free(line->held);
    for (uint32_t i = 0; i < line->cells / CELL_BLOCK; i++)
        free(line->cell_blocks[i]);
    free(line->cell_blocks);
    free(line->cell_next);
    delay_line_init(line, line->budget);
}

/* --- in order: a chain of blocks ---------------------------------------------------- */

static struct delay_block *block_new(struct delay_line *line, uint32_t need)
{
    struct delay_block *block = line->spare;
    if (block && need <= block->size) {
        line->spare = block->next;
    } else {
        uint32_t size = need > BLOCK_SIZE - sizeof(*block)
                            ? need
                            : (uint32_t)(BLOCK_SIZE - sizeof(*block));
        block = malloc(sizeof(*block) + size);
        if (!block)
            return NULL;
        block->size = size;
    }
    block->next = NULL;
    block->used = 0;
    return block;
}

/* A block made for one huge frame is not kept: the next small one would waste it. */
static void block_retire(struct delay_line *line, struct delay_block *block)
{
    if (block->size != BLOCK_SIZE - sizeof(*block)) {
        free(block);
        return;
    }
    block->next = line->spare;
    line->spare = block;
}

static struct delay_record *record_at(struct delay_block *block, uint32_t offset)
{
    return (struct delay_record *)(void *)(block->bytes + offset);
}

static bool fifo_add(struct delay_line *line, struct delay_key key,
                     const struct delay_meta *meta, const void *frame)
{
    uint32_t need = record_size(meta->length);
    struct delay_block *block = line->tail;
    if (!block || block->size - block->used < need) {
        block = block_new(line, need);
        if (!block)
            return false;
        if (line->tail)
            line->tail->next = block;
        else
            line->head = block;
        line->tail = block;
    }
    struct delay_record *record = record_at(block, block->used);
    *record = (struct delay_record){ key, *meta };
    memcpy(record + 1, frame, meta->length);
    block->used += need;
    line->tail_release = key.release;
    return true;
}

static const struct delay_record *fifo_head(const struct delay_line *line)
{
    return line->head ? record_at(line->head, line->head_at) : NULL;
}

/* An emptied block is the next to be filled, so that a short line stays in the cache. */
static void fifo_take(struct delay_line *line, void *frame)
{
    const struct delay_record *record = fifo_head(line);
    if (frame)
        memcpy(frame, record + 1, record->meta.length);
    struct delay_block *block = line->head;
    line->head_at += record_size(record->meta.length);
    if (line->head_at < block->used)
        return;
    line->head_at = 0;
    line->head = block->next;
    if (!line->head)
        line->tail = NULL;
    block_retire(line, block);
}

/* --- cells: frames that may leave in any order ----------------------------------------
 */

static uint8_t *cell_bytes(const struct delay_line *line, uint32_t cell)
{
    return line->cell_blocks[cell / CELL_BLOCK] + cell % CELL_BLOCK * CELL_SIZE;
}

static bool cells_grow(struct delay_line *line)
{
    if (line->cells > CELL_NONE - 2 * CELL_BLOCK)
        return false;
    uint32_t blocks = line->cells / CELL_BLOCK;
    uint8_t **list = realloc(line->cell_blocks, (blocks + 1) * sizeof(*list));
    if (!list)
        return false;
    line->cell_blocks = list;
    uint32_t *next = realloc(line->cell_next, (line->cells + CELL_BLOCK) * sizeof(*next));
    if (!next)
        return false;
    line->cell_next = next;
    list[blocks] = malloc(CELL_BLOCK * CELL_SIZE);
    if (!list[blocks])
        return false;
    for (uint32_t i = line->cells + CELL_BLOCK; i-- > line->cells;) {
        next[i] = line->free_cell;
        line->free_cell = i;
    }
    line->cells += CELL_BLOCK;
    return true;
}

static void cells_free(struct delay_line *line, uint32_t first)
{
    uint32_t last = first;
    while (line->cell_next[last] != CELL_NONE)
        last = line->cell_next[last];
    line->cell_next[last] = line->free_cell;
    line->free_cell = first;
}

/* A chain of n cells, or CELL_NONE. */
static uint32_t cells_take(struct delay_line *line, uint32_t n)
{
    uint32_t chain = CELL_NONE;
    while (n--) {
        if (line->free_cell == CELL_NONE && !cells_grow(line)) {
            if (chain != CELL_NONE)
                cells_free(line, chain);
            return CELL_NONE;
        }
        uint32_t cell = line->free_cell;
        line->free_cell = line->cell_next[cell];
        line->cell_next[cell] = chain;
        chain = cell;
    }
    return chain;
}

static struct delay_record *cell_record(const struct delay_line *line, uint32_t cell)
{
    return (struct delay_record *)(void *)cell_bytes(line, cell);
}

/* The record fills the first bytes of the first cell, the frame the rest. */
static uint32_t cells_store(struct delay_line *line, struct delay_key key,
                            const struct delay_meta *meta, const void *frame)
{
    uint32_t first = cells_take(line, cells_of(meta->length));
    if (first == CELL_NONE)
        return CELL_NONE;
    const uint8_t *from = frame;
    uint32_t left = meta->length, skip = sizeof(struct delay_record);
    *cell_record(line, first) = (struct delay_record){ key, *meta };
    for (uint32_t cell = first; cell != CELL_NONE; cell = line->cell_next[cell]) {
        uint32_t part = left < CELL_SIZE - skip ? left : CELL_SIZE - skip;
        memcpy(cell_bytes(line, cell) + skip, from, part);
        from += part;
        left -= part;
        skip = 0;
    }
    return first;
}

static void cells_load(struct delay_line *line, uint32_t first, void *frame)
{
    uint8_t *to = frame;
    uint32_t left = cell_record(line, first)->meta.length,
             skip = sizeof(struct delay_record);
    for (uint32_t cell = first; to && cell != CELL_NONE; cell = line->cell_next[cell]) {
        uint32_t part = left < CELL_SIZE - skip ? left : CELL_SIZE - skip;
        memcpy(to, cell_bytes(line, cell) + skip, part);
        to += part;
        left -= part;
        skip = 0;
    }
    cells_free(line, first);
}

/* --- any order: a heap ----------------------------------------------------------------
 */

static bool before(struct delay_key a, struct delay_key b)
{
    return a.release != b.release ? a.release < b.release : a.sequence < b.sequence;
}

static bool heap_add(struct delay_line *line, struct delay_key key,
                     const struct delay_meta *meta, const void *frame)
{
    if (line->heap_count == line->heap_size) {
        uint64_t size = line->heap_size ? 2 * line->heap_size : FIRST_SIZE;
        struct delay_heap_entry *heap = realloc(line->heap, size * sizeof(*heap));
        if (!heap)
            return false;
        line->heap = heap;
        line->heap_size = size;
    }
    struct delay_heap_entry entry = { key, cells_store(line, key, meta, frame) };
    if (entry.cell == CELL_NONE)
        return false;
    uint64_t at = line->heap_count++;
    while (at) {
        uint64_t parent = (at - 1) / HEAP_WAYS;
        if (!before(key, line->heap[parent].key))
            break;
        line->heap[at] = line->heap[parent];
        at = parent;
    }
    line->heap[at] = entry;
    return true;
}

static void heap_take(struct delay_line *line, void *frame)
{
    struct delay_heap_entry *heap = line->heap;
    cells_load(line, heap[0].cell, frame);
    struct delay_heap_entry entry = heap[--line->heap_count];
    uint64_t at = 0, count = line->heap_count;
    for (;;) {
        uint64_t child = at * HEAP_WAYS + 1, best = child;
        if (child >= count)
            break;
        uint64_t end = child + HEAP_WAYS < count ? child + HEAP_WAYS : count;
        while (++child < end)
            if (before(heap[child].key, heap[best].key))
                best = child;
        if (!before(heap[best].key, entry.key))
            break;
        heap[at] = heap[best];
        at = best;
    }
    heap[at] = entry;
}

/* --- held: until others have left
 * ------------------------------------------------------- */

static struct delay_held *held_at(const struct delay_line *line, uint64_t cursor)
{
    return &line->held[cursor & (line->held_size - 1)];
}

static bool held_grow(struct delay_line *line)
{
    uint64_t size = line->held_size ? 2 * line->held_size : FIRST_SIZE;
    struct delay_held *held = malloc(size * sizeof(*held));
    if (!held)
        return false;
    for (uint64_t i = line->held_head; i != line->held_tail; i++)
        held[i & (size - 1)] = *held_at(line, i);
    free(line->held);
    line->held = held;
    line->held_size = size;
    return true;
}

/* Has what the first held frame waits for happened? Then it is due with the frame that
 * made it so, but not before its own time. */
static void held_settle(struct delay_line *line)
{
    if (!delay_line_held(line))
        return;
    struct delay_held *held = held_at(line, line->held_head);
    uint64_t release = cell_record(line, held->cell)->key.release;
    uint64_t at = line->left_at > release ? line->left_at : release;
    if (held->after <= line->left && at < held->until)
        held->until = at;
}

static void held_take(struct delay_line *line, void *frame)
{
    cells_load(line, held_at(line, line->held_head)->cell, frame);
    line->held_head++;
}

/* --- all three
 * ---------------------------------------------------------------------------- */

static void find_next(struct delay_line *line)
{
    struct delay_key best = { DELAY_LINE_NEVER, DELAY_LINE_NEVER };
    line->lane = DELAY_IN_ORDER;
    if (line->head)
        best = fifo_head(line)->key;
    if (line->heap_count && before(line->heap[0].key, best)) {
        best = line->heap[0].key;
        line->lane = DELAY_ANY_ORDER;
    }
    if (delay_line_held(line)) {
        const struct delay_held *held = held_at(line, line->held_head);
        struct delay_key key = cell_record(line, held->cell)->key;
        key.release = held->until;
        if (before(key, best)) {
            best = key;
            line->lane = DELAY_HELD;
        }
    }
    line->next = best.release;
}

static bool reserve(struct delay_line *line, enum delay_lane lane, uint32_t length)
{
    uint64_t cost = delay_line_cost(lane, length);
    return line->used <= line->budget && cost <= line->budget - line->used;
}

/* What has the release time of the present head already came before. */
static void enter(struct delay_line *line, enum delay_lane lane, uint32_t length,
                  uint64_t due)
{
    line->used += delay_line_cost(lane, length);
    line->count++;
    if (due < line->next) {
        line->next = due;
        line->lane = lane;
    }
}

bool delay_line_add(struct delay_line *line, enum delay_lane lane, struct delay_key key,
                    const struct delay_meta *meta, const void *frame)
{
    if (line->head && key.release < line->tail_release)
        lane = DELAY_ANY_ORDER;
    if (!reserve(line, lane, meta->length) ||
        !(lane == DELAY_IN_ORDER ? fifo_add(line, key, meta, frame)
                                 : heap_add(line, key, meta, frame)))
        return false;
    line->entered++;
    enter(line, lane, meta->length, key.release);
    return true;
}

bool delay_line_hold(struct delay_line *line, struct delay_key key,
                     const struct delay_meta *meta, const void *frame, uint32_t depth,
                     uint64_t hold)
{
    if (!reserve(line, DELAY_HELD, meta->length))
        return false;
    if (delay_line_held(line) == line->held_size && !held_grow(line))
        return false;
    struct delay_held held = { line->entered + depth, key.release + hold,
                               cells_store(line, key, meta, frame) };
    if (held.cell == CELL_NONE)
        return false;
    if (delay_line_held(line)) { /* order among the held comes first */
        const struct delay_held *last = held_at(line, line->held_tail - 1);
        held.after = held.after > last->after ? held.after : last->after;
        held.until = held.until > last->until ? held.until : last->until;
    }
    *held_at(line, line->held_tail++) = held;
    enter(line, DELAY_HELD, meta->length, held.until);
    return true;
}

uint32_t delay_line_park(struct delay_line *line, struct delay_key key,
                         const struct delay_meta *meta, const void *frame)
{
    if (!reserve(line, DELAY_ANY_ORDER, meta->length))
        return DELAY_NO_HANDLE;
    uint32_t handle = cells_store(line, key, meta, frame);
    if (handle == CELL_NONE)
        return DELAY_NO_HANDLE;
    line->used += delay_line_cost(DELAY_ANY_ORDER, meta->length);
    line->parked++;
    return handle;
}

const struct delay_record *delay_line_parked(const struct delay_line *line,
                                             uint32_t handle)
{
    return cell_record(line, handle);
}

void delay_line_unpark(struct delay_line *line, uint32_t handle, void *frame)
{
    line->used -=
        delay_line_cost(DELAY_ANY_ORDER, cell_record(line, handle)->meta.length);
    line->parked--;
    cells_load(line, handle, frame);
}

const struct delay_record *delay_line_head(struct delay_line *line)
{
    if (line->lane == DELAY_IN_ORDER)
        return fifo_head(line);
    if (line->lane == DELAY_ANY_ORDER)
        return cell_record(line, line->heap[0].cell);
    struct delay_record *record = cell_record(line, held_at(line, line->held_head)->cell);
    record->key.release = line->next;
    return record;
}

void delay_line_take(struct delay_line *line, void *frame)
{
    const struct delay_record *record = delay_line_head(line);
    line->used -= delay_line_cost(line->lane, record->meta.length);
    line->count--;
    if (line->lane != DELAY_HELD) {
        line->left++;
        line->left_at = record->key.release;
    }
    if (line->lane == DELAY_IN_ORDER)
        fifo_take(line, frame);
    else if (line->lane == DELAY_ANY_ORDER)
        heap_take(line, frame);
    else
        held_take(line, frame);
    held_settle(line);
    find_next(line);
}
