/* fuzz/frame: any bytes as a frame: parsed, named, damaged, made right again and answered.
 *
 * The first four bytes choose what is done. The frame lies in memory of exactly its size; answers
 * are as long as they say and, of IP, right.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/clumsy/answer.h"
#include "apps/clumsy/damage.h"
#include "apps/clumsy/pattern.h"
#include "lib/frame.h"

#define CHOICES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "frame: %s\n", what);
        abort();
    }
}

static void check_answer(const uint8_t *answer, uint32_t length)
{
    struct frame frame;
    uint8_t *copy = malloc(length);
    memcpy(copy, answer, length);
    frame_parse(&frame, copy, length);
    require(length <= ANSWER_SIZE, "too long an answer");
    require(frame.family && frame.l4 && frame.end == length, "an answer is not IP");
    frame_fix(&frame, copy, true, true);
    require(!memcmp(copy, answer, length), "an answer with wrong checksums");
    free(copy);
}

static void check_offsets(const struct frame *frame)
{
    require(frame->l3 <= frame->length && frame->l4 <= frame->end, "offsets");
    require(frame->end <= frame->length && frame->payload <= frame->end, "end");
    require(!frame->family || frame->l3 < frame->end, "an empty packet");
}

static void answer(const struct frame *frame)
{
    uint8_t *out = malloc(ANSWER_SIZE);
    uint32_t length = frame->family ? answer_too_big(frame, 1280, out) : 0;
    if (length)
        check_answer(out, length);
    if (frame_is_tcp(frame)) {
        check_answer(out, answer_reset(frame, false, out));
        check_answer(out, answer_reset(frame, true, out));
    }
    free(out);
}

static void drop(const struct frame *frame, uint8_t choice)
{
    struct drop_conf conf = { .syn = choice & 1,
                              .dns_response = choice & 2,
                              .quic_initial = choice & 4,
                              .tcp = { choice >> 4, 1 } };
    struct pattern pattern = { 0 };
    if (pattern_configure(&pattern, &conf))
        pattern_drops(&pattern, frame);
    pattern_free(&pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CHOICES || size > 2048)
        return 0;
    uint32_t length = (uint32_t)size - CHOICES;
    uint8_t *bytes = malloc(length ? length : 1);
    struct frame frame;
    struct random_key key = random_key(data[1], "fuzz", "frame");
    struct corrupt_conf corrupt = { .where = data[2] % 6,
                                    .mode = data[2] / 6 % 4,
                                    .fix = data[2] / 24 % 3 };
    memcpy(bytes, data + CHOICES, length);
    frame_parse(&frame, bytes, length);
    check_offsets(&frame);
    frame_flow(&frame);
    frame_content(&frame);
    answer(&frame);
    drop(&frame, data[0]);
    if (frame_is_tcp(&frame))
        answer_flip(&frame, bytes);
    damage_corrupt(&corrupt, &key, bytes, length, data[3] % (CLUMSY_BITS_MAX + 1));
    damage_truncate(bytes, length - length * (data[0] % 4) / 8, data[3] % 3);
    free(bytes);
    return 0;
}
