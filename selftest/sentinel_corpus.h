/* sentinel_corpus: frames of every kind, and what FlowSentinel is to make of them.
 *
 *   corpus             rows, up to one without a kind
 *   CORPUS_SETTINGS    with which they are judged
 *   corpus_tags        with which each is tagged: none, one, two, three
 */
#pragma once
#include "selftest/sentinel_frames.h"

#define CORPUS_ANY 255 /* class of what is dropped, which nobody asks for */

struct corpus_row {
    const char *kind, *settings;
    const char *text; /* of frames_make; "ip " stands for both families */
    uint8_t verdict, reason, class;
    uint16_t sport, dport;
    uint32_t payload;
};

extern const struct corpus_row corpus[];

#define CORPUS_TAGS 4
extern const uint32_t corpus_tags[CORPUS_TAGS][4];

#define CORPUS_SETTINGS                                                                  \
    {                                                                                    \
        "", "verify_csum=true", "verify_csum=true strict=ip4_csum",                      \
            "tolerate=ip4_srcroute,ip4_opt_bad,frag_df,tcp_flags,port0,ip6_ext_order,"   \
            "frag_tiny,ip6_ext_deep,ip6_jumbo",                                          \
            "exthdr_max=0", "exthdr_max=2 exthdr_bytes=24", "exthdr_bytes=2048"          \
    }
#define CORPUS_NSETTINGS (sizeof((const char *[])CORPUS_SETTINGS) / sizeof(char *))
