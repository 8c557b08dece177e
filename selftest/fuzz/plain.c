/* fuzz/plain: any bytes as a packet, with any description of what is left to do.
 *
 * Input: flags, gso_type, gso_size, csum_start, csum_offset (2 bytes each, 9 in all), then
 * the frame. What comes out must be plain, within its chunk, and no packet may be lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/plain.h"

#define HEADER_SIZE 9

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "plain: %s\n", what);
        abort();
    }
}

static void set_up(void)
{
    static struct engine *engine;
    const struct engine_options options = { .virtual_time = true, .packets = 4096 };
    if (!engine)
        engine = engine_new(&options, NULL);
    require(engine != NULL && !packet_large_reserve(16, NULL), "no engine");
}

static uint16_t load16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* Frames of few bytes are made longer: super-frames are what this is about. */
static struct packet *make_packet(const uint8_t *data, size_t size)
{
    struct packet *p = packet_allocate_large();
    uint32_t length = load16(data + 7);
    packet_append(p, data + HEADER_SIZE, (uint32_t)(size - HEADER_SIZE));
    if (length > p->length)
        packet_resize(p, length);
    p->flags = data[0] & (PACKET_CSUM_PARTIAL | PACKET_CSUM_VALID | PACKET_VLAN);
    p->gso_type = data[0] & 0x80 ? data[1] & 0x87 : 0;
    p->gso_size = load16(data + 2);
    p->csum_start = load16(data + 4);
    p->csum_offset = data[6];
    return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct link link;
    static struct plain plain;
    struct packet **p;
    uint32_t n;
    if (size < HEADER_SIZE || size > 60000)
        return 0;
    set_up();
    uint32_t in_use = arena_in_use();
    plain.partial = data[0] & 0x40;
    link_transmit(&link, make_packet(data, size));
    while ((n = plain_run(&plain, &link, &p, 7))) {
        for (uint32_t i = 0; i < n; i++) {
            require(!p[i]->gso_type && (plain.partial || packet_is_plain(p[i])),
                    "not plain");
            require(p[i]->data >= p[i]->chunk &&
                        p[i]->data + p[i]->length <=
                            p[i]->chunk + packet_chunk_size(p[i]),
                    "a packet beyond its chunk");
            packet_free(p[i]);
        }
        plain_advance(&plain, &link, n);
    }
    require(link_empty(&link) && !plain.no_packet, "it waits");
    require(arena_in_use() == in_use, "a packet is lost");
    return 0;
}
