#!/usr/bin/python3
"""load: traffic for VxlanNat until it is stopped, or for so long.

    load.py SRC RATE SECONDS BAD

RATE frames a second by s0, of which one in BAD is damaged (0: none), spread over some flows. Ends early on
SIGTERM. Prints how many there were, and how many of them were damaged.
"""
import random
import signal
import sys
import time

from wires import INNER, TALKERS, Wire, in_tunnel, ip

from scapy.all import ICMP, Ether, Raw, TCP, UDP, fragment, raw

RANDOM = random.Random(3)
KINDS = 997  # frames, over and over: a prime, so that each is a damaged one at some time


def good(i):
    # what answers to UDP would be an ICMP error each
    layer = (UDP(sport=5000 + i % 40, dport=8080), TCP(sport=6000 + i % 20, dport=8080, seq=RANDOM.getrandbits(32)),
             ICMP(id=7 + i % 3, seq=i))[i % 3]
    return in_tunnel(raw(Ether(**INNER) / ip(4, TALKERS[4]) / layer / Raw(RANDOM.randbytes(RANDOM.randrange(1200)))))


def damaged(frame):
    frame = bytearray(frame)
    kind = RANDOM.randrange(3)
    if kind == 0:
        del frame[RANDOM.randrange(15, len(frame)):]
    else: # one bit of the headers, outside those that say whose it is
        at = RANDOM.randrange(14, 90)
        frame[at] ^= 1 << RANDOM.randrange(8)
    return bytes(frame)


def early():
    """A fragment without the first one."""
    packet = Ether(**INNER) / ip(4, TALKERS[4], id=RANDOM.randrange(1, 65536)) / UDP(sport=1, dport=8080) / Raw(bytes(600))
    return in_tunnel(raw(fragment(packet, 400)[1]))


def main(src, rate, seconds, bad):
    wire, running = Wire(src, "s0"), True

    def end(*_):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, end)
    frames = [good(i) for i in range(KINDS)]
    wrong = [damaged(frame) for frame in frames] + [early() for _ in range(40)] if bad else []
    sent, broken, began = 0, 0, time.monotonic()
    print("ready", flush=True)
    while running and (now := time.monotonic() - began) < seconds:
        due = min(int(now * rate), sent + 200) # what a pause of the machine held up is not made up for at once
        while sent < due:
            if bad and sent % bad == 0:
                wire.send(wrong[broken % len(wrong)])
                broken += 1
            else:
                wire.send(frames[sent % KINDS])
            sent += 1
        time.sleep(0.001)
    print(sent, broken)


main(sys.argv[1], *map(int, sys.argv[2:5]))
