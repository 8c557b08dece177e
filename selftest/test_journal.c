/* journal: what a killed process changed is put back, and nothing else is. */
#include "lib/journal.h"

#include "lib/owner.h"
#include "selftest/journal_fixture.h"
#include "selftest/selftest.h"

#include <linux/capability.h>
#include <stdint.h>
#include <sys/syscall.h>

/* A journal of a process that is surely dead (its number is ours, its start is not),
 * about this network namespace, with these lines. */
static void write_journal(const char *lines, size_t length)
{
    char text[40000];
    struct owner self;
    struct netns netns;
    ck_assert_int_eq(owner_self(&self, NULL), 0);
    ck_assert_int_eq(netns_self(&netns, NULL), 0);
    int used =
        snprintf(text, sizeof(text),
                 "vanguard-journal 1 pid %d starttime %ju netns %ju:%ju cookie %ju\n",
                 self.pid, (uintmax_t)self.starttime + 1, (uintmax_t)netns.device,
                 (uintmax_t)netns.inode, (uintmax_t)netns.cookie);
    ck_assert_uint_lt((size_t)used + length, sizeof(text));
    memcpy(text + used, lines, length);
    write_file(undo, text, (size_t)used + length);
}

static void write_journal_for(const char *name, unsigned mask)
{
    struct interface i;
    char line[64];
    ck_assert_int_eq(interface_query(name, &i, NULL), 0);
    int length = snprintf(line, sizeof(line), "offloads %s %u %u\n", name, i.index, mask);
    write_journal(line, (size_t)length);
}

/* ---- a process that lives ---------------------------------------------------------- */

START_TEST(noted_and_undone)
{
    struct error err = { 0 };
    struct interface i;
    struct stat st;
    char line[64];
    if (!network())
        return;
    struct journal *journal = journal_open(directory, &err);
    ck_assert_msg(journal != NULL, "%s", err.text);
    ck_assert_int_eq(lstat(undo, &st), 0);
    ck_assert_uint_eq(st.st_mode, S_IFREG | 0600);
    ck_assert_int_eq(journal_offloads(journal, "veth0", &err), 0);
    set_offloads("veth0", 0);
    ck_assert_int_eq(journal_offloads(journal, "veth0", &err), 0); /* no second line */
    ck_assert_int_eq(journal_offloads(journal, "veth9", &err), -ENODEV);

    ck_assert_int_eq(interface_query("veth0", &i, &err), 0);
    snprintf(line, sizeof(line), "\noffloads veth0 %u %u\n", i.index, INITIAL);
    const char *text = file_text(undo);
    ck_assert_int_eq(strncmp(text, "vanguard-journal 1 pid ", 23), 0);
    ck_assert_str_eq(strchr(text, '\n'), line);

    ck_assert_int_eq(journal_close(journal, &err), 0);
    ck_assert_uint_eq(offloads_of("veth0"), INITIAL);
    ck_assert(!there(undo));
    ck_assert_int_eq(journal_close(NULL, &err), 0);
}
END_TEST

START_TEST(undone_and_noted_again)
{
    if (!network())
        return;
    struct journal *journal = journal_open(directory, NULL);
    ck_assert_ptr_nonnull(journal);
    for (unsigned round = 0; round < 2; round++) {
        unsigned before = round ? OFFLOAD_GRO : INITIAL;
        set_offloads("veth0", before);
        ck_assert_int_eq(journal_offloads(journal, "veth0", NULL), 0);
        ck_assert_int_eq(journal_offloads(journal, "veth1", NULL), 0);
        set_offloads("veth0", 0);
        set_offloads("veth1", 0);
        ck_assert_int_eq(journal_undo(journal, NULL), 0);
        ck_assert_uint_eq(offloads_of("veth0"), before);
        ck_assert_uint_eq(offloads_of("veth1"), INITIAL);
    }
    set_offloads("veth0", 0);
    ck_assert_int_eq(journal_close(journal, NULL), 0);
    ck_assert_uint_eq(offloads_of("veth0"), 0); /* was not noted since */
}
END_TEST

/* In another namespace, "veth0" would be somebody else's. */
START_TEST(undone_from_home_only)
{
    if (!network())
        return;
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    struct journal *journal = journal_open(directory, NULL);
    ck_assert_ptr_nonnull(journal);
    ck_assert_int_eq(journal_offloads(journal, "veth0", NULL), 0);
    set_offloads("veth0", 0);
    ck_assert(network());
    ck_assert_int_eq(journal_offloads(journal, "veth0", NULL), -EXDEV);
    ck_assert_int_eq(journal_undo(journal, NULL), -EXDEV);
    ck_assert_int_eq(setns(home, CLONE_NEWNET), 0);
    ck_assert_int_eq(journal_close(journal, NULL), 0);
    ck_assert_uint_eq(offloads_of("veth0"), INITIAL);
    close(home);
}
END_TEST

/* ---- a process that died ----------------------------------------------------------- */

START_TEST(recovered_after_kill)
{
    struct error err = { 0 };
    if (!network())
        return;
    pid_t child = fork_acting(change_offloads);
    ck_assert_uint_eq(offloads_of("veth0"), 0);
    killed(child);
    int status = journal_recover(directory, &err);
    ck_assert_msg(status == 1, "%d %s", status, err.text);
    ck_assert_uint_eq(offloads_of("veth0"), INITIAL);
    ck_assert(!there(undo));
    ck_assert_int_eq(journal_recover(directory, &err), 0);
}
END_TEST

START_TEST(zombie_is_dead)
{
    siginfo_t info;
    if (!network())
        return;
    pid_t child = fork_acting(change_offloads);
    kill(child, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(journal_recover(directory, NULL), 1);
    ck_assert_uint_eq(offloads_of("veth0"), INITIAL);
    waitpid(child, NULL, 0);
}
END_TEST

START_TEST(live_owner_is_left_alone)
{
    struct error err;
    if (!network())
        return;
    pid_t child = fork_acting(change_offloads);
    ck_assert_int_eq(journal_recover(directory, &err), -EBUSY);
    ck_assert_ptr_nonnull(strstr(err.text, "is alive"));
    ck_assert_ptr_null(journal_open(directory, &err));
    ck_assert_uint_eq(offloads_of("veth0"), 0);
    ck_assert(there(undo));
    killed(child);
}
END_TEST

START_TEST(process_number_used_again)
{
    if (!network())
        return;
    set_offloads("veth0", 0);
    write_journal_for("veth0", INITIAL);
    ck_assert_int_eq(journal_recover(directory, NULL), 1);
    ck_assert_uint_eq(offloads_of("veth0"), INITIAL);
}
END_TEST

START_TEST(open_recovers)
{
    if (!network())
        return;
    killed(fork_acting(change_offloads));
    struct journal *journal = journal_open(directory, NULL);
    ck_assert_ptr_nonnull(journal);
    ck_assert_uint_eq(offloads_of("veth0"), INITIAL);
    ck_assert_int_eq(journal_close(journal, NULL), 0);
}
END_TEST

START_TEST(interface_made_again_is_left_alone)
{
    struct error err = { 0 };
    if (!network())
        return;
    killed(fork_acting(change_offloads));
    shell("ip link del veth0 && ip link add veth0 index 77 type veth peer name veth1");
    set_offloads("veth0", OFFLOAD_GRO);
    int status = journal_recover(directory, &err);
    ck_assert_msg(status == 0, "%d %s", status, err.text);
    ck_assert_uint_eq(offloads_of("veth0"), OFFLOAD_GRO);
    ck_assert(!there(undo));
}
END_TEST

START_TEST(interface_gone_or_renamed)
{
    if (!network())
        return;
    struct journal *journal = journal_open(directory, NULL);
    ck_assert_ptr_nonnull(journal);
    shell("ip link add gone0 type veth peer name gone1");
    ck_assert_int_eq(journal_offloads(journal, "veth0", NULL), 0);
    ck_assert_int_eq(journal_offloads(journal, "gone0", NULL), 0);
    set_offloads("veth0", 0);
    shell("ip link del gone0 && ip link set veth0 name wan");
    ck_assert_int_eq(journal_close(journal, NULL), 0);
    ck_assert_uint_eq(offloads_of("wan"), INITIAL);
}
END_TEST

START_TEST(latest_is_undone_first)
{
    struct interface i;
    char lines[128];
    if (!network())
        return;
    ck_assert_int_eq(interface_query("veth0", &i, NULL), 0);
    int length =
        snprintf(lines, sizeof(lines), "offloads veth0 %u %u\noffloads veth0 %u 0\n",
                 i.index, OFFLOAD_GRO, i.index);
    write_journal(lines, (size_t)length);
    ck_assert_int_eq(journal_recover(directory, NULL), 1);
    ck_assert_uint_eq(offloads_of("veth0"), OFFLOAD_GRO);
}
END_TEST

START_TEST(other_namespace_is_left_alone)
{
    struct error err;
    if (!network())
        return;
    set_offloads("veth0", OFFLOAD_GRO);
    killed(fork_acting(change_elsewhere));
    ck_assert_int_eq(journal_recover(directory, &err), -EXDEV);
    ck_assert_ptr_null(journal_open(directory, &err));
    ck_assert_int_eq(journal_sweep(parent, &err), 0);
    ck_assert_uint_eq(offloads_of("veth0"), OFFLOAD_GRO);
    ck_assert(there(undo));
}
END_TEST

/* The inode number of a dead namespace goes to the next one. */
START_TEST(namespace_number_used_again)
{
    struct netns ours;
    if (!network())
        return;
    set_offloads("veth0", OFFLOAD_GRO);
    write_journal_for("veth0", INITIAL);
    ck_assert_int_eq(netns_self(&ours, NULL), 0);
    if (ours.cookie == 0) {
        fprintf(stderr, "SKIPPED: this kernel has no namespace cookies\n");
        return;
    }
    char *text = file_text(undo), *end = strchr(text, '\n');
    ck_assert_ptr_nonnull(end);
    end[-1] = end[-1] == '9' ? '8' : (char)(end[-1] + 1); /* the cookie */
    write_file(undo, text, strlen(text));
    ck_assert_int_eq(journal_recover(directory, NULL), -EXDEV);
    ck_assert_uint_eq(offloads_of("veth0"), OFFLOAD_GRO);
}
END_TEST

static void effective(uint32_t capabilities, bool on)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];
    ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
    data[0].effective =
        on ? data[0].effective | capabilities : data[0].effective & ~capabilities;
    ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

START_TEST(journal_stays_without_privilege)
{
    struct error err = { 0 };
    if (!network())
        return;
    killed(fork_acting(change_offloads));
    effective(1u << CAP_NET_ADMIN, false);
    ck_assert_int_eq(journal_recover(directory, &err), -EPERM);
    ck_assert_int_eq(err.kind, ERROR_PRIVILEGE);
    ck_assert_ptr_nonnull(strstr(err.text, "needs CAP_NET_ADMIN"));
    ck_assert(there(undo));
    effective(1u << CAP_NET_ADMIN, true);
    ck_assert_int_eq(journal_recover(directory, &err), 1);
    ck_assert_uint_eq(offloads_of("veth0"), INITIAL);
}
END_TEST

/* lo cannot be without tx checksumming: reported once, not at every start to come. */
START_TEST(refusal_is_reported_once)
{
    struct error err = { 0 };
    if (!network())
        return;
    write_journal_for("lo", 0);
    ck_assert_int_eq(journal_recover(directory, &err), -EOPNOTSUPP);
    ck_assert_ptr_nonnull(strstr(err.text, "lo refuses"));
    ck_assert_int_eq(journal_recover(directory, &err), 0);
}
END_TEST

/* ---- hostile files ----------------------------------------------------------------- */

/* A veth stamps nothing: what a journal says of that is tried, and reported once. One that
 * is gone needs nothing. */
START_TEST(stamps_of_a_device)
{
    char lines[128];
    struct error err;
    struct interface veth;
    if (!network())
        return;
    ck_assert_int_eq(interface_query("veth0", &veth, NULL), 0);
    int length = snprintf(lines, sizeof(lines), "stamps veth0 %u 0 1\n", veth.index);
    write_journal(lines, (size_t)length);
    ck_assert_int_eq(journal_recover(directory, &err), -EOPNOTSUPP);
    ck_assert_ptr_nonnull(strstr(err.text, "veth0 does not stamp packets"));
    ck_assert(!there(undo));
    shell("ip link del veth0");
    write_journal(lines, (size_t)length);
    ck_assert_int_eq(journal_recover(directory, &err), 0);
    static const char *const bad[] = { "stamps veth0 1 0\n", "stamps veth0 0 0 0\n",
                                       "stamps veth0 1 0 0 0\n",
                                       "stamps veth0 1 0 4294967296\n" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_journal(bad[i], strlen(bad[i]));
        ck_assert_int_eq(journal_recover(directory, &err), -EBADMSG);
    }
}
END_TEST

START_TEST(bad_lines_are_skipped)
{
    static const char *const bad[] = {
        "",
        "offloads",
        "offloads ",
        "offloads veth0",
        "offloads veth0 %u",
        "offloads veth0 %u 16",
        "offloads veth0 %u 99999999999999999999999",
        "offloads veth0 %u -1",
        "offloads veth0 %u 0x0",
        "offloads veth0 %u 0 ",
        "offloads veth0 %u 0 0",
        "offloads veth0  %u 0",
        "offloads  %u 0",
        "offloads sixteen-byte-nam %u 0",
        "offloads veth0 0 0",
        "offloads veth0 -%u 0",
        "offloads veth0 4294967296 0",
        " offloads veth0 %u 0",
        "OFFLOADS veth0 %u 0",
        "offload veth0 %u 0",
        "offloadss veth0 %u 0",
        "flags veth0 %u 0",
        "vanguard-journal 1 pid 1 starttime 1 netns 1:1 cookie 1",
    };
    struct interface i;
    struct error err;
    if (!network())
        return;
    ck_assert_int_eq(interface_query("veth0", &i, NULL), 0);
    for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        char lines[256];
        int used =
            snprintf(lines, sizeof(lines), "offloads veth0 %u %u\n", i.index, INITIAL);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
        used += snprintf(lines + used, sizeof(lines) - (size_t)used, bad[n], i.index);
#pragma GCC diagnostic pop
        used += snprintf(lines + used, sizeof(lines) - (size_t)used, "\n");
        set_offloads("veth0", OFFLOAD_GRO);
        write_journal(lines, (size_t)used);
        ck_assert_msg(journal_recover(directory, &err) == -EBADMSG, "row %zu", n);
        ck_assert_ptr_nonnull(strstr(err.text, "malformed line"));
        ck_assert_msg(offloads_of("veth0") == INITIAL, "row %zu", n);
        ck_assert(!there(undo));
    }
}
END_TEST

START_TEST(torn_line_and_zero_byte)
{
    struct interface i;
    char lines[256];
    if (!network())
        return;
    ck_assert_int_eq(interface_query("veth0", &i, NULL), 0);
    int used = snprintf(lines, sizeof(lines), "offloads veth0 %u %u\noffloads veth0 %u 1",
                        i.index, INITIAL, i.index);
    set_offloads("veth0", 0);
    write_journal(lines, (size_t)used); /* killed while it wrote 15 */
    ck_assert_int_eq(journal_recover(directory, NULL), 1);
    ck_assert_uint_eq(offloads_of("veth0"), INITIAL);

    used = snprintf(lines, sizeof(lines), "offloads veth0 %u 0%c0\n", i.index, 0);
    write_journal(lines, (size_t)used);
    ck_assert_int_eq(journal_recover(directory, NULL), -EBADMSG);
    ck_assert_uint_eq(offloads_of("veth0"), INITIAL);
}
END_TEST

START_TEST(bad_headers)
{
    static const char *const bad[] = {
        "",
        "\n",
        "vanguard-journal 0 pid 1 starttime 1 netns 1:1 cookie 1\n",
        "vanguard-journal 2 pid 1 starttime 1 netns 1:1 cookie 1\n",
        "vanguard-journal 1 pid 0 starttime 1 netns 1:1 cookie 1\n",
        "vanguard-journal 1 pid -1 starttime 1 netns 1:1 cookie 1\n",
        "vanguard-journal 1 pid 4294967297 starttime 1 netns 1:1 cookie 1\n",
        "vanguard-journal 1 pid 1 starttime 99999999999999999999 netns 1:1 cookie 1\n",
        "vanguard-journal 1 pid 1 starttime 1 netns 1 cookie 1\n",
        "vanguard-journal 1 pid 1 starttime 1 netns 1:1\n",
        "vanguard-journal 1 pid 1 starttime 1 netns 1:1 cookie 1 \n",
        "vanguard-journal 1 pid 1 starttime 1 netns 1:1 cookie 1",
        "offloads veth0 1 0\n",
    };
    struct error err;
    for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        write_file(undo, bad[n], strlen(bad[n]));
        ck_assert_msg(journal_recover(directory, &err) == -EBADMSG, "row %zu", n);
        ck_assert_ptr_nonnull(strstr(err.text, "undo is not a journal"));
        ck_assert_ptr_null(journal_open(directory, &err));
        ck_assert(there(undo));
    }
}
END_TEST

START_TEST(refused_files)
{
    struct error err;
    char other[128];
    if (!network())
        return;
    set_offloads("veth0", 0);
    write_journal_for("veth0", INITIAL);
    ck_assert_int_eq(chmod(undo, 0620), 0);
    ck_assert_int_eq(journal_recover(directory, &err), -EPERM);
    ck_assert_int_eq(chmod(undo, 0600), 0);
    ck_assert_int_eq(chown(undo, 65534, 65534), 0);
    ck_assert_int_eq(journal_recover(directory, &err), -EPERM);
    ck_assert_int_eq(chown(undo, 0, 0), 0);

    snprintf(other, sizeof(other), "%s/other", parent);
    ck_assert_int_eq(rename(undo, other), 0);
    ck_assert_int_eq(symlink(other, undo), 0);
    ck_assert_int_eq(journal_recover(directory, &err), -ELOOP);
    ck_assert_int_eq(unlink(undo), 0);
    ck_assert_int_eq(mkfifo(undo, 0600), 0);
    ck_assert_int_eq(journal_recover(directory, &err), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
    ck_assert_int_eq(unlink(undo), 0);

    static char large[33000];
    memset(large, '\n', sizeof(large));
    write_journal(large, sizeof(large));
    ck_assert_int_eq(journal_recover(directory, &err), -EFBIG);
    ck_assert_int_eq(rename(other, undo), 0);
    ck_assert_int_eq(chown(directory, 65534, 65534), 0);
    ck_assert_int_eq(journal_recover(directory, &err), -EPERM);
    ck_assert_uint_eq(offloads_of("veth0"), 0);
    ck_assert_int_eq(chown(directory, 0, 0), 0);
    ck_assert_int_eq(journal_recover(directory, &err), 1); /* it was good all the time */
}
END_TEST

static Suite *suite_journal(void)
{
    Suite *suite = suite_create("journal");
    TCase *tests = tcase_create("journal");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, noted_and_undone);
    tcase_add_test(tests, undone_and_noted_again);
    tcase_add_test(tests, undone_from_home_only);
    tcase_add_test(tests, recovered_after_kill);
    tcase_add_test(tests, zombie_is_dead);
    tcase_add_test(tests, live_owner_is_left_alone);
    tcase_add_test(tests, process_number_used_again);
    tcase_add_test(tests, open_recovers);
    tcase_add_test(tests, interface_made_again_is_left_alone);
    tcase_add_test(tests, interface_gone_or_renamed);
    tcase_add_test(tests, latest_is_undone_first);
    tcase_add_test(tests, other_namespace_is_left_alone);
    tcase_add_test(tests, namespace_number_used_again);
    tcase_add_test(tests, journal_stays_without_privilege);
    tcase_add_test(tests, refusal_is_reported_once);
    tcase_add_test(tests, stamps_of_a_device);
    tcase_add_test(tests, bad_lines_are_skipped);
    tcase_add_test(tests, torn_line_and_zero_byte);
    tcase_add_test(tests, bad_headers);
    tcase_add_test(tests, refused_files);
    suite_add_tcase(suite, tests);
    return suite;
}
SUITE(journal)
