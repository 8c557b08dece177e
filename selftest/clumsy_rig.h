/* clumsy_rig: a Clumsy between two ends, on a clock that only the test moves.
 *
 *   rig_new, rig_free      Inject "a" -> Clumsy "wan" -> Collect "b"; "wan.back" -> Collect "c"
 *   rig_set                other parameters, under way
 *   rig_send               a numbered packet
 *   rig_send_made          ... of TCP, UDP or ICMP                        frame_maker.h
 *   rig_pass               many of them, at a rate, and all that comes of them
 *   rig_run                until a time, breathing whenever the engine wants to
 *   rig_breathe            one breath at a time
 *   rig_check              every packet is accounted for
 *
 * What arrives at b is noted and freed after every breath. Settings are text: "owd=10ms
 * jitter.half=2ms"; "drop.list=1,3" is a list of numbers,
 * and ~ stands for a blank. With keep, bytes are kept as well.
 */
#pragma once
#include "selftest/frame_maker.h"
#include "selftest/support.h"

#define RIG_START 1000000000ull
#define RIG_FRAME 100 /* bytes, unless said otherwise */

struct arrival {
    uint64_t number;    /* as sent */
    uint64_t timestamp; /* of the packet */
    uint64_t seen;      /* the breath it came in */
    uint32_t length;
    bool intact;   /* all bytes are as sent, of those of rig_send */
    uint8_t *data; /* with keep */
    uint16_t flags, vlan_tci;
};

struct rig {
    struct engine *engine;
    uint64_t sent;
    struct arrival *got; /* in the order of arrival */
    size_t count, size;
    bool keep, made;         /* numbers are in payloads, after rig_send_made */
    struct arrival back[16]; /* the first ones that came to c, with their bytes */
    size_t back_count;
};

/* seed: statistics_seed. */
struct rig *rig_new(uint64_t seed, const char *settings);
void rig_free(struct rig *rig); /* checks first, and that no packet is left over */
void rig_set(struct rig *rig, const char *settings);

/* The settings as parameters; the caller frees it. */
struct value rig_settings(const char *settings);

/* The graph of a rig, for tests that change it. */
struct graph *rig_graph(const char *settings);

/* Sends packet number rig->sent; it leaves a in the next breath. */
void rig_send(struct rig *rig, uint32_t length, uint64_t timestamp);
void rig_send_many(struct rig *rig, uint64_t n);

/* The number of the packet is that of the frame. */
void rig_send_made(struct rig *rig, const struct made *made, uint64_t timestamp);

/* n packets of RIG_FRAME bytes, one per spacing ns. The rig is new; all has left in the end. */
struct rig *rig_pass(uint64_t seed, const char *settings, uint64_t n, uint64_t spacing);

/* n packets of so many bytes, one per spacing from the start on, in breaths of 1 ms. */
void rig_send_paced(struct rig *rig, uint64_t n, uint32_t length, uint64_t spacing);

/* The bytes of packet number n. */
void rig_fill(uint8_t *frame, uint32_t length, uint64_t number);

void rig_breathe(struct rig *rig, uint64_t time);
void rig_run(struct rig *rig, uint64_t until);

/* Notes and frees what is at b; rig_breathe does. */
void rig_receive(struct rig *rig);

uint64_t rig_counter(struct rig *rig, const char *name);
void rig_check(struct rig *rig);
