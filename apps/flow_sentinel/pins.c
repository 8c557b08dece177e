/* pins: a BPF object's maps, and its link, by names in a bpffs. */
#include "apps/flow_sentinel/pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "apps/flow_sentinel/sentinel.bpf.h"

#define SHARED ".data.shared" /* struct sentinel_state */

char *pins_name(char out[PINS_NAME_SIZE], const char *pin, const char *name)
{
    /* a bpffs has no names with dots */
    snprintf(out, PINS_NAME_SIZE, "%s/%s", pin, !strcmp(name, SHARED) ? "shared" : name);
    return out;
}

static bool is_data(const struct bpf_map *map)
{
    const char *name = bpf_map__name(map);
    return strchr(name, '.') && strcmp(name, SHARED); /* .rodata is each program's own */
}

/* --- do they fit? --------------------------------------------------------------------- */

/* Can the program work with the map that is pinned? */
static bool fits(const struct bpf_map *map, const char *path)
{
    struct bpf_map_info info = { 0 };
    uint32_t size = sizeof(info);
    int fd = bpf_obj_get(path);
    if (fd < 0)
        return false;
    int error = bpf_obj_get_info_by_fd(fd, &info, &size);
    close(fd);
    return !error && info.type == bpf_map__type(map) &&
           info.key_size == bpf_map__key_size(map) &&
           info.value_size == bpf_map__value_size(map) &&
           info.max_entries == bpf_map__max_entries(map);
}

/* Of a map that fits: the kernel writes as many bytes as a value of it has. */
static uint64_t pinned_schema(const char *pin)
{
    char path[PINS_NAME_SIZE];
    uint32_t zero = 0;
    struct sentinel_state state;
    int fd = bpf_obj_get(pins_name(path, pin, SHARED));
    if (fd < 0)
        return 0;
    if (bpf_map_lookup_elem(fd, &zero, &state))
        state.schema = 0;
    close(fd);
    return state.schema;
}

static bool all_fit(struct bpf_object *object, const char *pin)
{
    char path[PINS_NAME_SIZE];
    struct bpf_map *map;
    bpf_object__for_each_map (map, object)
        if (!is_data(map) && !fits(map, pins_name(path, pin, bpf_map__name(map))))
            return false;
    return pinned_schema(pin) == SENTINEL_SCHEMA;
}

/* --- use ---------------------------------------------------------------------------------- */

/* The directories above the pins, and a bpffs for them to be in. */
static int make_place(const char *pin, struct error *err)
{
    struct statfs fs;
    char parent[PINS_NAME_SIZE];
    snprintf(parent, sizeof(parent), "%s", pin);
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = 0;
    if (!strncmp(pin, PINS_DIRECTORY "/", sizeof(PINS_DIRECTORY)) &&
        !statfs("/sys/fs/bpf", &fs) && (uint32_t)fs.f_type != BPF_FS_MAGIC)
        mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700");
    if ((mkdir(parent, 0700) && errno != EEXIST) || (mkdir(pin, 0700) && errno != EEXIST))
        return error_system(err, ERROR_RUN, "cannot make %s", pin);
    if (statfs(pin, &fs) || (uint32_t)fs.f_type != BPF_FS_MAGIC)
        return error_set(err, ERROR_CONFIG, EINVAL,
                         "%s is not in a bpffs: mount -t bpf bpf /sys/fs/bpf", pin);
    return 0;
}

int pins_use(struct bpf_object *object, const char *pin, struct error *err)
{
    char path[PINS_NAME_SIZE];
    struct bpf_map *map;
    int error = make_place(pin, err);
    if (error)
        return error;
    bool fit = all_fit(object, pin);
    bpf_object__for_each_map (map, object) {
        if (is_data(map))
            continue;
        pins_name(path, pin, bpf_map__name(map));
        if (!fit)
            unlink(path);
        bpf_map__set_pin_path(map, path);
    }
    return 0;
}

int pins_share(struct bpf_object *to, struct bpf_object *from)
{
    struct bpf_map *map;
    int error = 0;
    bpf_object__for_each_map (map, to)
        if (!is_data(map) && !error)
            error = bpf_map__reuse_fd(
                map, bpf_map__fd(bpf_object__find_map_by_name(from, bpf_map__name(map))));
    return error;
}

/* Only what is ours: one level, no other names. */
int pins_remove(const char *pin)
{
    DIR *dir = opendir(pin);
    struct dirent *entry;
    char path[PINS_NAME_SIZE];
    if (!dir)
        return -errno;
    /* at once, and not when the kernel comes round to it */
    int link = bpf_obj_get(pins_name(path, pin, "link"));
    if (link >= 0) {
        bpf_link_detach(link);
        close(link);
    }
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            unlink(pins_name(path, pin, entry->d_name));
    closedir(dir);
    return rmdir(pin) ? -errno : 0;
}
