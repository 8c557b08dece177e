/* test_live: parameters of a running graph, changed from Lua and from another process. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/control.h"
#include "config/run_directory.h"
#include "config/vm.h"
#include "selftest/selftest.h"

static const char graph[] = "local c = config.new()\n"
                            "config.app(c, 'source', Source, { size = 60 })\n"
                            "config.app(c, 'wan', Clumsy, { owd = '1ms' })\n"
                            "config.app(c, 'sink', Sink)\n"
                            "config.chain(c, 'source', 'wan', 'sink')\n"
                            "engine.configure(c)\n";

static struct vm *new_vm(void)
{
    struct vm_options options = { 0 };
    struct error err;
    struct vm *vm = vm_new(&options, &err);
    ck_assert_msg(vm != NULL, "%s", err.text);
    return vm;
}

static void run(struct vm *vm, const char *text)
{
    struct error err;
    ck_assert_msg(!vm_run_text(vm, "test.lua", text, strlen(text), &err), "%s", err.text);
}

static struct vm *new_graph(void)
{
    struct vm *vm = new_vm();
    run(vm, "engine.setup { virtual_time = true, seed = 1 }");
    run(vm, graph);
    return vm;
}

START_TEST(test_get_and_set)
{
    struct vm *vm = new_graph();
    run(vm,
        "assert(engine.get('wan.owd') == '1ms')\n"
        "assert(engine.get('wan.loss') == '{}')\n"
        "engine.breathe(3)\n"
        "local n = engine.app('wan').counters.packets\n"
        "local changes = engine.set('wan.loss.p', '5%')\n"
        "assert(#changes == 1 and changes[1].path == 'wan.loss.p')\n"
        "assert(changes[1].before == '0%' and changes[1].after == '5%')\n"
        "assert(n > 0 and changes[1].packets == n)\n"
        "assert(engine.get('wan.loss') == '5%')\n"
        "engine.set('wan.loss.burst', 3)\n"
        "assert(engine.get('wan.loss') == '{ p = 5%, burst = 3 }')\n"
        "engine.set { ['wan.loss'] = '2%', ['wan.owd'] = '20ms', ['source.size'] = 100 }\n"
        "assert(engine.get('wan.loss') == '2%' and engine.get('wan.owd') == '20ms')\n"
        "assert(engine.get('source.size') == '100b' or engine.get('source.size') == '100')\n"
        "assert(engine.app('wan').counters.packets == n)");
    vm_free(vm);
}
END_TEST

/* A change resets no stream: what is lost later is what would have been lost. */
START_TEST(test_streams_go_on)
{
    struct vm *vm = new_graph();
    run(vm, "local function losses (disturb)\n"
            "   local c = config.new()\n"
            "   engine.configure(c)\n"
            "   config.app(c, 'source', Source, { size = 60 })\n"
            "   config.app(c, 'wan', Clumsy, { owd = '1ms', loss = '10%' })\n"
            "   config.app(c, 'sink', Sink)\n"
            "   config.chain(c, 'source', 'wan', 'sink')\n"
            "   engine.configure(c)\n"
            "   for i = 1, 20 do\n"
            "      engine.breathe(1)\n"
            "      if disturb then engine.set('wan.owd', i .. 'ms') end\n"
            "   end\n"
            "   return engine.app('wan').counters.drop_loss\n"
            "end\n"
            "local straight = losses(false)\n"
            "assert(straight > 50 and losses(true) == straight)");
    vm_free(vm);
}
END_TEST

static const char *const mistakes[][2] = {
    { "engine.set('wan.loss.p', '500%')",
      "app \"wan\" (Clumsy): loss.p: 500% is not within 0%..100%" },
    { "engine.set('wan.los', '5%')",
      "app \"wan\" (Clumsy): no parameter \"los\" (did you mean \"loss\"?)" },
    { "engine.set('van.loss', '5%')", "\"van.loss\": no such app" },
    { "engine.set('wan', '5%')", "\"wan\": no such app" },
    { "engine.set { 5 }", "engine.set: { [\"app.parameter\"] = value }" },
    { "engine.set { ['wan.owd'] = '9ms', ['wan.jitter'] = { half = '1ms', sd = '1ms' } }",
      "jitter: half (uniform) and sd" },
    { "engine.get('wan.nothing')", "no parameter \"nothing\"" },
};

/* Several changes are one: with one that is wrong nothing has changed. */
START_TEST(test_mistakes)
{
    struct vm *vm = new_graph();
    struct error err;
    const char *text = mistakes[_i][0];
    ck_assert_int_lt(vm_run_text(vm, "test.lua", text, strlen(text), &err), 0);
    ck_assert_msg(strstr(err.text, mistakes[_i][1]), "%s", err.text);
    run(vm,
        "assert(engine.get('wan.owd') == '1ms' and engine.get('wan.jitter') == '{}')\n"
        "engine.breathe(1)");
    vm_free(vm);
}
END_TEST

/* --- from another process --------------------------------------------------------------- */

/* A child runs the graph under a name; the parent talks to it at path and then stops it. */
static pid_t start_server(char *path, size_t size)
{
    char name[32], text[1024];
    snprintf(name, sizeof(name), "selftest-live-%d", (int)getpid());
    setenv("XDG_RUNTIME_DIR", "/tmp", 1);
    char parent[PATH_MAX];
    snprintf(path, size, "%s/%s", run_directory_parent(parent, sizeof(parent)), name);
    pid_t child = fork();
    if (child)
        return child;
    struct vm *vm = new_vm();
    snprintf(text, sizeof(text),
             "engine.setup { name = '%s', seed = 1 }\n%s"
             "engine.main { duration = '30s', no_report = true }",
             name, graph);
    run(vm, text);
    vm_free(vm);
    _exit(0);
}

static char *ask(const char *path, const char *request)
{
    struct error err;
    char *answer = NULL;
    for (int i = 0; i < 500 && !answer; i++) { /* until it listens */
        answer = control_ask(path, request, &err);
        if (!answer)
            usleep(10000);
    }
    ck_assert_msg(answer != NULL, "%s", err.text);
    return answer;
}

static void expect(const char *path, const char *request, const char *part)
{
    char *answer = ask(path, request);
    ck_assert_msg(strstr(answer, part), "%s: %s", request, answer);
    free(answer);
}

START_TEST(test_socket)
{
    char path[PATH_MAX];
    pid_t child = start_server(path, sizeof(path));
    expect(path, "{\"command\":\"get\",\"paths\":[\"wan.owd\"]}", "\"value\":\"1ms\"");
    expect(path, "{\"command\":\"set\",\"values\":{\"wan.loss.p\":\"5%\"}}",
           "\"after\":\"5%\"");
    expect(path, "{\"command\":\"get\",\"paths\":[\"wan.loss\"]}", "\"value\":\"5%\"");
    expect(path, "{\"command\":\"set\",\"values\":{\"wan.loss.p\":\"x\"}}",
           "\"ok\":false");
    expect(path, "{\"command\":\"st\"}", "no command \\\"st\\\"");
    expect(path, "nonsense", "\"ok\":false");
    expect(path, "[]", "\"ok\":false");
    expect(path, "{\"command\":{\"a\":[]}}", "\"ok\":false");
    expect(path, "{\"command\":\"apps\"}", "\"class\":\"Clumsy\"");
    expect(path, "{\"command\":\"counters\",\"app\":\"sink\"}", "\"sink\":{");
    expect(path, "{\"command\":\"stop\"}", "\"ok\":true");
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    struct error err;
    ck_assert_ptr_null(control_ask(path, "{}", &err));
    ck_assert_msg(strstr(err.text, "nothing runs there"), "%s", err.text);
}
END_TEST

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (void *)&address, sizeof(address)), 0);
    return fd;
}

/* An endless line is hung up on, many clients are turned away, one that says nothing or goes
 * away in the middle harms nobody, several requests in one write are all answered, also when
 * they are the last. */
START_TEST(test_rude_clients)
{
    char path[PATH_MAX], block[4096];
    pid_t child = start_server(path, sizeof(path));
    free(ask(path, "{\"command\":\"apps\"}"));
    memset(block, 'x', sizeof(block));
    int fd = connect_to(path);
    ssize_t n = 1;
    for (int i = 0; i < 1000 && n > 0; i++)
        n = send(fd, block, sizeof(block), MSG_NOSIGNAL);
    ck_assert_int_lt(n, 0);
    close(fd);
    int many[20];
    for (int i = 0; i < 20; i++)
        many[i] = connect_to(path);
    ck_assert_int_gt(send(many[0], "{\"comm", 6, 0), 0);
    for (int i = 0; i < 20; i++)
        close(many[i]);
    fd = connect_to(path);
    static const char two[] = "{\"command\":\"apps\"}\n{\"command\":\"apps\"}\n";
    ck_assert_int_gt(send(fd, two, sizeof(two) - 1, 0), 0);
    for (int lines = 0; lines < 2;) {
        n = recv(fd, block, sizeof(block), 0);
        ck_assert_int_gt(n, 0);
        for (ssize_t i = 0; i < n; i++)
            lines += block[i] == '\n';
    }
    close(fd);
    fd = connect_to(path); /* who has nothing more to say gets the answers all the same */
    ck_assert_int_gt(send(fd, two, sizeof(two) - 1, 0), 0);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    int lines = 0;
    while ((n = recv(fd, block, sizeof(block), 0)) > 0)
        for (ssize_t i = 0; i < n; i++)
            lines += block[i] == '\n';
    ck_assert_int_eq(lines, 2);
    close(fd);
    expect(path, "{\"command\":\"stop\"}", "\"ok\":true");
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

static Suite *suite_live(void)
{
    Suite *suite = suite_create("live");
    TCase *tcase = tcase_create("live");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_get_and_set);
    tcase_add_test(tcase, test_streams_go_on);
    tcase_add_loop_test(tcase, test_mistakes, 0, sizeof(mistakes) / sizeof(mistakes[0]));
    tcase_add_test(tcase, test_socket);
    tcase_add_test(tcase, test_rude_clients);
    suite_add_tcase(suite, tcase);
    return suite;
}

SUITE(live)
