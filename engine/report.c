/* report: what an engine did, in a few lines for a person. */
#include "engine/report.h"

#include <inttypes.h>
#include <string.h>

struct load load_take(const uint64_t *words)
{
    return (struct load){ words[ENGINE_NOW_NS],   words[ENGINE_BREATHS],
                          words[ENGINE_FREES],    words[ENGINE_FREEBYTES],
                          words[ENGINE_FREEBITS], words[ENGINE_SLEPT_NS] };
}

static double ratio(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

struct load_rate load_rate(const struct load *from, const struct load *to)
{
    uint64_t ns = to->now - from->now, frees = to->frees - from->frees;
    double asleep = ratio(to->slept - from->slept, ns);
    return (struct load_rate){
        .seconds = (double)ns / 1e9,
        .fps = ratio(frees, ns) * 1e9,
        .gbps = ratio(to->freebits - from->freebits, ns),
        .fpb = ratio(frees, to->breaths - from->breaths),
        .bpp = ratio(to->freebytes - from->freebytes, frees),
        .asleep = asleep > 1 ? 1 : asleep,
    };
}

/* 1234567 as "1,234,567". */
static const char *thousands(char *text, size_t size, uint64_t number)
{
    char digits[32];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);
    size_t used = 0;
    for (int i = 0; i < length && used + 2 < size; i++) {
        if (i && (length - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = 0;
    return text;
}

void report_load(struct engine *engine, struct load *since, FILE *out)
{
    engine_commit_counters(engine);
    struct load now = load_take(engine->counter);
    struct load_rate rate = load_rate(since, &now);
    char fps[32], fpb[32];
    fprintf(out,
            "load: time: %.2fs  fps: %s  Gbps: %.3f  fpb: %s  bpp: %.0f  sleep: %.0f%%\n",
            rate.seconds, thousands(fps, sizeof(fps), (uint64_t)rate.fps), rate.gbps,
            thousands(fpb, sizeof(fpb), (uint64_t)rate.fpb), rate.bpp, rate.asleep * 100);
    *since = now;
}

void report_links(struct engine *engine, FILE *out)
{
    char sent[32];
    fprintf(out, "link report:\n");
    for (uint32_t i = 0; i < engine->nlinks; i++) {
        const struct link *link = engine->links[i];
        fprintf(out, "%20s sent on %s (loss rate: %.2g%%)\n",
                thousands(sent, sizeof(sent), link->write), link->name,
                100 * ratio(link->drops, link->write + link->drops));
    }
}

void report_apps(struct engine *engine, FILE *out)
{
    for (uint32_t i = 0; i < engine->napps; i++) {
        struct app *app = engine->apps[i];
        fprintf(out, "app %s (%s):", app->name, app->class->name);
        const struct counter_row *row = app->class->counters;
        for (uint32_t j = 0; row && row[j].name; j++)
            if (app->counters[j])
                fprintf(out, " %s %" PRIu64, row[j].name, app->counters[j]);
        if (app->class->report) {
            fputc(' ', out);
            app->class->report(app, out);
        }
        fputc('\n', out);
    }
}
