/* fuzz/distribution: any text as a table of a distribution.
 *
 * The first byte says whether it is one of netem's. Quantiles of one that is taken go up and are
 * finite.
 */
#include <math.h>

#include "apps/clumsy/distribution.h"
#include "selftest/fuzz/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "distribution: %s\n", what);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct distribution table = { 0 };
    struct error err = { 0 };
    double before = -INFINITY;
    if (!size || size > 4096)
        return 0;
    const char *path = fuzz_file(data[0] & 1 ? ".dist" : "", data + 1, size - 1);
    if (distribution_configure(&table, DIST_TABLE, 0, path, data[0] & 2, &err)) {
        require(*err.text != 0, "no message");
    } else {
        for (double z = -8; z <= 8; z += 0.25) {
            double x = distribution_at(&table, z);
            require(isfinite(x), "not finite");
            require(x >= before - 1e-9 * fabs(before), "goes down");
            before = x;
        }
    }
    distribution_free(&table);
    return 0;
}
