/* pcap_file: capture files made byte by byte, for the tests of PcapReader and PcapWriter.
 *
 *   pcap_begin       a new file with its header
 *   pcap_put         a number in the file's byte order
 *   pcap_put_bytes, pcap_put_record
 *   pcap_frame       the bytes of a frame
 *   pcap_save        write the file
 *
 * Shares nothing with libpcap on purpose. There is one file at a time.
 */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PCAP_ETHERNET 1

/* A file in the making; numbers are written in its byte order. */
struct pcap_file {
    uint8_t bytes[300000];
    size_t length;
    bool big_endian;
};

static struct pcap_file pcap_file;

static inline void pcap_put(uint64_t number, int size)
{
    for (int i = 0; i < size; i++)
        pcap_file.bytes[pcap_file.length++] =
            (uint8_t)(number >> 8 * (pcap_file.big_endian ? size - 1 - i : i));
}

static inline void pcap_put_bytes(const void *bytes, size_t length)
{
    memcpy(pcap_file.bytes + pcap_file.length, bytes, length);
    pcap_file.length += length;
}

static inline void pcap_begin(uint32_t magic, uint32_t snaplen, uint32_t type,
                              bool big_endian)
{
    pcap_file.length = 0;
    pcap_file.big_endian = big_endian;
    pcap_put(magic, 4);
    pcap_put(2, 2);
    pcap_put(4, 2);
    pcap_put(0, 8);
    pcap_put(snaplen, 4);
    pcap_put(type, 4);
}

/* A frame of the given length with a byte that says which one it is. */
static inline const uint8_t *pcap_frame(uint8_t which, uint32_t length)
{
    static uint8_t bytes[70000];
    memset(bytes, which, length);
    return bytes;
}

static inline void pcap_put_record(uint32_t seconds, uint32_t fraction, uint8_t which,
                                   uint32_t caplen, uint32_t length)
{
    pcap_put(seconds, 4);
    pcap_put(fraction, 4);
    pcap_put(caplen, 4);
    pcap_put(length, 4);
    pcap_put_bytes(pcap_frame(which, caplen), caplen);
}

static inline void pcap_save(const char *where)
{
    FILE *out = fopen(where, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(pcap_file.bytes, 1, pcap_file.length, out),
                      pcap_file.length);
    fclose(out);
}
