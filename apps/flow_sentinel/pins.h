/* pins: a BPF object's maps, and its link, by names in a bpffs.
 *
 *   pins_name     of one of them
 *   pins_use      an object's maps are those that are pinned, or will be when it is loaded
 *   pins_share    ... are those of another object
 *   pins_remove   takes everything away that is pinned
 *
 * PIN/NAME for every map but a program's own data, PIN/link for the link. Maps that are pinned
 * are used where all of them fit, in kind, size and schema; otherwise none is.
 */
#pragma once
#include "lib/error.h"

struct bpf_object;

#define PINS_NAME_SIZE 512

/* Returns out. */
char *pins_name(char out[PINS_NAME_SIZE], const char *pin, const char *name);

/* Before the object is loaded. Makes the directory, and a bpffs on /sys/fs/bpf when pin is in
 * PINS_DIRECTORY and there is none. */
int pins_use(struct bpf_object *object, const char *pin, struct error *err);
#define PINS_DIRECTORY "/sys/fs/bpf/vanguard"

/* Before `to` is loaded. */
int pins_share(struct bpf_object *to, struct bpf_object *from);

/* Detaches and unpins. -ENOENT when nothing is pinned there. */
int pins_remove(const char *pin);
