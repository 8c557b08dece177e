/* capture_filter: a pcap-filter(7) expression, compiled for Ethernet frames. */
#include "lib/capture_filter.h"

#include <errno.h>
#include <string.h>

#define SNAPLEN 65535

int capture_filter_compile(struct capture_filter *filter, const char *text,
                           struct error *err)
{
    text = text ? text : "";
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
    if (!pcap)
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    int error = pcap_compile(pcap, &filter->program, text, 1, PCAP_NETMASK_UNKNOWN)
                    ? error_set(err, ERROR_CONFIG, EINVAL, "\"%.200s\": %s", text,
                                pcap_geterr(pcap))
                    : 0;
    pcap_close(pcap);
    return error;
}

void capture_filter_free(struct capture_filter *filter)
{
    pcap_freecode(&filter->program);
    memset(&filter->program, 0, sizeof(filter->program));
}
