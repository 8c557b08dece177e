/* compat_uapi: constants of newer kernels than Debian 12's headers (6.1) describe. Whether
 * the running kernel knows them is asked of it, never of a version. */
#pragma once

#include <linux/if_xdp.h>

/* linux/if_xdp.h: bind flag and descriptor option of packets in several buffers, 6.6 */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

/* linux/if_xdp.h: socket option, packets sent per call in copy mode, 6.17 */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

/* asm-generic/socket.h, 5.11 */
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif
