/* fast_path: VxlanNat's XDP program, and the table that it shares with the app.
 *
 *   fast_path_new       load it; nothing is attached
 *   fast_path_attach    in front of what the ingress interface runs
 *   fast_path_is_stale  after a while, for interfaces come and go
 *   fast_path_detach
 *   fast_path_collect   what the program did since the last time
 *   fast_path_describe  "native on eth0", or why it does nothing
 *   fast_path_program   its descriptor
 *   fast_path_test      run the program on a frame (BPF_PROG_TEST_RUN)
 *   fast_path_free      take it off the interface
 *
 * It runs in front of the program of lib/xdp_hook.h, which has what it leaves: an XdpSocket of this
 * process on the same interface, or the kernel. All of it goes with this process, however it ends.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/vxlan_nat/vxlan.bpf.h"
#include "lib/error.h"

struct fast_path;
struct shared_table;

/* flows: room for so many. NULL and a message: ERROR_PRIVILEGE. */
struct fast_path *fast_path_new(uint32_t flows, uint64_t seed, struct error *err);
void fast_path_free(struct fast_path *fast); /* or NULL */

/* Valid until fast_path_free. */
struct vxlan_state *fast_path_state(const struct fast_path *fast);
struct shared_table *fast_path_flows(const struct fast_path *fast);

/* Before, frames that no interface can take are tried on egress: an experimental EtherType (IEEE
 * 802, 0x88b5), from its own address to its own address. -EOPNOTSUPP: nothing may be redirected
 * to it, and why. */
int fast_path_attach(struct fast_path *fast, const char *ingress, const char *egress,
                     struct error *err);

/* Of one that is attached: whether one of the interfaces is not what it was, or frames are not
 * redirected to egress any more: attach again. */
bool fast_path_is_stale(const struct fast_path *fast);
void fast_path_detach(struct fast_path *fast);
bool fast_path_is_attached(const struct fast_path *fast);

/* Adds nothing to what was told before: the difference. */
void fast_path_collect(struct fast_path *fast, struct vxlan_counts *since);

const char *fast_path_describe(const struct fast_path *fast);

/* Its descriptor, that of the one for frames in pieces. */
int fast_path_program(const struct fast_path *fast);

/* The XDP verdict, or a negative errno; *length: of data in, of out (of `room` bytes) out. repeat:
 * times, which take *ns each. */
int fast_path_test(struct fast_path *fast, const uint8_t *data, uint8_t *out,
                   uint32_t *length, uint32_t room, uint32_t repeat, uint32_t *ns);
