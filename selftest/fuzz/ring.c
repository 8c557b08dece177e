/* fuzz/ring: any bytes as the memory of a receive ring.
 *
 * Input: flags (V3, VLAN mode, direction, offload, snaplen), the slot to start at (2 bytes), then
 * the memory of the ring, repeated where it is too short. All frames are received into a
 * graph, whose packets must be sound; after one lap everything must be the kernel's
 * again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/raw_socket/receive.h"
#include "engine/engine.h"

#define HEADER_SIZE 4
#define BLOCK_SIZE  8192u /* small, so that inputs reach all of it */
#define BLOCKS      2u
#define SLOT_SIZE   2048u
#define CALLS_MAX   100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t memory[BLOCKS * BLOCK_SIZE] __attribute__((aligned(4096)));
static uint64_t counters[RECEIVE_COUNTERS];

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "ring: %s\n", what);
        abort();
    }
}

static struct engine *the_engine(void)
{
    static struct engine *engine;
    const struct engine_options options = { .virtual_time = true, .packets = 4096 };
    if (!engine)
        engine = engine_new(&options, NULL);
    require(engine != NULL && !packet_large_reserve(64, NULL), "no engine");
    return engine;
}

static void fill_memory(const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < sizeof(memory); at += size) {
        size_t room = sizeof(memory) - at;
        memcpy(memory + at, data, size < room ? size : room);
    }
}

/* Takes all packets; says how many there were. */
static uint32_t take_packets(struct link *link)
{
    uint32_t n = link_readable(link);
    while (!link_empty(link)) {
        struct packet *p = link_receive(link);
        require(p->data >= p->chunk && p->length >= 14 &&
                    p->data + p->length <= p->chunk + packet_chunk_size(p),
                "a packet beyond its chunk");
        packet_free(p);
    }
    return n;
}

static struct ring ring_of(const uint8_t *data)
{
    bool v3 = data[0] & 1;
    uint32_t slots_per_block = BLOCK_SIZE / SLOT_SIZE;
    uint32_t slots = v3 ? BLOCKS : BLOCKS * slots_per_block;
    return (struct ring){
        .fd = -1,
        .version = v3 ? RING_V3 : RING_V2,
        .memory = memory,
        .size = sizeof(memory),
        .slot_size = SLOT_SIZE,
        .slots = BLOCKS * slots_per_block,
        .slots_per_block = slots_per_block,
        .block_size = BLOCK_SIZE,
        .blocks = BLOCKS,
        .slot = (uint32_t)(data[1] << 8 | data[2]) % slots,
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct link link;
    if (size <= HEADER_SIZE)
        return 0;
    struct app app = { .engine = the_engine(), .counters = counters };
    struct ring ring = ring_of(data);
    struct receive_options options = {
        .vlan = (enum vlan_mode)(data[0] >> 1 & 3) % 3,
        .direction = (enum direction)(data[0] >> 3 & 3) % 3,
        .burst = 64,
        .offload = (enum offload_mode)(data[0] >> 5 & 1 ? data[3] & 3 : 0),
        .jumbo = data[0] >> 5 & 1 && data[3] & 4,
        .snaplen = data[0] & 0x80 ? data[3] * 16u : 0,
        .clock = -1,
    };
    uint32_t in_use = arena_in_use(), calls = 0, packets;
    fill_memory(data + HEADER_SIZE, size - HEADER_SIZE);
    do {
        uint32_t taken = receive(&app, &ring, &options, data[0] & 0x40 ? NULL : &link);
        packets = take_packets(&link);
        require(++calls < CALLS_MAX, "it does not end");
        require(taken <= options.burst, "more than a burst");
        if (!taken && !packets)
            break;
    } while (true);
    require(arena_in_use() == in_use, "a packet is lost");
    return 0;
}
