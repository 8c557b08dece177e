/* control: the socket by which another process reads and changes a running graph. */
#include "config/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/internal.h"

#define CLIENTS     8
#define ANSWER_WAIT 10000    /* ms */
#define ANSWER_MAX  67108864 /* bytes */

struct client {
    struct control *control;
    int fd; /* -1: free */
    size_t used;
    char line[CONTROL_LINE];
    char *answer; /* what is still to be sent */
    size_t answered, answer_size;
};

struct control {
    struct vm *vm;
    int fd;
    struct client clients[CLIENTS];
    char path[PATH_MAX + 16];
};

/* The path of a socket is short; that of a directory that is open can be made so. */
static int address_of(const char *directory, struct sockaddr_un *address, int *at)
{
    *at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*at < 0)
        return -errno;
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/control",
             *at);
    return 0;
}

/* --- one client --------------------------------------------------------------------------- */

static void serve(void *user);

static void wait_for(struct client *client, short events)
{
    engine_watch(client->control->vm->engine, client->fd, events, serve, client);
}

static void hang_up(struct client *client)
{
    engine_unwatch(client->control->vm->engine, client->fd);
    close(client->fd);
    free(client->answer);
    client->answer = NULL;
    client->fd = -1;
    client->used = 0;
}

/* config.control(line): what to answer. Pushes it. */
static int call_handler(lua_State *L)
{
    const char *line = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "config.control");
    lua_call(L, 1, 1);
    lua_pushstring(L, line);
    lua_call(L, 1, 1);
    size_t length;
    const char *answer = lua_tolstring(L, -1, &length);
    struct client *client =
        (struct client *)(void *)(line - offsetof(struct client, line));
    client->answer = answer ? malloc(length + 1) : NULL;
    if (client->answer) {
        memcpy(client->answer, answer, length);
        client->answer[length] = '\n';
        client->answer_size = length + 1;
        client->answered = 0;
    }
    return 0;
}

/* Sends what the client takes; true when nothing is left. */
static bool send_answer(struct client *client)
{
    while (client->answer && client->answered < client->answer_size) {
        ssize_t n =
            send(client->fd, client->answer + client->answered,
                 client->answer_size - client->answered, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            wait_for(client, POLLOUT);
            return false;
        }
        if (n < 0) {
            hang_up(client);
            return false;
        }
        client->answered += (size_t)n;
    }
    free(client->answer);
    client->answer = NULL;
    wait_for(client, POLLIN);
    return true;
}

/* Answers the first line of what has come; false when there is none yet. */
static bool answer_line(struct client *client)
{
    char *end = memchr(client->line, '\n', client->used);
    if (!end)
        return false;
    *end = 0;
    vm_protect(client->control->vm, call_handler, client->line, OWNER_FILE);
    size_t taken = (size_t)(end - client->line) + 1;
    client->used -= taken;
    memmove(client->line, client->line + taken, client->used);
    return true;
}

static void serve(void *user)
{
    struct client *client = user;
    bool ended = false;
    if (!send_answer(client))
        return;
    while (!ended && client->used < sizeof(client->line)) {
        ssize_t n = recv(client->fd, client->line + client->used,
                         sizeof(client->line) - client->used, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        ended = n <= 0;
        client->used += n > 0 ? (size_t)n : 0;
    }
    while (answer_line(client)) /* also of one that has said all and listens */
        if (!send_answer(client))
            return;
    if (ended || client->used == sizeof(client->line))
        hang_up(client);
}

static void greet(void *user)
{
    struct control *control = user;
    int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    for (int i = 0; i < CLIENTS; i++)
        if (control->clients[i].fd < 0) {
            control->clients[i].fd = fd;
            wait_for(&control->clients[i], POLLIN);
            return;
        }
    close(fd);
}

/* --- the socket --------------------------------------------------------------------------- */

static int listen_at(struct control *control, const char *directory)
{
    struct sockaddr_un address;
    int at, error = address_of(directory, &address, &at);
    if (error)
        return error;
    control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control->fd < 0 || bind(control->fd, (void *)&address, sizeof(address)) ||
        fchmodat(at, "control", 0600, 0) || listen(control->fd, CLIENTS))
        error = -errno;
    close(at);
    return error;
}

struct control *control_open(struct vm *vm, const char *directory, struct error *err)
{
    struct control *control = calloc(1, sizeof(*control));
    control->vm = vm;
    control->fd = -1;
    for (int i = 0; i < CLIENTS; i++)
        control->clients[i] = (struct client){ .control = control, .fd = -1 };
    snprintf(control->path, sizeof(control->path), "%s/control", directory);
    int error = listen_at(control, directory);
    if (error) {
        error_set(err, ERROR_RUN, -error, "%s: %s", control->path, strerror(-error));
        if (control->fd >= 0)
            close(control->fd);
        free(control);
        return NULL;
    }
    engine_watch(vm->engine, control->fd, POLLIN, greet, control);
    return control;
}

void control_close(struct control *control)
{
    if (!control)
        return;
    for (int i = 0; i < CLIENTS; i++)
        if (control->clients[i].fd >= 0)
            hang_up(&control->clients[i]);
    engine_unwatch(control->vm->engine, control->fd);
    close(control->fd);
    unlink(control->path);
    free(control);
}

/* --- the other side ----------------------------------------------------------------------- */

static int send_all(int fd, const char *text, size_t length)
{
    while (length) {
        ssize_t n = send(fd, text, length, MSG_NOSIGNAL);
        if (n < 0)
            return -errno;
        text += n;
        length -= (size_t)n;
    }
    return 0;
}

/* One line; NULL with errno. */
static char *receive_line(int fd)
{
    size_t used = 0, size = 4096;
    char *line = malloc(size);
    while (line) {
        struct pollfd ready = { fd, POLLIN, 0 };
        int n = poll(&ready, 1, ANSWER_WAIT);
        if (!n)
            errno = ETIMEDOUT;
        ssize_t got = n > 0 ? recv(fd, line + used, size - used, 0) : -1;
        if (got <= 0 || used + (size_t)got > ANSWER_MAX) {
            errno = got ? errno : ECONNRESET;
            free(line);
            return NULL;
        }
        char *end = memchr(line + used, '\n', (size_t)got);
        used += (size_t)got;
        if (end) {
            *end = 0;
            return line;
        }
        if (used == size)
            line = realloc(line, size *= 2);
    }
    errno = ENOMEM;
    return NULL;
}

char *control_ask(const char *directory, const char *request, struct error *err)
{
    struct sockaddr_un address;
    char *answer = NULL;
    int at, fd = -1, error = address_of(directory, &address, &at);
    if (!error) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        error = fd < 0 || connect(fd, (void *)&address, sizeof(address)) ? -errno : 0;
        close(at);
    }
    if (!error)
        error = send_all(fd, request, strlen(request));
    if (!error)
        error = send_all(fd, "\n", 1);
    if (!error && !(answer = receive_line(fd)))
        error = -errno;
    if (fd >= 0)
        close(fd);
    if (error)
        error_set(err, error == -EACCES || error == -EPERM ? ERROR_PRIVILEGE : ERROR_RUN,
                  -error, "%s: %s", directory,
                  error == -ENOENT || error == -ECONNREFUSED ? "nothing runs there"
                                                             : strerror(-error));
    return answer;
}
