/* fuzz/traffic_match: any text as named traffic, and any frame.
 *
 * The first byte says how much of the input is text, the rest is a frame. What the parser
 * takes is made of conjunctions that end, within bounds; and a frame that matches does not
 * match what `not ( )` makes of the same text.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/checksum.h"
#include "lib/traffic_match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "traffic_match: %s\n", what);
        abort();
    }
}

static void check_opposite(const char *text, const uint8_t *frame, size_t length,
                           bool taken)
{
    struct traffic_match opposite;
    char *all = malloc(strlen(text) + 8);
    sprintf(all, "not (%s)", text);
    if (!traffic_match_parse(&opposite, all, NULL))
        require(traffic_match_frame(&opposite, frame, length) != taken, "and not, too");
    free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct traffic_match match;
    struct error err = { 0 };
    size_t start, offset, length = size ? data[0] : 0;
    if (length + 1 > size)
        return 0;
    char *text = strndup((const char *)data + 1, length);
    const uint8_t *frame = data + 1 + length;
    size -= 1 + length;
    if (traffic_match_parse(&match, text, &err)) {
        require(*err.text && err.kind == ERROR_CONFIG, "no message");
    } else {
        require(match.count <= TRAFFIC_PRIMITIVES, "too many");
        require(!match.count || match.primitives[match.count - 1].last, "no end");
        bool taken = traffic_match_frame(&match, frame, size);
        require(match.count || taken, "nothing named, nothing taken");
        if (match.count)
            check_opposite(text, frame, size, taken);
    }
    if (checksum_find_partial(frame, size, &start, &offset))
        require(start + offset + 2 <= size, "a checksum outside of the frame");
    free(text);
    return 0;
}
