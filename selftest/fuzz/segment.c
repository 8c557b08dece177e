/* fuzz/segment: any bytes as a super-frame and its description.
 *
 * Input: gso_type, gso_size (2 bytes), how far the frame goes on behind the input (3
 * bytes), then the head of the frame. Every segment of an accepted plan is finished in
 * memory of exactly its size and must be a valid frame.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/segment.h"
#include "selftest/segment_check.h"

#define DESCRIPTION_SIZE 6
#define BEYOND_MAX       600000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "segment: %s\n", what);
        abort();
    }
}

static void finish(const struct segment_plan *plan, uint32_t i)
{
    size_t length = plan->header_length + segment_payload(plan, i);
    uint8_t *frame = malloc(length);

    require(frame != NULL, "out of memory");
    memset(frame, (int)(i * 37 + 1), length);
    require(segment_finish(plan, i, frame) == length, "length of a segment");
    const char *wrong = segment_check(frame, length);
    require(!wrong, wrong);
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < DESCRIPTION_SIZE)
        return 0;
    struct segment_offload offload = {
        .gso_type = data[0],
        .gso_size = (uint16_t)(data[1] << 8 | data[2]),
    };
    size_t beyond = (size_t)(data[3] << 16 | data[4] << 8 | data[5]) % BEYOND_MAX;
    size_t head_length = size - DESCRIPTION_SIZE, frame_length = head_length + beyond;
    struct segment_plan plan;

    if (segment_plan(&plan, data + DESCRIPTION_SIZE, head_length, frame_length, &offload))
        return 0;
    require(plan.count >= 1 && plan.count <= SEGMENT_MAX, "count");
    require(plan.header_length <= plan.payload_offset, "header length");
    uint32_t at = plan.payload_offset;
    for (uint32_t i = 0; i < plan.count; i++) {
        require(segment_offset(&plan, i) == at, "offset");
        require(segment_payload(&plan, i) <= plan.gso_size, "payload");
        at += segment_payload(&plan, i);
        finish(&plan, i);
    }
    require(at == plan.payload_offset + plan.payload_length, "payload in all");
    require(at <= frame_length, "payload beyond the frame");
    return 0;
}
