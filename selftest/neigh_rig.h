/* neigh_rig: a NeighSync between a real kernel's neighbour table and a real redis-server.
 *
 *   neigh_start       namespace, interface Ethernet0, Redis; false: cannot be had here
 *   neigh_begin       ... and a NeighSync without parameters that has settled
 *   neigh_run         the NeighSync starts, with parameters NAME, TEXT ..., NULL
 *   neigh_stop_app    ... and stops
 *   neigh_change   RTM_NEWNEIGH or RTM_DELNEIGH
 *   neigh_settle      until nothing more happens: all told and answered, and popped
 *   neigh_until       breathes until a counter has reached a value
 *   neigh_popped      what the consumer popped of a key since neigh_forget: "S mac", "D", ""
 *   neigh_expect      what was popped of a key, and that its row is so
 *   neigh_row         a field of a row of NEIGH_TABLE, "" when there is none
 *   neigh_many, neigh_equal   many neighbours; is the table what the kernel has?
 *   neigh_redis       a command; neigh_redis_text: its answer as text
 *   neigh_redis_kill, neigh_redis_start      it has what it saved last, by SAVE
 *   neigh_logged      lines of the app that have such a text
 *   neigh_end         stops everything
 */
#pragma once
#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "selftest/neigh_consumer.h"
#include "selftest/private_network.h"

/* Addresses that neighbours have here. */
#define MAC  "00:01:02:aa:bb:cc"
#define MAC2 "00:01:02:aa:bb:dd"
extern const uint8_t mac1[6], mac2[6];

bool neigh_start(void);
/* ... and a NeighSync that has told all there is, which is forgotten. */
bool neigh_begin(void);
void neigh_end(void);
void neigh_run(const char *name, ...);
void neigh_stop_app(void);

/* state: NUD_*; mac: of so many bytes, or NULL. Returns 0 or -errno. */
int neigh_change(bool add, const char *ifname, const char *ip, uint16_t state,
                 uint8_t flags, const void *mac, size_t size);
/* NEW with the MAC address 00:01:02:aa:bb:cc. */
void neigh_add(const char *ifname, const char *ip, uint16_t state);
void neigh_delete(const char *ifname, const char *ip);

void neigh_settle(void);
/* With neigh_clock, which is chosen before neigh_run, the app's clock stands still but for this:
 * a test of 20 s takes 2. */
extern bool neigh_clock;
void neigh_breathe(unsigned milliseconds);
unsigned neigh_logged(const char *text);
void neigh_until(const char *counter, uint64_t least);
uint64_t neigh_counter(const char *counter);
const char *neigh_popped(const char *key);
unsigned neigh_times(const char *key); /* popped since neigh_forget */
void neigh_forget(void);
const char *neigh_row(const char *key, const char *field);
/* All is told, and what was popped of the key is that: "S MAC", which its row has, "D" or "", and
 * there is no row. Then it is forgotten. */
void neigh_expect(const char *key, const char *what);
long neigh_rows(void);
/* So many of Ethernet0, from 10.1.0.0 on: NEW with that MAC address, or DEL with NULL. */
void neigh_many(unsigned first, unsigned count, const uint8_t *mac);
/* NEIGH_TABLE is what the kernel has: every permanent neighbour, no other, the same MAC
 * addresses. Returns how many. */
unsigned neigh_equal(void);

/* Waits until consumed = false is set to pop nothing. */
extern bool neigh_consumes;
extern struct consumer neigh_orchagent;
extern struct engine *neigh_engine;
extern const char *neigh_socket;

__attribute__((format(printf, 1, 2))) redisReply *neigh_redis(const char *format, ...);
__attribute__((format(printf, 1, 2))) void neigh_do(const char *format, ...);
__attribute__((format(printf, 1, 2))) const char *neigh_text(const char *format, ...);
void neigh_redis_kill(void);
void neigh_redis_start(void);
/* So many microseconds to read each key that it had saved; not waited for. */
void neigh_redis_start_slowly(unsigned microseconds);
void neigh_redis_stop(bool stop); /* SIGSTOP, SIGCONT */
