/* fuzz/clumsy_trace: any text as a trace of a link, or of losses.
 *
 * The first byte chooses which and how it is read. A trace that is taken gives departures that do
 * not go back and are not before the packet came, and values within their ranges.
 */
#include "apps/clumsy/loss.h"
#include "apps/clumsy/trace.h"
#include "selftest/fuzz/file.h"

#define DAY 86400000000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "clumsy_trace: %s\n", what);
        abort();
    }
}

static void use(struct trace *trace)
{
    uint64_t time = 0;
    for (uint32_t i = 0; i < 64; i++) {
        uint64_t came = i % 8 ? time : time + (uint64_t)i * 1000003 % DAY;
        if (trace->rows) {
            struct trace_values values;
            trace_values(trace, came, &values);
            require(values.loss >= 0 && values.loss <= 1, "loss");
            require(values.owd <= DAY && values.jitter <= DAY, "delay");
        }
        if (!trace->opportunities && !(trace->columns & TRACE_RATE))
            continue;
        time = trace_depart(trace, came, 60 + i * 23);
        require(time >= came, "left before it came");
        if (time > DAY)
            break;
    }
}

static void use_losses(const char *path)
{
    struct loss_conf conf = { .trace = (char *)(uintptr_t)path };
    struct loss loss = { 0 };
    loss_configure(&loss, &conf, 1, "wan", false, 1000);
    for (uint64_t i = 0; i < 64; i++)
        loss_happens(&loss, i, i * i * 1000003);
    loss_free(&loss);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = { 0 };
    struct trace trace;
    if (!size || size > 4096)
        return 0;
    const char *path = fuzz_file("", data + 1, size - 1);
    struct trace_conf conf = { .file = (char *)(uintptr_t)path,
                               .bytes = 64 + data[0] * 8,
                               .after = data[0] & 1,
                               .interp = data[0] >> 1 & 1 };
    if (data[0] & 4) {
        use_losses(path);
        return 0;
    }
    if (trace_load(&trace, &conf, &err)) {
        require(*err.text != 0, "no message");
        return 0;
    }
    use(&trace);
    trace_free(&trace);
    return 0;
}
