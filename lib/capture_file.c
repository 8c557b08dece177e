/* capture_file: the packets of a capture file, one after the other. */
#include "lib/capture_file.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>
#include <sys/stat.h>

int capture_open(struct capture_file *file, const char *path, struct error *err)
{
    char text[PCAP_ERRBUF_SIZE];
    struct stat st;
    *file = (struct capture_file){ NULL };
    if (stat(path, &st))
        return error_set(err, ERROR_CONFIG, errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) /* waiting for the other end of a pipe would block */
        return error_set(err, ERROR_CONFIG, EINVAL, "%s: not a regular file", path);
    file->pcap =
        pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
    if (!file->pcap)
        return error_set(err, ERROR_CONFIG, EINVAL, "%s: %s", path, text);
    if (pcap_datalink(file->pcap) == DLT_EN10MB)
        return 0;
    capture_close(file);
    return error_set(err, ERROR_CONFIG, EINVAL, "%s: not a capture of Ethernet", path);
}

/* Unsigned: the figures of a hostile file may wrap, which is defined and harmless. */
bool capture_next(struct capture_file *file, struct capture_packet *packet)
{
    struct pcap_pkthdr *header;
    const u_char *bytes;
    int got = pcap_next_ex(file->pcap, &header, &bytes);
    if (got != 1) {
        file->broken = got == PCAP_ERROR;
        return false;
    }
    packet->time =
        (uint64_t)header->ts.tv_sec * 1000000000 + (uint64_t)header->ts.tv_usec;
    packet->bytes = bytes;
    packet->length = header->caplen;
    packet->original = header->len;
    return true;
}

void capture_close(struct capture_file *file)
{
    if (file->pcap)
        pcap_close(file->pcap);
    file->pcap = NULL;
}
