/* journal: what a process changed on its host, to be put back even after kill -9.
 *
 *   journal_claim      take a run directory: one live process per name
 *   journal_release    give it back: remove it with its files
 *   journal_sweep      clean up after every dead process under a parent directory
 *   journal_open       begin the journal of this process
 *   journal_offloads   note an interface's offloads, to be called before changing them
 *   journal_stamps     ... which packets its clock stamps
 *   journal_forwarding ... whether this host forwards IPv4
 *   journal_undo       put everything noted so far back
 *   journal_close      undo, remove the file, free
 *   journal_recover    do what a dead process could no longer do
 *
 * A process has a run directory of its own, such as /run/vanguard/NAME/. In it lie
 *
 *   pid     "PID STARTTIME\n": who owns the directory
 *   undo    the journal: a header, then one line per change
 *
 *             vanguard-journal 1 pid PID starttime STARTTIME netns DEV:INO cookie COOKIE
 *             offloads IFNAME IFINDEX MASK
 *             stamps IFNAME IFINDEX TX_TYPE RX_FILTER
 *             forwarding VALUE
 *
 * all numbers decimal. STARTTIME is field 22 of /proc/PID/stat (clock ticks since boot),
 * which tells a process from a later one with its number; a zombie counts as dead.
 * DEV:INO names the network namespace; inode numbers are used again at once after a
 * namespace went away, so the kernel's COOKIE (SO_NETNS_COOKIE, socket(7); 0 before
 * Linux 5.14) goes with them.
 *
 * Invariants:
 *  - A line is in the file before its change is made, so a line may tell of a change that
 *    never happened, never the other way round.
 *  - Every line is absolute ("go back to this state"): undoing twice, or half and then
 *    again, is harmless.
 *  - Both files appear complete or not at all (written under another name, then linked).
 *  - Nothing is fsync'ed: the directory is on tmpfs, and host changes end with the boot
 * too.
 *  - Files of another user, symbolic links and malformed lines are refused.
 *
 * A change that cannot be put back is reported once; the journal is then removed all the
 * same, so that it does not fail every start to come. Only when privilege is wanting
 * (-EPERM) does it stay, for somebody who has it.
 *
 * Detach XDP programs before journal_undo: native XDP keeps a veth
 * peer's TSO and GSO off.
 */
#pragma once

struct error;
struct journal;

/* Makes directory (and its parent, one level) where missing, and notes this process as
 * its owner. Cleans up first what a dead owner left there, then sweeps the parent;
 * failures of that sweep concern others and are not reported (journal_sweep reports
 * them). Atomic among processes. -EEXIST with `NAME is already running (pid N)` when a
 * live process has it, be it this one; -EXDEV when a dead one left changes in another
 * network namespace that still exists. Other failures are those of journal_recover. */
int journal_claim(const char *directory, struct error *err);

/* Removes the directory that this process claimed with the files in it, its journal being
 * closed. -EPERM when it is somebody else's. */
int journal_release(const char *directory, struct error *err);

/* For every subdirectory of parent whose owner is dead: recovers its journal, then
 * removes it with the regular files and sockets in it. Never follows a symbolic link,
 * never descends further; directories of live processes, of other users, with a journal
 * of another network namespace, or with neither journal nor pid file are left alone.
 * Returns how many it removed, or the first failure after having tried all. A parent that
 * is not there is empty. */
int journal_sweep(const char *parent, struct error *err);

/* Begins a journal, after journal_recover on what may lie there. The caller has claimed
 * the directory. NULL when it fails. One journal belongs to one process and its network
 * namespace: it must be undone from the namespace it was opened in. */
struct journal *journal_open(const char *directory, struct error *err);

/* Notes the present offloads, the first time only for each interface (not name: what was
 * made again is another interface). -ENODEV when there is none of that name. */
int journal_offloads(struct journal *journal, const char *ifname, struct error *err);

/* The same for what lib/hardware_clock.h changes. */
int journal_stamps(struct journal *journal, const char *ifname, struct error *err);

/* The same for net.ipv4.ip_forward of this network namespace. */
int journal_forwarding(struct journal *journal, struct error *err);

/* Puts all back, latest first. An interface that was renamed gets its state back, one
 * that is gone is no error, and one that has its name but another index is left alone.
 * Tries everything, returns the first failure. Noting may go on afterwards. */
int journal_undo(struct journal *journal, struct error *err);

/* Undoes, removes the file, frees journal (may be NULL) in any case. */
int journal_close(struct journal *journal, struct error *err);

/* 1 when something was undone, 0 when there was nothing to do; both leave no journal
 * behind. -EBUSY when the owner lives, -EXDEV when the journal tells of changes in another
 * network namespace than ours: the file is left alone. -EBADMSG when it is not a journal (left
 * alone) or has malformed lines (skipped, the others undone, the file removed); -EPERM
 * when it is not a file of this user. */
int journal_recover(const char *directory, struct error *err);
