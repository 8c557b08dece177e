/* program: a classic BPF program written as text.
 *
 *   program_parse    the instructions of "N,code jt jf k,code jt jf k, ..."
 *
 * The format is that of `tcpdump -ddd`, with commas or newlines between the lines, as
 * iptables' bpf match takes it. Decimal numbers only. Whether the program is a sound one
 * is for the kernel to say.
 */
#pragma once
#include <linux/filter.h>

#define PROGRAM_MAX 512 /* instructions */

/* Returns how many there are, or -EINVAL. */
int program_parse(const char *text, struct sock_filter *code);
