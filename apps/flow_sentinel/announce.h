/* announce: tells somebody's program of blocks and of states (lib/hook.h).
 *
 *   announce_event   one event, in its environment and as JSON on its stdin
 *
 * SENTINEL_EVENT, _DETECTION, _DESTINATION, and of a source _SOURCE, _TTL; of a state _STATE,
 * _RATE, _THRESHOLD. The JSON object has the same by the names in lower case, beside more.
 */
#pragma once
#include "apps/flow_sentinel/sentinel.bpf.h"
#include "lib/hook.h"

/* source_bits: of an IPv6 source. What the hook's queue has no room for is counted there. */
void announce_event(struct hook *hook, const struct sentinel_event *event,
                    const char *ifname, unsigned source_bits);
