/* decisions: a file with a line about each packet.
 *
 *     # packet copy arrival_ns outcome delay_ns content
 *     0 0 12000 pass 20000000 9f3c...
 *     1 0 13000 loss - 11ab...
 *
 * The same seed and input give the same lines; with key = "content" each content has the
 * same outcomes whatever else is on the network.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/clumsy/clumsy.h"

int decisions_configure(struct clumsy *clumsy, const char *path, struct error *err)
{
    FILE *file = NULL;
    char *copy = NULL;
    if (param_same_text(clumsy->decisions_path, path))
        return 0;
    if (path && (!(copy = strdup(path)) || !(file = fopen(path, "we")))) {
        free(copy);
        return error_set(err, ERROR_FILE, errno, "decisions: %s: %s", path,
                         strerror(errno));
    }
    decisions_close(clumsy);
    clumsy->decisions = file;
    clumsy->decisions_path = copy;
    if (file)
        fputs("# packet copy arrival_ns outcome delay_ns content\n", file);
    return 0;
}

void decisions_close(struct clumsy *clumsy)
{
    if (clumsy->decisions)
        fclose(clumsy->decisions);
    free(clumsy->decisions_path);
    clumsy->decisions = NULL;
    clumsy->decisions_path = NULL;
}

void decisions_note(struct clumsy *clumsy, uint64_t index, uint32_t copy,
                    uint64_t arrival, const char *outcome, uint64_t delay,
                    uint64_t content)
{
    if (clumsy->captures)
        captures_note(clumsy->captures, index, copy, outcome, delay);
    if (!clumsy->decisions)
        return;
    bool passed = !strcmp(outcome, "pass");
    uint64_t start = clumsy->impair.start;
    fprintf(clumsy->decisions, "%" PRIu64 " %" PRIu32 " %" PRIu64 " %s ", index, copy,
            arrival > start ? arrival - start : 0, outcome);
    if (passed)
        fprintf(clumsy->decisions, "%" PRIu64 " ", delay);
    else
        fputs("- ", clumsy->decisions);
    if (content)
        fprintf(clumsy->decisions, "%016" PRIx64 "\n", content);
    else
        fputs("-\n", clumsy->decisions);
}
