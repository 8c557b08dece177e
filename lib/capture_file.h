/* capture_file: the packets of a capture file, one after the other.
 *
 *   capture_open         pcap or pcapng, of Ethernet
 *   capture_next
 *   capture_close
 *
 * What libpcap reads; any bytes may be in the file.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

struct pcap;

struct capture_file {
    struct pcap *pcap;
    bool broken; /* it ended with something that makes no sense */
};

struct capture_packet {
    uint64_t time; /* ns */
    const uint8_t *bytes;
    uint32_t length, original; /* of bytes, and on the wire */
};

/* -errno with a message that begins with the path. */
int capture_open(struct capture_file *file, const char *path, struct error *err);

/* False at the end. bytes are valid until the next call. */
bool capture_next(struct capture_file *file, struct capture_packet *packet);
void capture_close(struct capture_file *file);
