/* rewrite: an inner packet gets another destination; bytes in, bytes out.
 *
 *   rewrite_plan        what packets of a flow get, once for all of them
 *   rewrite_finish      the checksum that a sender left to its interface
 *   rewrite_packet      addresses, ports, TTL, DF; checksums are kept in step
 *   rewrite_mss         longest segment that a TCP connection begins with
 *   rewrite_fragment    one fragment of a packet that is too long
 *
 * Checksums are updated, not computed (RFC 1624, equation 3): a packet that was damaged stays so,
 * one that was cut off by a mirror, or is a fragment, needs no more than what is there. RFC 6864
 * allows a new identification where DF is cleared: packets with DF often have ID 0.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "apps/vxlan_nat/rewrite.bpf.h"

struct rewrite_target {
    uint8_t address[16]; /* of the packet's family, IPv4 mapped */
    uint16_t port;
    bool has_port;
};

/* What packets like f get whose source or destination becomes another; NULL: it stays. */
struct vxlan_rewrite rewrite_plan(const struct vxlan_frame *f,
                                  const struct rewrite_target *source,
                                  const struct rewrite_target *destination);

/* Whether the checksum of the whole TCP or UDP packet f was computed: because it was unfinished, or
 * always; but none of UDP stays none. */
bool rewrite_finish(uint8_t *frame, const struct vxlan_frame *f, bool always);

/* Is it right? True where nobody can say: of fragments, of what was cut off, of other protocols. */
bool rewrite_is_right(const uint8_t *frame, const struct vxlan_frame *f);

/* frame: the bytes that f is of, all of them there up to f->end. Returns whether DF was set and is
 * not any more. */
bool rewrite_packet(uint8_t *frame, const struct vxlan_frame *f,
                    const struct vxlan_rewrite *to, const struct vxlan_change *change);

/* The maximum segment size in a SYN becomes `most` where it is more (RFC 9293, 3.7.1), and stays where
 * it is not there. Options that are nonsense stay as they are; of those that are cut off the ones
 * that are there count. Returns whether it changed. */
bool rewrite_mss(uint8_t *frame, const struct vxlan_frame *f, uint16_t most);

/* The IPv4 packet at ip, of `total` bytes, becomes the fragment of it that begins at `offset` bytes
 * of its payload, in `to`, which has room for mtu bytes. Returns its length; *next is where the
 * next one begins, or 0 behind the last. offset: 0 or what *next was. mtu: 68 or more. */
uint32_t rewrite_fragment(uint8_t *to, const uint8_t *ip, uint32_t total, uint32_t offset,
                          uint32_t mtu, uint32_t *next);
