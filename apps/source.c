/* Source: packets out of nothing, as many as there is room for.
 *
 *     [ Source ] -> any number of outputs
 */
#include <errno.h>

#include "engine/engine.h"

#define BURST LINK_BURST /* packets per output and breath */

struct source_conf {
    uint64_t size;
    int64_t count;
};

struct source {
    struct packet *template;
    uint64_t left;
};

enum { PACKETS };

static const struct counter_row counters[] = {
    [PACKETS] = { "packets", "packets made" },
    { NULL, NULL },
};

/* From 02:00:00:00:00:01 to :02, EtherType 0x88b5 (IEEE 802 local experimental), then
 * zeros. */
static const uint8_t ethernet[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };

static int start(struct app *app, struct error *err)
{
    struct source *source = app->state;
    const struct source_conf *conf = app->conf;
    source->template = packet_from_bytes(ethernet, sizeof(ethernet));
    if (!source->template || !packet_resize(source->template, (uint32_t)conf->size))
        return error_set(err, ERROR_RUN, ENOBUFS, "no free packet of %u bytes",
                         (unsigned)conf->size);
    source->left = conf->count ? (uint64_t)conf->count : UINT64_MAX;
    return 0;
}

static void stop(struct app *app)
{
    struct source *source = app->state;
    if (source->template)
        packet_free(source->template);
}

WIDE_MOVES static void emit(struct source *source, struct app *app, struct link *output)
{
    struct packet *p[BURST];
    uint32_t room = link_writable(output);
    uint32_t n = room < BURST ? room : BURST;
    n = packet_take_burst(p, n < source->left ? n : (uint32_t)source->left);
    for (uint32_t i = 0; i < n; i++)
        packet_copy(p[i], source->template);
    link_put(output, p, n, (uint64_t)n * source->template->length);
    source->left -= n;
    app_count(app, PACKETS, n);
}

static void pull(struct app *app)
{
    struct source *source = app->state;
    for (uint32_t i = 0; i < app->noutputs; i++)
        emit(source, app, app->outputs[i]);
}

static const struct port ports[] = {
    { "*", PORT_OUTPUT, "where the packets go; each output gets packets of its own" },
    { NULL },
};

static const struct param params[] = {
    PARAM_SIZE(struct source_conf, size, "60", "14", "1536", "length of a frame"),
    PARAM_INTEGER(struct source_conf, count, "0", "0", "9000000000000000000",
                  "packets in all; 0 is no end"),
    PARAM_END,
};

const struct app_class source_class = {
    .name = "Source",
    .doc = "makes packets, as many as there is room for",
    .ports = ports,
    .params = params,
    .conf_size = sizeof(struct source_conf),
    .counters = counters,
    .state_size = sizeof(struct source),
    .start = start,
    .stop = stop,
    .pull = pull,
};
