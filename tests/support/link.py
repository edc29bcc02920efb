"""A bad cable between two cards: frames of IP are lost, delayed and overtake each other.

usage: link.py CARD CARD [SEED]
Reads lines "LOSS JITTER" from its standard input: percent, and milliseconds up to which each frame is delayed by its own
draw. Begins with "0 0", ends with its input. Frames keep the kernel's virtio header, so that checksums which a card should have made
stay to be made.
"""
import heapq, random, select, socket, struct, sys, time

SOL_PACKET, ADD_MEMBERSHIP, VNET_HDR, ALL, OUTGOING = 263, 1, 15, 3, 4


def card(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    s.setsockopt(SOL_PACKET, VNET_HDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind((name, 0))
    promiscuous = struct.pack("IHH8s", socket.if_nametoindex(name), 1, 0, b"")
    s.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, promiscuous)
    s.setblocking(False)
    return s


def frames(s):
    while True:
        try:
            frame, address = s.recvfrom(1 << 17)
        except BlockingIOError:
            return
        if address[2] != OUTGOING:
            yield frame


near, far = card(sys.argv[1]), card(sys.argv[2])
draw = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
loss, jitter, waiting, count = 0.0, 0.0, [], 0
print("ready", flush=True)
while True:
    now = time.monotonic()
    while waiting and waiting[0][0] <= now:
        _, _, s, frame = heapq.heappop(waiting)
        try:
            s.send(frame)
        except OSError:
            pass
    timeout = max(0.0, waiting[0][0] - now) if waiting else None
    for s in select.select([near, far, sys.stdin], [], [], timeout)[0]:
        if s is sys.stdin:
            line = sys.stdin.readline()
            if not line:
                sys.exit()
            loss, jitter = map(float, line.split())
            continue
        now = time.monotonic()
        for frame in frames(s):
            at = now
            if frame[22:24] in (b"\x08\x00", b"\x86\xdd"):
                if draw.random() * 100 < loss:
                    continue
                at += draw.random() * jitter / 1000
            count += 1
            heapq.heappush(waiting, (at, count, far if s is near else near, frame))
