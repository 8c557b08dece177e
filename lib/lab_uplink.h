/* lab_uplink: what lab.c and lab_uplink.c share. */
#pragma once

struct lab;

/* Puts the caller's network back. Harmless when there is no uplink. */
void lab_uplink_free(struct lab *lab);
