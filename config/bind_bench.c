/* bind_bench: what the engine is measured against.
 *
 *   bench.bare_ring(seconds)    packets per second through a ring, and nothing else
 *   bench.clock()               seconds of CLOCK_MONOTONIC
 *
 * The bare ring is the least that a packet costs: its pointer goes through one ring of
 * the engine's size in bursts of the engine's size, and its data is touched. It runs on
 * one thread, as an engine does, with the cursors of a ring between two threads: a cache
 * line apart, release and acquire.
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

static uint32_t ring_put(struct ring *ring, uint8_t *const *p, uint32_t n)
{
    uint64_t write = atomic_load_explicit(&ring->write, memory_order_relaxed);
    uint64_t read = atomic_load_explicit(&ring->read, memory_order_acquire);
    uint32_t room = (uint32_t)(LINK_SIZE - (write - read));
    n = n < room ? n : room;
    for (uint32_t i = 0; i < n; i++)
        ring->slot[(write + i) & LINK_MASK] = p[i];
    atomic_store_explicit(&ring->write, write + n, memory_order_release);
    return n;
}

/* Takes up to n packets and touches the data of each. */
static uint32_t ring_take(struct ring *ring, uint8_t **p, uint32_t n)
{
    uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
    uint64_t write = atomic_load_explicit(&ring->write, memory_order_acquire);
    uint32_t have = (uint32_t)(write - read);
    n = n < have ? n : have;
    for (uint32_t i = 0; i < n; i++) {
        p[i] = ring->slot[(read + i) & LINK_MASK];
        ++*(volatile uint8_t *)p[i];
    }
    atomic_store_explicit(&ring->read, read + n, memory_order_release);
    return n;
}

static uint64_t ring_rounds(struct ring *ring, uint8_t **packets)
{
    uint64_t moved = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t **burst = packets + (i & 1) * LINK_BURST;
        ring_put(ring, burst, LINK_BURST);
        moved += ring_take(ring, burst, LINK_BURST);
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
