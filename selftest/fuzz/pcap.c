/* fuzz/pcap: any bytes as a capture file.
 *
 * Input: one byte of options, then the file. It is played by a PcapReader through a
 * PacketFilter, at a pace and as often as the options say, on a virtual clock. No packet
 * may get lost, and what is finite has to end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "apps/apps.h"
#include "engine/engine.h"

#define STEP    100000000000 /* ns: a hundred seconds a breath */
#define BREATHS 8

enum { TIMESTAMPS = 1, TWICE = 2, FOREVER = 4, FAST = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "pcap: %s\n", what);
        abort();
    }
}

static void add_app(struct graph *graph, const char *name, const char *class,
                    struct value args)
{
    struct error err;
    require(!graph_add_app(graph, name, apps_find(class), &args, NULL, &err), err.text);
    value_free(&args);
}

static struct graph *make_graph(const char *file, uint8_t options)
{
    struct graph *graph = graph_new();
    struct value reader = value_table(), nothing = { VALUE_NIL };
    value_table_add(&reader, "file", value_string(file));
    value_table_add(&reader, "pace",
                    value_string(options & TIMESTAMPS ? "timestamps" : "flat"));
    value_table_add(&reader, "loop",
                    value_integer(options & FOREVER ? 0 : 1 + !!(options & TWICE)));
    value_table_add(&reader, "speed", value_number(options & FAST ? 1000000 : 1));
    add_app(graph, "reader", "PcapReader", reader);
    add_app(graph, "filter", "PacketFilter",
            value_string("udp port 53 or (vlan and ip6) or tcp[13] & 2 != 0"));
    add_app(graph, "sink", "Sink", nothing);
    require(!graph_add_link(graph, "reader -> filter", NULL, NULL), "link");
    require(!graph_add_link(graph, "filter -> sink.yes", NULL, NULL), "link");
    require(!graph_add_link(graph, "filter.rejected -> sink.no", NULL, NULL), "link");
    return graph;
}

static void play(struct engine *engine, uint8_t options, size_t size)
{
    for (uint64_t i = 0; i < BREATHS; i++) {
        engine_set_time(engine, i * STEP);
        engine_breathe(engine);
    }
    /* Then all is due: a record takes 16 bytes or more, a breath plays 128. */
    engine_set_time(engine, TIMER_NEVER - 1);
    for (size_t i = 0; i < BREATHS + size / 1024; i++)
        engine_breathe(engine);
    engine_commit_counters(engine);
    uint64_t sent = counters_value(engine->counters, "apps/reader/packets");
    require(sent == counters_value(engine->counters, "apps/sink/packets"), "lost");
    if (!(options & FOREVER))
        require(counters_value(engine->counters, "apps/reader/finished"), "no end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char file[40];
    if (fd < 0) {
        fd = memfd_create("capture", MFD_CLOEXEC);
        snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
    }
    if (!size)
        return 0;
    require(!ftruncate(fd, 0), "ftruncate");
    require(pwrite(fd, data + 1, size - 1, 0) == (ssize_t)(size - 1), "pwrite");
    struct engine_options options = { .virtual_time = true };
    struct error err;
    struct engine *engine = engine_new(&options, &err);
    require(engine != NULL, err.text);
    if (!engine_configure(engine, make_graph(file, *data), &err))
        play(engine, *data, size);
    engine_free(engine);
    require(!arena_in_use(), "packets left over");
    return 0;
}
