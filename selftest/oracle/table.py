#!/usr/bin/python3
"""table: frames at the edge of VXLAN, to a vxlan device of the kernel and to VxlanNat.

    table.py NAME SRC KERN DST

Each frame goes out by s1, and is accepted when it comes in by the device vx in KERN; and by s0, and is
accepted when something comes in by d0 in DST. What the kernel counts, and VxlanNat, is compared with the
table: the kernel is the witness of what the table says about it. NAME is what VxlanNat runs under, as
app nat.
"""
import sys

from program import Program
from wires import EGRESS, ENDS, INNER, OUTER, TALKERS, Wire, in_tunnel, ip, mark, marker, read_in

from scapy.all import (ARP, ICMP, Dot1Q, Ether, IP, IPv6, IPOption, IPv6ExtHdrHopByHop, PadN, Raw, UDP, fragment,
                       raw)
from scapy.layers.vxlan import VXLAN

ACCEPTED = "accepted"
STRICT, VERIFY, ZERO6 = "strict", "verify_csum", "udp6_zero"


def question(payload=b"question" * 10, **ethernet):
    return Ether(**{**INNER, **ethernet}) / ip(4, TALKERS[4]) / UDP(sport=9, dport=8080) / Raw(payload)


def patched(frame, at, *new):
    return frame[:at] + bytes(new) + frame[at + len(new):]


def outer(payload, family=4, udp=None, behind=None, **fields):
    """An outer frame with its own headers around a VXLAN header and what is in it."""
    header = ip(family, ENDS[family], **fields)
    if behind:
        header = header / behind
    return raw(Ether(**OUTER) / header / UDP(**{"sport": 50000, "dport": 4789, **(udp or {})}) / Raw(payload))


INSIDE = raw(question())
FRAME = in_tunnel(INSIDE)
VX = FRAME[42:]


def short(size):
    return outer(VX[:size], udp={"chksum": 0})


def fragments(*order, size=64):
    packet = Ether(**OUTER) / IP(src=ENDS[4][0], dst=ENDS[4][1], id=7) / UDP(sport=50000, dport=4789, chksum=0) / Raw(VX)
    pieces = [raw(piece) for piece in fragment(packet, size)]
    return [pieces[i] for i in order]


def resummed(frame):
    """With the right checksum in the outer IPv4 header."""
    packet = Ether(frame)
    del packet[IP].chksum
    return raw(packet)


# What is sent, what the kernel makes of it ("accepted" or the counter that rises), and what VxlanNat; of
# that, where a parameter changes it. `why` is there where both differ on purpose.
ROWS = [
    ("as it should be", FRAME, ACCEPTED, ACCEPTED, {}, ""),
    ("I flag 0", patched(FRAME, 42, 0), "InDatagrams", "drop_vx_noflag", {}, ""),
    *((f"another flag, {1 << bit:#04x}", patched(FRAME, 42, 8 | 1 << bit), "rx_errors", ACCEPTED,
       {STRICT: "drop_vx_reserved"}, "RFC 7348: reserved is ignored") for bit in (0, 1, 2, 4, 5, 6, 7)),
    ("reserved1", patched(FRAME, 43, 1), "rx_errors", ACCEPTED, {STRICT: "drop_vx_reserved"}, "RFC 7348: reserved is ignored"),
    ("reserved2", patched(FRAME, 49, 1), "rx_errors", ACCEPTED, {STRICT: "drop_vx_reserved"}, "RFC 7348: reserved is ignored"),
    ("GBP", patched(FRAME, 42, 0x88, 0, 0, 5), "rx_errors", ACCEPTED, {STRICT: "drop_vx_reserved"}, "RFC 7348: reserved is ignored"),
    ("VNI unknown", in_tunnel(INSIDE, vni=43), "InDatagrams", "drop_vx_vni", {}, ""),
    ("VNI 0", in_tunnel(INSIDE, vni=0), "InDatagrams", "drop_vx_vni", {}, ""),
    ("VNI 0xffffff", in_tunnel(INSIDE, vni=0xffffff), "InDatagrams", "drop_vx_vni", {}, ""),
    ("UDP checksum right", outer(VX), ACCEPTED, ACCEPTED, {}, ""),
    ("UDP checksum wrong", outer(VX, udp={"chksum": 0x1234}), "InCsumErrors", ACCEPTED,
     {VERIFY: "drop_udp_csum"}, "a mirror must lose nothing; verify_csum"),
    ("UDP checksum 0, IPv6", outer(VX, 6, udp={"chksum": 0}), "InCsumErrors6", "drop_udp6_zero", {ZERO6: ACCEPTED}, ""),
    ("UDP checksum right, IPv6", outer(VX, 6), ACCEPTED, ACCEPTED, {}, ""),
    ("IPv6 hop-by-hop", outer(VX, 6, behind=IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)])), ACCEPTED, ACCEPTED, {}, ""),
    ("IP options", outer(VX, udp={"chksum": 0}, options=[IPOption(b"\x01")] * 4), ACCEPTED, ACCEPTED, {}, ""),
    ("2 fragments", fragments(0, 1, size=128), ACCEPTED, ACCEPTED, {}, ""),
    ("3 fragments, the last one first", fragments(2, 1, 0), ACCEPTED, ACCEPTED, {}, ""),
    ("UDP length shorter than IP says", patched(resummed(patched(FRAME + b"\0" * 4, 16, 0, len(FRAME) - 10)), 38, *FRAME[38:40]),
     ACCEPTED, ACCEPTED, {}, ""),
    ("UDP length longer than IP says", patched(FRAME, 38, 0xff, 0xff), "InErrors", "drop_udp_len", {}, ""),
    ("UDP length 7", patched(FRAME, 38, 0, 7), "InErrors", "drop_udp_len", {}, ""),
    ("payload of 7 bytes", short(7), "InDatagrams", "drop_vx_short", {}, ""),
    ("payload of 0 bytes", short(0), "InDatagrams", "drop_vx_short", {}, ""),
    ("VXLAN header only", short(8), "InDatagrams", "drop_in_short", {}, ""),
    ("inner 13 bytes", short(8 + 13), "InDatagrams", "drop_in_short", {}, ""),
    ("inner 14 bytes", short(8 + 14), "rx_errors", "drop_in_short", {}, ""),
    ("inner source MAC multicast", in_tunnel(raw(question(src="03:00:00:00:42:01"))), "silent", "drop_in_mac", {}, ""),
    ("inner source MAC zero", in_tunnel(raw(question(src="00:00:00:00:00:00"))), "silent", "drop_in_mac", {}, ""),
    ("inner source MAC the device's own", in_tunnel(raw(question(src=INNER["dst"]))), "silent", ACCEPTED, {},
     "there is no device whose own it could be"),
    ("inner destination MAC foreign", in_tunnel(raw(question(dst="02:00:00:00:42:77"))), ACCEPTED, ACCEPTED, {}, ""),
    ("inner VLAN tag", in_tunnel(raw(Ether(**INNER) / Dot1Q(vlan=7) / question()[IP])), ACCEPTED, "drop_in_vlan", {},
     "RFC 7348, 6.1: should be discarded; inner_vlan"),
    ("inner ARP", in_tunnel(raw(Ether(**INNER) / ARP())), ACCEPTED, "drop_in_arp", {}, "no packet to translate"),
    ("outer source port 0", outer(VX, udp={"sport": 0, "chksum": 0}), ACCEPTED, ACCEPTED, {}, ""),
    ("outer TTL 1", outer(VX, udp={"chksum": 0}, ttl=1), ACCEPTED, ACCEPTED, {}, ""),
    ("unknown remote", resummed(patched(FRAME, 29, 77)), ACCEPTED, ACCEPTED, {}, ""),
    ("another destination port", outer(VX, udp={"dport": 4790}), "NoPorts", "pass_not_vxlan", {}, ""),
    ("outer CE, inner not-ECT", outer(VX, udp={"chksum": 0}, tos=3), "rx_errors", ACCEPTED, {}, "a mirror must lose nothing"),
    ("outer checksum of IP wrong", patched(FRAME, 24, 0, 1), "silent", ACCEPTED, {}, "the interface's to check"),
]


def kernel_counts(kern):
    """What may rise there."""
    snmp = read_in(kern, "/proc/thread-self/net/snmp").splitlines()
    names, values = [line.split()[1:] for line in snmp if line.startswith("Udp:")]
    counts = dict(zip(names, map(int, values)))
    for line in read_in(kern, "/proc/thread-self/net/snmp6").splitlines():
        name, value = line.split()
        if name in ("Udp6InCsumErrors",):
            counts["InCsumErrors6"] = int(value)
    for line in read_in(kern, "/proc/thread-self/net/dev").splitlines()[2:]:
        name, values = line.split(":")
        if name.strip() in ("vx", "vx6"):
            counts["rx_errors"] = counts.get("rx_errors", 0) + int(values.split()[2])
    return counts


def as_list(frame):
    return frame if isinstance(frame, list) else [frame]


def risen(before, after):
    return {name for name in after if after[name] != before.get(name, 0)}


def alone(wire, frames, back, number, family=4):
    """Whether nothing comes of these frames, in front of one that comes for certain."""
    back.drain()
    for frame in frames:
        wire.send(frame)
    wire.send(in_tunnel(marker(number), family))
    wanted = mark(number)
    return len(back.receive(lambda frame, _: wanted in frame)) == 1


class Table:
    def __init__(self, name, src, kern, dst):
        self.program, self.kern = Program(name), kern
        self.to_kernel, self.to_nat = Wire(src, "s1"), Wire(src, "s0")
        self.vx = {4: Wire(kern, "vx", lambda _: False), 6: Wire(kern, "vx6", lambda _: False)}
        self.dst = Wire(dst, "d0")
        self.number, self.wrong, self.differ = 0, 0, 0

    def say(self, what, is_, should):
        if is_ != should:
            print(f"{what}: {is_}, wanted {should}")
            self.wrong += 1

    def ask_kernel(self, frames):
        family = 6 if frames[0][12:14] == b"\x86\xdd" else 4
        before = kernel_counts(self.kern)
        self.number += 1
        if not alone(self.to_kernel, frames, self.vx[family], self.number, family):
            return {ACCEPTED}
        return risen(before, kernel_counts(self.kern)) - {"InDatagrams"} or {"InDatagrams", "silent"}

    def reasons(self):
        return {name: value for name, value in self.program.counters().items() if name.startswith(("drop_", "pass_"))}

    def ask_nat(self, frames):
        before = self.reasons()
        self.number += 1
        if not alone(self.to_nat, frames, self.dst, self.number):
            return {ACCEPTED}
        return risen(before, self.reasons())

    def check_kernel(self):
        for what, frame, kernel, _, _, _ in ROWS:
            found = self.ask_kernel(as_list(frame))
            self.say(f"kernel: {what}", kernel if kernel in found else found, kernel)

    def check_nat(self, parameter):
        if parameter:
            self.program.set(**{parameter: True})
        for what, frame, kernel, ours, others, why in ROWS:
            should = others.get(parameter, ours)
            found = self.ask_nat(as_list(frame))
            self.say(f"{parameter or 'by default'}: {what}", should if found == {should} else found, should)
            alike = (should == ACCEPTED) == (kernel == ACCEPTED)
            if not parameter and not alike:
                print(f"# {what}: the kernel {kernel}, here {should}: {why}")
                self.differ += 1
            if not parameter and not alike and not why:
                self.wrong += 1
        if parameter:
            self.program.set(**{parameter: False})


table = Table(*sys.argv[1:5])
table.check_kernel()
for change in (None, STRICT, VERIFY, ZERO6):
    table.check_nat(change)
print(f"{len(ROWS)} rows, {table.differ} differ on purpose")
sys.exit(table.wrong != 0)
