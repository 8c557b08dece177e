/* fuzz/prefix_file: any bytes as a list of networks; the first one says whether short
 * prefixes are taken.
 *
 * What is taken keeps the rules, and is the same when it is written and read again. What is
 * not has a message of one line that names the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/error.h"
#include "lib/prefix_file.h"
#include "selftest/fuzz/file.h"

#define MOST 500

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "prefix_file: %s\n", what);
        abort();
    }
}

static void check_prefix(const struct prefix *prefix, bool really)
{
    bool ipv4 = prefix->family == AF_INET;
    uint8_t address[16];
    struct prefix again = prefix_unmapped(address, prefix_mapped(prefix, address));
    require(ipv4 || prefix->family == AF_INET6, "no family");
    require(prefix->bits <= 8 * prefix_size(prefix), "bits");
    require(really || prefix->bits >= (ipv4 ? 8 : 16), "a short prefix");
    require(again.family == prefix->family && again.bits == prefix->bits &&
                !memcmp(again.address, prefix->address, sizeof(again.address)),
            "host bits");
}

static void check_again(const struct prefix_list *list, const struct prefix_file *file)
{
    static char text[MOST * (PREFIX_TEXT_SIZE + 1)];
    size_t length = 0;
    for (size_t i = 0; i < list->count; i++) {
        prefix_format(&list->prefixes[i], text + length);
        length += strlen(text + length);
        text[length++] = '\n';
    }
    fuzz_file("list", (const uint8_t *)text, length);
    struct prefix_list again;
    require(!prefix_file_read(file, &again, NULL), "not read again");
    require(again.count == list->count && !again.cleared, "another list");
    for (size_t i = 0; i < again.count; i++)
        require(!memcmp(&again.prefixes[i], &list->prefixes[i], sizeof(struct prefix)),
                "another prefix");
    prefix_list_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prefix_list list;
    struct error err = { 0 };
    if (!size)
        return 0;
    struct prefix_file file = { .path = fuzz_file("list", data + 1, size - 1),
                                .max = MOST,
                                .really = data[0] & 1 };
    if (prefix_file_read(&file, &list, &err)) {
        require(strstr(err.text, file.path) && !strpbrk(err.text, "\r\n"), "no message");
        require(!list.count && !list.prefixes, "part of a list");
        return 0;
    }
    require(list.count <= MOST && list.cleared <= list.count, "too many");
    for (size_t i = 0; i < list.count; i++)
        check_prefix(&list.prefixes[i], file.really);
    check_again(&list, &file);
    prefix_list_clear(&list);
    return 0;
}
