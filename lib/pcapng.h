/* pcapng: capture files whose packets carry a comment (draft-ietf-opsawg-pcapng).
 *
 *   pcapng_head          the blocks at the start of a file
 *   pcapng_packet        the block of a packet
 *   pcapng_packet_size   bytes that it takes
 *   pcapng_open, pcapng_write, pcapng_flush, pcapng_close      a file of them
 *
 * One section with one Ethernet interface; times are nanoseconds (if_tsresol 9), numbers in
 * the byte order of this machine, which readers find out. libpcap reads such files but
 * cannot write them.
 *
 * A file may be a ring: when PATH holds half of the bytes allowed it becomes PATH.old, in
 * place of the one before, and a new PATH begins. Both together are the newest packets,
 * between half and all of the bytes. Writing goes through a buffer that is flushed when it is
 * full and when a second of packet time has gone by. The first error ends the capture.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/error.h"

#define PCAPNG_HEAD    96     /* bytes of the blocks at the start */
#define PCAPNG_SNAPLEN 262144 /* of a packet at most: more is no valid file to libpcap */

struct pcapng_packet {
    uint64_t time; /* ns since 1970 */
    const uint8_t *bytes;
    uint32_t length, original; /* of bytes, and on the wire */
    const char *comment;       /* UTF-8; NULL: none */
};

struct pcapng_file {
    FILE *file; /* NULL when closed, or ended by an error */
    char *path;
    uint8_t *block;   /* room for the longest */
    uint64_t half;    /* bytes of a file of a ring; 0: no limit */
    uint64_t written; /* bytes of the present file */
    uint64_t flush;   /* packet time of the next flush */
    uint64_t lost;    /* packets not written because of an error */
    int error;        /* errno of it */
};

uint32_t pcapng_head(uint8_t out[PCAPNG_HEAD]);

/* The length is a multiple of 4. A comment of more than 65,532 bytes is cut. */
uint32_t pcapng_packet_size(const struct pcapng_packet *packet);
uint32_t pcapng_packet(uint8_t *out, const struct pcapng_packet *packet);

/* Creates or empties the file. ring: bytes of it and PATH.old together, 0: no limit. */
int pcapng_open(struct pcapng_file *file, const char *path, uint64_t ring,
                struct error *err);

/* A frame of more than PCAPNG_SNAPLEN bytes is cut. False when it is lost. */
bool pcapng_write(struct pcapng_file *file, const struct pcapng_packet *packet);
bool pcapng_flush(struct pcapng_file *file);

/* All zeros afterwards, but for lost and error. */
void pcapng_close(struct pcapng_file *file);
