/* fuzz/sojourn: any text as a law of times. What is taken gives lengths within its bounds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sojourn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "sojourn: %s\n", what);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct random_key key = random_key(1, "fuzz", "sojourn");
    struct sojourn_law law[2];
    struct error err = { 0 };
    char *text = strndup((const char *)data, size);
    if (sojourn_parse(text, &law[0], &err)) {
        require(*err.text != 0, "no message");
    } else {
        law[1] = law[0];
        for (uint64_t i = 0; i < 16; i++) {
            uint64_t length = sojourn_draw(&law[0], &key, i);
            require(length > 0, "no time");
            require(law[0].kind != SOJOURN_FIXED || length == law[0].a, "not that long");
            require(law[0].kind != SOJOURN_UNIFORM ||
                        (length >= law[0].a && length <= law[0].b),
                    "out of bounds");
        }
        struct sojourn sojourn;
        sojourn_start(&sojourn, law, key, true, 5);
        sojourn_at(&sojourn, 5 + 100 * (law[0].a / 4));
        require(sojourn.since < sojourn.until, "no stay");
    }
    free(text);
    return 0;
}
