/* raw_socket_rig: two RawSockets, the wires they are at, and the far ends of those.
 *
 *   rig_network      a namespace with two pairs of veth interfaces, or false: skip
 *   rig_start        an engine with  if1 <-> if2  in it, and the far ends at hand
 *   rig_bridge       ... without the far ends
 *   rig_pair         ... with different options
 *   rig_engine       ... with nothing in it yet
 *   rig_socket       a RawSocket in a graph; rig_try: one of another class, or an error
 *   rig_listen       one socket that receives into "out" and sends from "in"
 *   rig_collected    packets at "out"
 *   rig_next, rig_expect    the next frame at a far end
 *   RIG_UNTIL        breathe until a condition holds
 *   rig_stop         stop it; every packet must be accounted for
 *   wire_open, wire_send, wire_receive    whole frames at a far end
 *   frame_make       frame number n of a length
 *   rig_datagram     a UDP datagram in a frame
 *
 *      left ---- if1 [ RawSocket ] <-> [ RawSocket ] if2 ---- right
 *
 * No test waits for a time: the engine breathes and polls until the condition holds, and
 * gives up after half a minute.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "selftest/private_network.h"
#include "selftest/support.h"

#define RIG_FRAME_MAX 16384

struct rig {
    struct engine *engine;
    struct app *if1, *if2;
    int left, right; /* wires */
    uint32_t in_use; /* packets, before */
    char log[4096];  /* lines of the engine's log */
    uint64_t deadline;
};

/* Interfaces are up, IPv6 is off (nothing but tests sends frames). */
bool rig_network(void);

/* options: "version=v3 snaplen=100" or NULL, for both sockets. */
void rig_start(struct rig *rig, const char *options);
void rig_bridge(struct rig *rig, const char *options);
void rig_pair(struct rig *rig, const char *options1, const char *options2);
void rig_engine(struct rig *rig, struct journal *journal);
void rig_stop(struct rig *rig);

/* Adds a RawSocket of that name on that interface. */
void rig_socket(struct graph *graph, const char *name, const char *ifname,
                const char *options);

/* Adds an app of a class that has a parameter ifname; its options have a separator of one
 * character between them. Returns what graph_add_app says. */
int rig_try(struct graph *graph, const char *class, const char *name, const char *ifname,
            const char *options, const char *separator, struct error *err);

/* if1 alone: Inject "in" -> if1 -> Collect "out"; rig->left is its far end. */
void rig_listen(struct rig *rig, const char *options);
size_t rig_collected(struct rig *rig);

/* Breathes until a frame comes out at a far end; rig_expect says which. */
size_t rig_next(struct rig *rig, int wire, uint8_t *frame);
void rig_expect(struct rig *rig, int wire, const void *frame, size_t length);

/* A breath, and a short wait for something to happen. */
void rig_step(struct rig *rig, const char *condition);
void rig_give_time(struct rig *rig);

#define RIG_UNTIL(RIG, CONDITION)                                                        \
    for (rig_give_time(RIG); !(CONDITION);)                                              \
    rig_step(RIG, #CONDITION)

/* A counter of if1 or if2. */
uint64_t rig_count(struct rig *rig, const char *app, const char *counter);

/* All counters of a socket's receiving side that say what became of a frame. */
uint64_t rig_received(struct rig *rig, const char *app);

/* Waits until the kernel's count of frames is so much, and it is all accounted for. */
void rig_expect_kernel(struct rig *rig, const char *app, uint64_t frames);

int wire_open(const char *ifname);
void wire_send(int wire, const void *frame, size_t length);

/* The next frame with its VLAN tag, or 0 when there is none yet. */
size_t wire_receive(int wire, uint8_t *frame);

/* Ethertype 0x88b5; the length is at least 14. Equal numbers give equal bytes. */
const uint8_t *frame_make(uint32_t n, size_t length);

/* From 10.0.0.1 to 10.0.0.2, or back with the ports exchanged; the payload starts with the
 * number. */
const uint8_t *rig_datagram(size_t length, uint16_t from, uint16_t to, uint32_t number,
                            bool back);
