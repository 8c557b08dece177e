/* receive: from frames in the ring to packets on a link.
 *
 *   receive         as many as there is room for, at most so many
 *
 * A frame becomes one packet: tag put back, checksum completed. A super-frame becomes as
 * many as belong on the wire: the kernel scatters its payload straight into the packets,
 * and the headers are written in front. Where that is wanted, checksums stay unfinished
 * and super-frames whole (engine/packet.h); one that no packet holds is split even so. A
 * frame for which there is no room or no free packet stays in the ring.
 */
#pragma once
#include "apps/raw_socket/ring.h"
#include "engine/app.h"

enum vlan_mode { VLAN_RESTORE, VLAN_METADATA, VLAN_DROP };
enum offload_mode { MODE_SPLIT, MODE_OFF, MODE_CSUM, MODE_GSO };
enum direction { DIRECTION_IN, DIRECTION_BOTH, DIRECTION_OUT };

/* Counters of the app, as far as they are counted here. */
enum receive_counter {
    RX_PACKETS,
    RX_BYTES,
    RX_SPLIT,
    RX_GSO,
    RX_CSUM,
    RX_SOFT_STAMPS,
    RX_NO_PACKET,
    DROP_TRUNCATED,
    DROP_OVERSIZE,
    DROP_MALFORMED,
    DROP_GSO,
    DROP_VLAN,
    DROP_NO_OUTPUT,
    RECEIVE_COUNTERS,
};

struct receive_options {
    enum vlan_mode vlan;
    enum direction direction;
    enum offload_mode offload;
    bool jumbo; /* longer frames come in packets of the second size class */
    uint32_t burst;
    uint32_t snaplen; /* bytes of a frame that are kept, 0: all */
    int clock;        /* of the device (lib/hardware_clock.h), -1: none is wanted */
};

/* Moves frames from ring to output (NULL: they are dropped). Returns how many frames have
 * left the ring. */
uint32_t receive(struct app *app, struct ring *ring,
                 const struct receive_options *options, struct link *output);
