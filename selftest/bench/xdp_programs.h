/* xdp_programs: XDP programs of a few instructions, to measure others against.
 *
 *   xdp_empty     lets everything pass
 *   xdp_before    gives frames other sources, and goes on with another program
 *   xdp_anew      gives frames their headers again, that of one of many, and goes on or sends
 *   xdp_event     tells of each frame, addresses, ports and protocol, by a ring
 *
 * All return a descriptor, or -1.
 */
#pragma once
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* IPv4 sources, in the order of the wire: a random number & mask | base. */
struct sources {
    uint32_t mask, base;
};

static inline int load_program(const struct bpf_insn *code, size_t count)
{
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS,
                .expected_attach_type = BPF_XDP);
    int program =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "bench", "Apache-2.0", code, count, &opts);
    return program < 0 ? -1 : program;
}

#define INSTRUCTION(code, to, from, offset, value)                                       \
    (struct bpf_insn)                                                                    \
    {                                                                                    \
        code, to, from, offset, value                                                    \
    }
#define LOAD(size, to, from, at)  INSTRUCTION(BPF_LDX | BPF_MEM | size, to, from, at, 0)
#define STORE(size, to, at, from) INSTRUCTION(BPF_STX | BPF_MEM | size, to, from, at, 0)
#define MOVE(to, from)            INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)
#define SET(to, value)            INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value)
#define WITH(op, to, value)       INSTRUCTION(BPF_ALU64 | op | BPF_K, to, 0, 0, value)
#define CALL(function)            INSTRUCTION(BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define MAP(to, map)                                                                     \
    INSTRUCTION(BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_FD, 0, map),               \
        INSTRUCTION(0, 0, 0, 0, 0)
#define PASS SET(0, XDP_PASS), INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* r7: the frame; goes on after `skip` instructions when it has less than 38 bytes. */
#define FRAME(skip)                                                                      \
    LOAD(BPF_W, 7, 1, offsetof(struct xdp_md, data)),                                    \
        LOAD(BPF_W, 3, 1, offsetof(struct xdp_md, data_end)), MOVE(4, 7),                \
        WITH(BPF_ADD, 4, 38), INSTRUCTION(BPF_JMP | BPF_JGT | BPF_X, 4, 3, skip, 0)

static inline int xdp_empty(void)
{
    const struct bpf_insn code[] = { PASS };
    return load_program(code, sizeof(code) / sizeof(*code));
}

/* Sets the IPv4 source, and goes on with the other program. */
static inline int xdp_before(int program, const struct sources *sources)
{
    int map = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "bench", 4, 4, 1, NULL);
    const struct bpf_insn code[] = {
        MOVE(6, 1),
        FRAME(9),
        CALL(BPF_FUNC_get_prandom_u32),
        WITH(BPF_AND, 0, (int)sources->mask),
        WITH(BPF_OR, 0, (int)sources->base),
        STORE(BPF_W, 7, 26, 0),
        MOVE(1, 6),
        MAP(2, map),
        SET(3, 0),
        CALL(BPF_FUNC_tail_call),
        PASS,
    };
    uint32_t first = 0;
    if (map < 0)
        return -1;
    int before = load_program(code, sizeof(code) / sizeof(*code));
    return bpf_map_update_elem(map, &first, &program, BPF_ANY) ? -1 : before;
}

#define ANEW_BYTES 120 /* of a frame are written anew */
#define ANEW_MOST  8192

/* Frames as they are to be: count, a power of two, of `size` bytes, which begin with these. Whatever
 * became of a frame when it was run before: it may have got longer or shorter in front. */
struct anew {
    const uint8_t (*bytes)[ANEW_BYTES];
    uint32_t count, size;
};

static inline int anew_map(const struct anew *frames)
{
    int map =
        bpf_map_create(BPF_MAP_TYPE_ARRAY, "bench", 4, ANEW_BYTES, frames->count, NULL);
    for (uint32_t i = 0; map >= 0 && i < frames->count; i++)
        if (bpf_map_update_elem(map, &i, frames->bytes[i], BPF_ANY))
            return -1;
    return map;
}

/* program: what goes on with it; -1: it is sent (XDP_TX). */
static inline int xdp_anew(int program, const struct anew *frames)
{
    int map = anew_map(frames),
        next = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "bench", 4, 4, 1, NULL);
    uint32_t first = 0,
             words = (frames->size < ANEW_BYTES ? frames->size : ANEW_BYTES) / 8;
    const struct bpf_insn head[] = {
        MOVE(6, 1),
        CALL(BPF_FUNC_get_prandom_u32),
        WITH(BPF_AND, 0, (int)frames->count - 1),
        STORE(BPF_W, 10, -4, 0),
        MAP(1, map),
        MOVE(2, 10),
        WITH(BPF_ADD, 2, -4),
        CALL(BPF_FUNC_map_lookup_elem),
        INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 2, 0),
        PASS,
        MOVE(7, 0),
        LOAD(BPF_W, 2, 6, offsetof(struct xdp_md, data_end)),
        LOAD(BPF_W, 3, 6, offsetof(struct xdp_md, data)),
        INSTRUCTION(BPF_ALU64 | BPF_SUB | BPF_X, 2, 3, 0, 0),
        WITH(BPF_SUB, 2, (int)frames->size),
        MOVE(1, 6),
        CALL(BPF_FUNC_xdp_adjust_head),
        LOAD(BPF_W, 2, 6, offsetof(struct xdp_md, data)),
        LOAD(BPF_W, 3, 6, offsetof(struct xdp_md, data_end)),
        MOVE(4, 2),
        WITH(BPF_ADD, 4, (int)words * 8),
        INSTRUCTION(BPF_JMP | BPF_JLE | BPF_X, 4, 3, 2, 0),
        PASS,
    };
    const struct bpf_insn send[] = { SET(0, XDP_TX),
                                     INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0) };
    const struct bpf_insn go_on[] = { MOVE(1, 6), MAP(2, next), SET(3, 0),
                                      CALL(BPF_FUNC_tail_call), PASS };
    struct bpf_insn code[sizeof(head) / sizeof(*head) + 2 * ANEW_BYTES / 8 + 8];
    uint32_t at = sizeof(head) / sizeof(*head);
    memcpy(code, head, sizeof(head));
    for (uint32_t i = 0; i < words; i++) {
        code[at++] = LOAD(BPF_DW, 1, 7, (int16_t)(i * 8));
        code[at++] = STORE(BPF_DW, 2, (int16_t)(i * 8), 1);
    }
    memcpy(code + at, program < 0 ? send : go_on,
           program < 0 ? sizeof(send) : sizeof(go_on));
    at += program < 0 ? sizeof(send) / sizeof(*send) : sizeof(go_on) / sizeof(*go_on);
    if (map < 0 || next < 0 ||
        (program >= 0 && bpf_map_update_elem(next, &first, &program, BPF_ANY)))
        return -1;
    return load_program(code, at);
}

/* wake: BPF_RB_NO_WAKEUP or 0. 16 bytes an event, in a map of BPF_MAP_TYPE_RINGBUF. */
static inline int xdp_event(int map, uint32_t wake)
{
    const struct bpf_insn code[] = {
        FRAME(17),
        MAP(1, map),
        SET(2, 16),
        SET(3, 0),
        CALL(BPF_FUNC_ringbuf_reserve),
        INSTRUCTION(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 11, 0),
        LOAD(BPF_W, 1, 7, 26),
        STORE(BPF_W, 0, 0, 1),
        LOAD(BPF_W, 1, 7, 30),
        STORE(BPF_W, 0, 4, 1),
        LOAD(BPF_W, 1, 7, 34),
        STORE(BPF_W, 0, 8, 1),
        LOAD(BPF_B, 1, 7, 23),
        STORE(BPF_W, 0, 12, 1),
        MOVE(1, 0),
        SET(2, (int)wake),
        CALL(BPF_FUNC_ringbuf_submit),
        PASS,
    };
    return load_program(code, sizeof(code) / sizeof(*code));
}
