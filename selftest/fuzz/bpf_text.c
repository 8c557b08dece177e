/* fuzz/bpf_text: any text as a classic BPF program, as fanout.program takes it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apps/raw_socket/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sock_filter *code = calloc(PROGRAM_MAX, sizeof(*code));
    char *text = strndup((const char *)data, size);
    int count = program_parse(text, code);
    if (count == 0 || count > PROGRAM_MAX)
        abort();
    free(text);
    free(code);
    return 0;
}
