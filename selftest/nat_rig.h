/* nat_rig: a Nat between two ends, on a clock that only the test moves.
 *
 *   nat_setup, nat_teardown    a fixture; at the end every packet and mapping is accounted for
 *   NAT_CONFIGURE              other parameters: name, text, name, text ...
 *   nat_pass, nat_out          a frame from one side; what comes out at the other
 *   nat_answer                 what comes in when a packet that went out is answered
 *   nat_port                   a port, or the identifier of ICMP echo
 *   nat_sleep, nat_counter
 */
#pragma once
#include "selftest/frame_maker.h"
#include "selftest/support.h"

#define S 1000000000ull

extern struct engine *nat_engine;

void nat_setup(void);
void nat_teardown(void);

#define NAT_CONFIGURE(...) nat_configure((const char *const[]){ __VA_ARGS__, NULL })
void nat_configure(const char *const *settings);

/* NULL when nothing comes out; still the rig's, and valid until the end. */
struct packet *nat_pass_packet(bool out, struct packet *p);
struct packet *nat_pass(bool out, const uint8_t *frame, uint32_t length);
struct packet *nat_out(const struct made *made);
struct packet *nat_answer(const struct packet *p);

uint32_t nat_port(const struct packet *p, bool source);
void nat_sleep(uint64_t ns);
uint64_t nat_counter(const char *name);
