/* parameters: of a Nat. */
#include "apps/nat/parameters.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/prefix.h"
#include "lib/units.h"

static int read_address(const char *text, int family, bool *given, uint8_t *address,
                        const char *what, struct error *err)
{
    struct prefix prefix;
    *given = text;
    if (!text)
        return 0;
    if (prefix_parse(&prefix, text) || prefix.family != family || strchr(text, '/'))
        return error_set(err, ERROR_CONFIG, EINVAL, "%s: \"%.80s\" is no IPv%d address",
                         what, text, family == AF_INET ? 4 : 6);
    memcpy(address, prefix.address, prefix_size(&prefix));
    return 0;
}

static int read_ports(const char *text, struct nat_settings *settings, struct error *err)
{
    unsigned low, high;
    char end;
    if (sscanf(text, "%5u-%5u%c", &low, &high, &end) != 2 || !low || low > high ||
        high > UINT16_MAX)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "ports: \"%.80s\" is no range such as 1024-65535", text);
    settings->low = (uint16_t)low;
    settings->high = (uint16_t)high;
    return 0;
}

static int read_time(const struct value *value, struct nat_settings *settings,
                     struct error *err)
{
    char text[80];
    uint64_t time = 0;
    int error = -EINVAL;
    if (value->kind == VALUE_STRING)
        error = units_parse_duration(value->string, &time);
    else if (value->kind == VALUE_INTEGER)
        error = units_duration_from_seconds((double)value->integer, &time);
    else if (value->kind == VALUE_NUMBER)
        error = units_duration_from_seconds(value->number, &time);
    if (settings->nrebinds == REBINDS_MAX)
        return error_set(err, ERROR_CONFIG, EINVAL, "rebind_at: more than %d times",
                         REBINDS_MAX);
    if (error)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "rebind_at: %s is no time (such as \"10s\")",
                         value_format(text, sizeof(text), value));
    settings->rebinds[settings->nrebinds++] = time;
    return 0;
}

static int read_rebinds(const struct value *value, struct nat_settings *settings,
                        struct error *err)
{
    int error = 0;
    if (value->kind == VALUE_NIL)
        return 0;
    if (value->kind != VALUE_TABLE)
        return read_time(value, settings, err);
    for (size_t i = 0; i < value->table->count && !error; i++)
        error = read_time(&value->table->fields[i].value, settings, err);
    return error;
}

int nat_settings_read(const struct nat_conf *conf, struct nat_settings *settings,
                      struct error *err)
{
    *settings = (struct nat_settings){ 0 };
    int error = read_address(conf->address, AF_INET, &settings->given4,
                             settings->address4, "address", err);
    if (!error)
        error = read_address(conf->address6, AF_INET6, &settings->given6,
                             settings->address6, "address6", err);
    if (!error)
        error = read_ports(conf->ports, settings, err);
    return error ? error : read_rebinds(&conf->rebind_at, settings, err);
}

int nat_verify(const void *conf, struct error *err)
{
    struct nat_settings settings;
    return nat_settings_read(conf, &settings, err);
}

static const char *const filterings[] = { "endpoint-independent", "address-dependent",
                                          "address-and-port-dependent", NULL };
static const char *const refreshes[] = { "outbound", "both", NULL };

const struct param nat_params[] = {
    PARAM_STRING(
        struct nat_conf, address, "",
        "IPv4 address that the outside sees; without it that of the source stays"),
    PARAM_STRING(struct nat_conf, address6, "", "the same for IPv6"),
    PARAM_STRING(struct nat_conf, ports, "1024-65535",
                 "ports, and identifiers of ICMP echo, that the outside sees"),
    PARAM_VALUE(struct nat_conf, rebind_at, "",
                "time from the start, or a list, at which all mappings are forgotten"),
    PARAM_DURATION(struct nat_conf, rebind_period, "0s", "0s", "1000000s",
                   "all mappings are forgotten every so often; 0: never"),
    PARAM_INTEGER(struct nat_conf, generation, "0", "0", "9223372036854775807",
                  "another number, set under way, forgets all mappings then"),
    PARAM_DURATION(
        struct nat_conf, udp_timeout, "30s", "1ms", "1000000s",
        "a UDP mapping not used for so long is gone; RFC 4787 wants 2 minutes at "
        "least, many boxes have less"),
    PARAM_DURATION(struct nat_conf, icmp_timeout, "60s", "1ms", "1000000s",
                   "the same for ICMP echo (RFC 5508, REQ-2)"),
    PARAM_DURATION(struct nat_conf, tcp_timeout, "7440s", "1ms", "1000000s",
                   "the same for established TCP connections (RFC 5382, REQ-5)"),
    PARAM_DURATION(struct nat_conf, tcp_transitory_timeout, "240s", "1ms", "1000000s",
                   "the same for those that begin, or are closed"),
    PARAM_ENUM(struct nat_conf, refresh, "outbound", refreshes,
               "packets that keep a mapping alive (RFC 4787, REQ-6)"),
    PARAM_ENUM(
        struct nat_conf, filtering, "endpoint-independent", filterings,
        "who may send to a mapping: everybody, or to whom it has sent (RFC 4787, 5)"),
    PARAM_INTEGER(struct nat_conf, max_mappings, "65536", "1", "1048576",
                  "mappings at most"),
    PARAM_INTEGER(struct nat_conf, seed, "-1", "-1", "9223372036854775807",
                  "of the ports that are chosen; -1: the engine's"),
    PARAM_END,
};
