/* xdp_attach: loading an XDP program and putting it on an interface.
 *
 *   xdp_attach         by bpf_link, native or generic
 *   xdp_attached       the program that is there
 *   xdp_occupied       an error that names it
 *   xdp_keep_complaint, xdp_load_failed     why libbpf could not load one
 *
 * bpf_link (Linux 5.9): the program goes with the last descriptor or pin of the link, however
 * its process ends.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

enum xdp_attach_mode { XDP_ATTACH_AUTO, XDP_ATTACH_NATIVE, XDP_ATTACH_GENERIC };

#define XDP_ATTACH_DESCRIPTION 160

/* Returns the link's descriptor, or a negative errno. auto: native, else generic. description:
 * "native", or "generic (native: why not)". */
int xdp_attach(int program, const char *ifname, unsigned index, enum xdp_attach_mode mode,
               char description[XDP_ATTACH_DESCRIPTION], struct error *err);

/* Its id and how it is attached (XDP_FLAGS_*_MODE); 0: there is none. */
uint32_t xdp_attached(unsigned index, uint32_t *mode);

/* ERROR_CONFIG, -EBUSY: the interface has a program; cure: what helps. */
int xdp_occupied(const char *ifname, uint32_t id, const char *cure, struct error *err);

/* From now on libbpf prints nothing; what it would have said last in this thread is kept for
 * xdp_load_failed, which makes an error of -errno: ERROR_PRIVILEGE where that is the reason. */
void xdp_keep_complaint(void);
int xdp_load_failed(const char *ifname, int error, struct error *err);
