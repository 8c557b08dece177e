/* announce: tells somebody's program of blocks and of states. */
#include "apps/flow_sentinel/announce.h"

#include <stdio.h>
#include <sys/socket.h>

#include "apps/flow_sentinel/detect.h"
#include "apps/flow_sentinel/networks.h"

#define ROWS     10
#define ROW_SIZE 96

struct announcement {
    char rows[ROWS][ROW_SIZE]; /* NAME=value */
    const char *environment[ROWS + 1];
    size_t count;
    char json[1024];
    size_t length;
};

const char *sentinel_event_name(const struct sentinel_event *event)
{
    static const char *const names[] = { "block", "extend", "limit",    "pressure",
                                         "full",  "state",  "detached", "attached" };
    return names[event->kind & 7];
}

bool sentinel_event_is_of_interface(const struct sentinel_event *event)
{
    return event->kind == EVENT_DETACHED || event->kind == EVENT_ATTACHED;
}

const char *sentinel_source_text(const uint32_t key[4], unsigned source_bits,
                                 char text[PREFIX_TEXT_SIZE])
{
    struct prefix prefix = networks_prefix(key, source_bits);
    return prefix_short(&prefix, text);
}

const char *sentinel_address_text(const uint32_t address[4], unsigned bits,
                                  char text[PREFIX_TEXT_SIZE])
{
    struct prefix prefix = prefix_unmapped((const uint8_t *)address, bits);
    return prefix_short(&prefix, text);
}

/* Nothing that is announced needs escapes: numbers, addresses, and names of ours. */
static void add(struct announcement *a, const char *variable, const char *key,
                const char *text, bool quoted)
{
    snprintf(a->rows[a->count], ROW_SIZE, "SENTINEL_%s=%s", variable, text);
    a->environment[a->count] = a->rows[a->count];
    a->count++;
    a->length += (size_t)snprintf(a->json + a->length, sizeof(a->json) - a->length,
                                  quoted ? "%s\"%s\":\"%s\"" : "%s\"%s\":%s",
                                  a->length > 1 ? "," : "", key, text);
}

static void add_number(struct announcement *a, const char *variable, const char *key,
                       double number)
{
    char text[32];
    snprintf(text, sizeof(text), "%.9g", number);
    add(a, variable, key, text, false);
}

static void add_address(struct announcement *a, const char *variable, const char *key,
                        const uint32_t address[4], unsigned bits)
{
    char text[PREFIX_TEXT_SIZE];
    add(a, variable, key, sentinel_address_text(address, bits, text), true);
}

static void add_what(struct announcement *a, const struct sentinel_event *event,
                     unsigned source_bits)
{
    add(a, "DETECTION", "detection", detection_name(event->detection), true);
    add_address(a, "DESTINATION", "destination", event->dst,
                event->dst_bits ? event->dst_bits : 128);
    if (event->kind == EVENT_STATE) {
        add(a, "STATE", "state", detect_state_names[event->state & 3], true);
        add_number(a, "RATE", "rate", event->rate);
        add_number(a, "THRESHOLD", "threshold", event->threshold);
    } else {
        char text[PREFIX_TEXT_SIZE];
        add(a, "SOURCE", "source", sentinel_source_text(event->src, source_bits, text),
            true);
        add_number(a, "TTL", "ttl", (double)event->ttl / 1e9);
    }
    add(a, "DRY_RUN", "dry_run", event->dry_run ? "true" : "false", false);
}

void announce_event(struct hook *hook, const struct sentinel_event *event,
                    const char *ifname, unsigned source_bits)
{
    struct announcement a = { .json = "{", .length = 1 };
    add(&a, "EVENT", "event", sentinel_event_name(event), true);
    add(&a, "INTERFACE", "interface", ifname ? ifname : "", true);
    if (!sentinel_event_is_of_interface(event))
        add_what(&a, event, source_bits);
    a.length += (size_t)snprintf(a.json + a.length, sizeof(a.json) - a.length, "}\n");
    hook_post(hook, a.environment, a.json, a.length);
}
