/* service: how a program tells whoever started it how it is, as sd_notify(3) says.
 *
 *   service_notify
 */
#pragma once
#include <stdbool.h>

/* state: "READY=1", "WATCHDOG=1", "STOPPING=1", "STATUS=..."; a line each. Goes to the datagram socket that
 * NOTIFY_SOCKET names, a path or (with @ in front) an abstract one. False when nobody is named, or does not
 * listen. Does not wait. */
bool service_notify(const char *state);
