/* capture_filter: a pcap-filter(7) expression, compiled for Ethernet frames.
 *
 *   capture_filter_compile   from text; "" selects everything
 *   capture_filter_matches   does a frame match?
 *   capture_filter_free
 *
 * It sees the bytes of the frame alone: a VLAN tag that the kernel took out is not among
 * them. Names of hosts and networks are resolved when it is compiled.
 */
#pragma once
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

struct capture_filter {
    struct bpf_program program;
};

/* text may be NULL, which is "". filter must not be in use. -errno with a message that
 * begins with the text. */
int capture_filter_compile(struct capture_filter *filter, const char *text,
                           struct error *err);
void capture_filter_free(struct capture_filter *filter);

static inline bool capture_filter_matches(const struct capture_filter *filter,
                                          const uint8_t *frame, uint32_t length)
{
    return bpf_filter(filter->program.bf_insns, frame, length, length);
}
