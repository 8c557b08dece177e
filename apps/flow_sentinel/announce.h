/* announce: tells somebody's program of blocks and of states (lib/hook.h).
 *
 *   announce_event   one event, in its environment and as JSON on its stdin
 *   sentinel_event_name, sentinel_source_text, sentinel_address_text   the words it is told in,
 *                    here and in answers to operations
 *
 * SENTINEL_EVENT, _DETECTION, _DESTINATION, and of a source _SOURCE, _TTL; of a state _STATE,
 * _RATE, _THRESHOLD. The JSON object has the same by the names in lower case, beside more.
 */
#pragma once
#include "apps/flow_sentinel/sentinel.bpf.h"
#include "lib/hook.h"
#include "lib/prefix.h"

/* source_bits: of an IPv6 source. What the hook's queue has no room for is counted there. */
void announce_event(struct hook *hook, const struct sentinel_event *event,
                    const char *ifname, unsigned source_bits);

const char *sentinel_event_name(const struct sentinel_event *event);

/* Then it has neither a source nor a destination. */
bool sentinel_event_is_of_interface(const struct sentinel_event *event);

/* Return text. source_bits: of an IPv6 source. */
const char *sentinel_source_text(const uint32_t key[4], unsigned source_bits,
                                 char text[PREFIX_TEXT_SIZE]);
const char *sentinel_address_text(const uint32_t address[4], unsigned bits,
                                  char text[PREFIX_TEXT_SIZE]);
