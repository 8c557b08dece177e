/* bind_bench: what the engine is measured against.
 *
 *   bench.bare_ring(seconds)    packets per second through a ring, and nothing else
 *   bench.clock()               seconds of CLOCK_MONOTONIC
 *
 * The bare ring is the least that a packet costs: its pointer goes through one ring of
 * the engine's size, and its data is touched. It runs on one thread, as an engine does,
 * with the cursors of a single-producer single-consumer ring between two threads, a cache
 * line apart, release and acquire, which every packet moves. Packets go in and come out
 * 64 at a time.
 */
#include "config/internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define STRIDE  2112 /* bytes from packet to packet: an odd number of cache lines */
#define PACKETS (2 * LINK_BURST)
#define ROUNDS  4096 /* bursts between two looks at the clock */

struct ring {
    _Atomic uint64_t write __attribute__((aligned(CACHE_LINE)));
    _Atomic uint64_t read __attribute__((aligned(CACHE_LINE)));
    uint8_t *slot[LINK_SIZE] __attribute__((aligned(CACHE_LINE)));
};

static double seconds_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool ring_put(struct ring *ring, uint8_t *p)
{
    uint64_t write = atomic_load_explicit(&ring->write, memory_order_relaxed);
    if (write - atomic_load_explicit(&ring->read, memory_order_acquire) == LINK_SIZE)
        return false;
    ring->slot[write & LINK_MASK] = p;
    atomic_store_explicit(&ring->write, write + 1, memory_order_release);
    return true;
}

/* Takes a packet and touches its data; NULL when there is none. */
static uint8_t *ring_take(struct ring *ring)
{
    uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
    if (atomic_load_explicit(&ring->write, memory_order_acquire) == read)
        return NULL;
    uint8_t *p = ring->slot[read & LINK_MASK];
    ++*(volatile uint8_t *)p;
    atomic_store_explicit(&ring->read, read + 1, memory_order_release);
    return p;
}

static uint64_t ring_rounds(struct ring *ring, uint8_t **packets)
{
    uint64_t moved = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t **burst = packets + (i & 1) * LINK_BURST;
        for (unsigned j = 0; j < LINK_BURST; j++)
            ring_put(ring, burst[j]);
        for (unsigned j = 0; j < LINK_BURST && (burst[j] = ring_take(ring)); j++)
            moved++;
    }
    return moved;
}

static int bench_bare_ring(lua_State *L)
{
    double seconds = (double)check_duration(L, 1) / 1e9;
    struct ring *ring = aligned_alloc(CACHE_LINE, sizeof(*ring));
    uint8_t *data = aligned_alloc(CACHE_LINE, PACKETS * STRIDE), *packets[PACKETS];
    memset(ring, 0, sizeof(*ring));
    memset(data, 0, PACKETS * STRIDE);
    for (size_t i = 0; i < PACKETS; i++)
        packets[i] = data + i * STRIDE;
    uint64_t moved = 0;
    double start = seconds_now(), elapsed;
    do {
        moved += ring_rounds(ring, packets);
        elapsed = seconds_now() - start;
    } while (elapsed < seconds);
    free(ring);
    free(data);
    lua_pushnumber(L, (double)moved / elapsed);
    return 1;
}

static int bench_clock(lua_State *L)
{
    lua_pushnumber(L, seconds_now());
    return 1;
}

void open_bench(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "bare_ring", bench_bare_ring },
        { "clock", bench_clock },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    lua_setglobal(L, "bench");
}
