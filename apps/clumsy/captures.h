/* captures: what came and what left, in two pcapng files.
 *
 *   captures_configure   open, change or close the files
 *   captures_close
 *   captures_arrive      a packet came: kept as it is until more is known
 *   captures_note        what became of a copy of it
 *   captures_judged      all is known: the packet is written
 *   captures_pass        a packet came that is not impaired
 *   captures_leave       a packet left
 *
 * Every packet has a comment:
 *
 *     before    index=17 verdict=pass delay_ns=20000000 draw=9f3c00000000001a
 *               index=18 verdict=loss draw=...         index=19 verdict=pass ... copy=1 verdict=...
 *     after     index=17 copy=0 delay_ns=20000000
 *
 * Verdicts are those of decisions.c; "queued" is one that waits in a queue which decides when
 * packets leave it, "exempt" and "unmatched" were not impaired. The time of a packet is when it
 * arrived, and when it really left: the delay in the comment is the one decided. Both files have the same
 * clock: wall time, on a virtual clock that one. Checksums are complete and VLAN tags in
 * the frame. An error ends the file, not the network; the packets it does not have count
 * as capture_lost.
 */
#pragma once
#include <stdint.h>

#include "apps/clumsy/parameters.h"
#include "engine/engine.h"

struct captures;

/* *captures is NULL when no file is open. before: the configuration so far. */
int captures_configure(struct captures **captures, const struct app *app,
                       const struct capture_conf *before, const struct capture_conf *conf,
                       struct error *err);
void captures_close(struct captures **captures);

/* index: that the packet will have. */
void captures_arrive(struct captures *captures, struct packet *p, uint64_t arrival,
                     uint64_t index);

/* Ignored unless it is about the packet that arrived last. */
void captures_note(struct captures *captures, uint64_t index, uint32_t copy,
                   const char *outcome, uint64_t delay);

/* These return how many packets were lost on the way to a file. */
uint32_t captures_judged(struct captures *captures, uint64_t draw);
uint32_t captures_pass(struct captures *captures, struct packet *p, uint64_t arrival,
                       const char *outcome);

/* arrival: 0 when not known. index: UINT64_MAX for a packet that is not impaired. */
uint32_t captures_leave(struct captures *captures, const struct packet *p, uint64_t now,
                        uint64_t arrival, uint64_t index, uint32_t copy);
