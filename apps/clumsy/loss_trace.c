/* loss_trace: recorded losses, and the four-state chain with given figures. */
#include "apps/clumsy/loss.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "lib/units.h"

static int refuse(const char *path, size_t line, const char *why, struct error *err)
{
    return error_set(err, ERROR_CONFIG, EINVAL, "%s:%zu: %s", path, line, why);
}

static int add_packet(struct loss_trace *trace, bool lost, const char *path, size_t line,
                      struct error *err)
{
    if (trace->count == LOSS_TRACE_MAX)
        return refuse(path, line, "too long a trace", err);
    if (!array_reserve(&trace->packets, trace->count, 1))
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    trace->packets[trace->count++] = lost;
    return 0;
}

static int add_packets(struct loss_trace *trace, const char *text, const char *path,
                       size_t line, struct error *err)
{
    int error = 0;
    for (; *text && !error; text++) {
        if (isspace((unsigned char)*text) || *text == ',')
            continue;
        if (*text != '0' && *text != '1')
            return refuse(path, line, "neither 0 nor 1", err);
        error = add_packet(trace, *text == '1', path, line, err);
    }
    return error;
}

static int add_span(struct loss_trace *trace, struct loss_span span, const char *path,
                    size_t line, struct error *err)
{
    uint64_t last = trace->count ? trace->spans[trace->count - 1].to : 0;
    if (span.from < last || span.to <= span.from)
        return refuse(path, line, "times do not go up", err);
    if (trace->count == LOSS_TRACE_MAX / 64)
        return refuse(path, line, "too long a trace", err);
    if (!array_reserve(&trace->spans, trace->count, sizeof(*trace->spans)))
        return error_set(err, ERROR_RUN, ENOMEM, "out of memory");
    trace->spans[trace->count++] = span;
    return 0;
}

static bool parse_span(const char *text, struct loss_span *span)
{
    char from[32], to[32], rest;
    return sscanf(text, "%31s %31s %c", from, to, &rest) == 2 &&
           !units_parse_duration(from, &span->from) &&
           !units_parse_duration(to, &span->to);
}

/* Packets are noughts and ones, and nothing else. */
static int add_line(struct loss_trace *trace, char *text, const char *path, size_t line,
                    struct error *err)
{
    struct loss_span span;
    text[strcspn(text, "#\r\n")] = 0;
    if (!text[strspn(text, " \t")])
        return 0;
    bool packets = !text[strspn(text, "01, \t")];
    if (trace->packets || (packets && !trace->spans))
        return add_packets(trace, text, path, line, err);
    if (!parse_span(text, &span))
        return refuse(path, line, "not two times, such as \"1.5s 2s\"", err);
    return add_span(trace, span, path, line, err);
}

int loss_read(struct loss_trace *trace, const char *path, struct error *err)
{
    char *text = NULL;
    size_t size = 0, line = 0;
    int error = 0;
    memset(trace, 0, sizeof(*trace));
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(err, ERROR_CONFIG, errno, "%s: %s", path, strerror(errno));
    while (!error && getline(&text, &size, file) >= 0)
        error = add_line(trace, text, path, ++line, err);
    if (!error && ferror(file))
        error = error_set(err, ERROR_CONFIG, EIO, "%s: cannot be read", path);
    if (!error && !trace->count)
        error = error_set(err, ERROR_CONFIG, EINVAL, "%s: nothing is in it", path);
    free(text);
    fclose(file);
    if (error)
        loss_trace_free(trace);
    return error;
}

void loss_trace_free(struct loss_trace *trace)
{
    free(trace->packets);
    free(trace->spans);
    memset(trace, 0, sizeof(*trace));
}

/* P of all packets, bursts of B packets of which rho are lost, I of the others lost alone,
 * runs of G within a burst:
 *
 *     p31 = 1 / (B rho)         p13 = (P - I) / (B (1 - I) (rho - P))
 *     p23 = 1 / G               p32 = (1 - rho) / (rho G)           p14 = I / (1 - I)
 */
int loss_state_of(const struct loss_conf *conf, struct state_conf *state,
                  struct error *err)
{
    double P = conf->p, B = conf->burst, rho = conf->density, I = conf->isolated;
    double G = conf->good_run > 0 ? conf->good_run : 1;
    *state = (struct state_conf){
        .p13 = (P - I) / (B * (1 - I) * (rho - P)),
        .p31 = 1 / (B * rho),
        .p32 = (1 - rho) / (rho * G),
        .p23 = 1 / G,
        .p14 = I / (1 - I),
    };
    const double all[] = { state->p13, state->p31, state->p32, state->p23, state->p14 };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (!(all[i] >= 0 && all[i] <= 1))
            goto impossible;
    if (state->p31 + state->p32 <= 1 && state->p13 + state->p14 <= 1 && state->p13 > 0)
        return 0;
impossible:
    return error_set(
        err, ERROR_CONFIG, EINVAL,
        "loss: no chain has %.9g%% lost in bursts of %.9g packets, %.9g%% of "
        "these, and %.9g%% alone",
        100 * P, B, 100 * rho, 100 * I);
}
