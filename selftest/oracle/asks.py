#!/usr/bin/python3
"""asks: a UDP client that hears of it when nobody is there (ip(7), IP_RECVERR).

    asks.py ask HOST PORT              prints what its socket says: the error of a connected one, and who
                                       is told of an error in the queue
    asks.py answer ADDRESS PORT SIZE   answers the first one with so many bytes that must not be cut, and
                                       prints what it learns about the way
"""
import errno
import socket
import struct
import sys

IP_RECVERR, IPV6_RECVERR = 11, 25
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14


def client(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.settimeout(10)
    return family, udp, (host, port)


def connected(host, port):
    _, udp, end = client(host, port)
    udp.connect(end)
    udp.send(b"anybody?")
    try:
        udp.recv(100)
    except OSError as error:
        return errno.errorcode.get(error.errno, "timeout")
    return "an answer"


def queued(host, port):
    """The error's number, whom the packet was sent to, and who says so."""
    family, udp, end = client(host, port)
    ipv4 = family == socket.AF_INET
    udp.setsockopt(socket.IPPROTO_IP if ipv4 else socket.IPPROTO_IPV6, IP_RECVERR if ipv4 else IPV6_RECVERR, 1)
    udp.sendto(b"anybody?", end)
    try:
        udp.recv(100)
    except OSError:
        pass
    data, control, _, to = udp.recvmsg(100, 512, socket.MSG_ERRQUEUE)
    number, offender = struct.unpack("I", control[0][2][:4])[0], control[0][2][16:]
    said = socket.inet_ntop(family, offender[4:8] if ipv4 else offender[8:24])
    return f"{errno.errorcode[number]} about {to[0]} {to[1]} by {said} with {data.decode()}"


def answer(address, port, size):
    """size: of the IP packet."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, port))
    udp.settimeout(10)
    print("ready", flush=True)
    udp.connect(udp.recvfrom(100)[1])
    udp.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    udp.send(bytes(size - 28))
    try:
        while True:
            udp.recv(100)
    except OSError as error:
        return f"MTU {udp.getsockopt(socket.IPPROTO_IP, IP_MTU)}" if error.errno == errno.EMSGSIZE else str(error)


if sys.argv[1] == "answer":
    print(answer(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
else:
    print(connected(sys.argv[2], int(sys.argv[3])))
    print(queued(sys.argv[2], int(sys.argv[3])))
