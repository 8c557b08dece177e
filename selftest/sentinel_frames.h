/* sentinel_frames: frames out of a line of text, right ones and wrong ones.
 *
 *   frames_make      the frame that a text describes
 *   frames_mutate    the same, damaged at random
 *
 * Words, in the order of the frame. Lengths, next headers and the IPv4 header's checksum are
 * right; what is not is said by a patch.
 *
 *   ip4 ip6 ip           198.51.100.7 or 2001:db8:7::7 to 192.0.2.1 or 2001:db8::1; ip is of
 *                        the family that is asked for
 *   src=ADDRESS dst=ADDRESS     others
 *   opt=HEX              IPv4 options
 *   hop[:N] route[:N] opts[:N] mobility[:N]     IPv6 extension headers of N * 8 bytes, else 8
 *   ah                   one of 24 bytes, in IPv4 as well
 *   frag:OFFSET[+]       in bytes; +: more to come
 *   tcp:FLAGS[:HEX]      ports 1024 and 80; flags in hex; options
 *   udp icmp:TYPE        ICMPv6 in IPv6
 *   proto:N              a protocol of which no header follows
 *   eth:HEX              an EtherType, instead of all that
 *   +N                   so many bytes
 *   pad:N                zeros behind the IP packet, for a frame of N bytes
 *   @2.N=HEX @3.N=HEX @4.N=HEX @x.N=HEX     bytes at N from the beginning of the frame, of the
 *                        IP header, of what is behind the last header of IP, of the last
 *                        extension header
 *   cut2:N cut3:N        of all that only so many bytes, counted from the same places
 */
#pragma once
#include "selftest/sentinel_rig.h"

struct made_frame {
    struct rig_frame frame;
    uint32_t l3, extension, l4; /* 0: there is none */
};

/* family: 4, 6, of "ip". tags: EtherType << 16 | what is in the tag; 0 ends them. The test
 * fails when the text means nothing. */
struct made_frame frames_make(const char *text, int family, const uint32_t *tags);

/* Flips bits, cuts off, takes bytes from another one; *random is the state of xorshift64. */
void frames_mutate(struct rig_frame *frame, const struct rig_frame *other,
                   uint64_t *random);

uint64_t frames_random(uint64_t *random);
