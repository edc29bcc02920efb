"""The pictures of the scripted phone: its camera, which plays a film, and its screen."""
import json, random, struct, time

FPS, SSRC, LONGEST = 15, 0x51EE, 1100


def say(event, **more):
    print(json.dumps({"at": time.time() * 1000, "event": event, **more}), flush=True)


def codec_of(film):
    return "H264" if film.endswith(".h264") else "VP8"


def film(place):
    """Pictures as lists of payload units: NAL units, or one VP8 frame."""
    data = open(place, "rb").read()
    if codec_of(place) == "VP8":
        pictures, at = [], 32
        while at < len(data):
            length = struct.unpack_from("<I", data, at)[0]
            pictures.append([data[at + 12:at + 12 + length]])
            at += 12 + length
        return pictures
    pictures = []
    for unit in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]:
        kind = unit[0] & 31
        if kind == 9:
            pictures.append([])
        elif kind != 6:
            pictures[-1].append(unit.rstrip(b"\0") if kind in (7, 8) else unit)
    return pictures


def payloads(codec, picture):
    """RFC 6184 mode 1 and RFC 7741, each in the plainest way."""
    out = []
    for unit in picture:
        if codec == "VP8":
            parts = [unit[at:at + LONGEST] for at in range(0, len(unit), LONGEST)]
            out += [bytes([0x10 if n == 0 else 0]) + part for n, part in enumerate(parts)]
        elif len(unit) <= LONGEST:
            out.append(unit)
        else:
            parts = [unit[at:at + LONGEST] for at in range(1, len(unit), LONGEST)]
            for n, part in enumerate(parts):
                edge = (0x80 if n == 0 else 0) | (0x40 if n == len(parts) - 1 else 0)
                out.append(bytes([unit[0] & 0xE0 | 28, edge | unit[0] & 31]) + part)
    return out


def absurd(codec):
    """What asks a decoder for pictures of 16,383 x 16,383 or so."""
    if codec == "VP8":
        return b"\x10\x90\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(200)
    number = lambda n: bin(n + 1)[2:].zfill(2 * (n + 1).bit_length() - 1)
    fields = [number(n) for n in (0, 0, 2, 16)] + ["0", number(1023), number(1023), "1100", "1"]
    bits = "".join(fields)
    bits += "0" * (-len(bits) % 8)
    return b"\x67\x42\xe0\x1f" + int(bits, 2).to_bytes(len(bits) // 8, "big")


def spoiled(packet, codec, dice):
    """The same packet as bad luck or bad will would send it."""
    data, how = bytearray(packet), dice.randrange(7)
    if how == 0:
        del data[dice.randrange(12, len(data)):]
    elif how == 1:
        data[12:] = dice.randbytes(dice.randrange(1, 1200))
    elif how == 2:
        data[12:] = absurd(codec)
    elif how == 3:
        data[dice.randrange(2, 4)] = dice.randrange(256)
    else:
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(12, min(len(data), 12 + (20 if how == 4 else 1200)))] = dice.randrange(256)
    return bytes(data)


class Camera:
    """Its own stream of pictures."""

    def __init__(self, place, habits):
        self.codec, self.habits, self.dice = codec_of(place), habits, random.Random(0x5EED)
        self.film, self.films = None, {size: film(place.replace("film", "film-" + size)) for size in ("large", "small")}
        self.sequence, self.sent = random.randrange(65536), {}
        self.open, self.number = False, 0

    def begin(self, now):
        self.open, self.due, self.last_key, self.place, self.clock = True, now + self.habits["late"], 0, 0, random.randrange(1 << 32)
        self.film = self.films[self.habits["size"]]
        if self.habits["late"]:
            self.place, self.last_key = 7, now

    def key_frame(self):
        self.place = 0

    def shoot(self, now):
        """The packets of the next picture."""
        if self.film is not self.films[self.habits["size"]]:
            self.film = self.films[self.habits["size"]]
            self.place = 0
        if self.habits["every"] and now - self.last_key > self.habits["every"] or self.place >= len(self.film):
            self.key_frame()
        picture, key = self.film[self.place], self.place == 0
        if key:
            self.last_key = now
            say("key")
        self.place, self.due, self.clock = self.place + 1, self.due + 1 / FPS, self.clock + 90000 // FPS & 0xFFFFFFFF
        parts = payloads(self.codec, picture)
        for n, part in enumerate(parts):
            marker = 0x80 if n == len(parts) - 1 else 0
            packet = struct.pack(">BBHII", 0x80, marker | self.number, self.sequence, self.clock, SSRC) + part
            self.sent[self.sequence] = packet
            self.sent.pop(self.sequence - 200 & 0xFFFF, None)
            self.sequence = self.sequence + 1 & 0xFFFF
            yield from (spoiled(packet, self.codec, self.dice) for _ in range(self.habits["spoils"]))
            yield packet


class Screen:
    """The far end's pictures: what is whole and has all that it builds on is shown."""

    def __init__(self, place, codec, habits):
        self.codec, self.habits, self.file = codec, habits, open(place, "wb")
        if self.codec == "VP8":
            self.file.write(struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"VP80", 320, 240, 90000, 1, 0, 0))
        self.next, self.waiting, self.picture, self.broken, self.lost = None, {}, b"", False, True
        self.stamp, self.missing_since, self.source, self.shown = None, 0, 0, 0

    def take(self, packet, now):
        """A packet; gives the numbers that are missing before it."""
        number, _, self.source = struct.unpack_from(">HII", packet, 2)
        if self.next is None:
            self.next = number
        at = self.next + (number - self.next + 0x8000 & 0xFFFF) - 0x8000
        if at < self.next:
            return []
        missing = [n & 0xFFFF for n in range(self.next, at) if n not in self.waiting]
        self.waiting[at] = packet
        if missing and not self.missing_since:
            self.missing_since = now
        self.play(now)
        return missing

    def play(self, now):
        """Goes on as far as nothing is missing; what does not come in time is lost."""
        while self.waiting:
            packet = self.waiting.pop(self.next, None)
            if packet is None:
                if now - self.missing_since < (0.25 if self.habits["nack"] else 0.0):
                    return
                self.broken = self.lost = True
            else:
                self.part(packet)
                self.missing_since = 0
            self.next += 1

    def part(self, packet):
        head = 12 + 4 * (packet[0] & 15)
        if packet[0] & 0x10:
            say("extension")
            head += 4 + 4 * struct.unpack_from(">H", packet, head + 2)[0]
        payload, stamp = packet[head:], struct.unpack_from(">I", packet, 4)[0]
        if packet[0] & 0x20:
            payload = payload[:-payload[-1]]
        if stamp != self.stamp:
            self.picture, self.broken, self.stamp = b"", self.broken and not self.begins(payload), stamp
        if payload:
            self.picture += self.unit(payload)
        if packet[1] & 0x80:
            self.end(stamp)

    def begins(self, payload):
        return payload[:1] and (payload[0] & 0x10 if self.codec == "VP8" else payload[0] & 31 in (5, 7, 24))

    def unit(self, payload):
        if self.codec == "VP8":
            at = 1
            if payload[0] & 0x80:
                bits, at = payload[1], 2
                if bits & 0x80:
                    at += 2 if payload[at] & 0x80 else 1
                at += (1 if bits & 0x40 else 0) + (1 if bits & 0x30 else 0)
            return payload[at:]
        kind, out = payload[0] & 31, b""
        if kind == 24:
            at = 1
            while at + 2 < len(payload):
                length = struct.unpack_from(">H", payload, at)[0]
                out += b"\0\0\0\1" + payload[at + 2:at + 2 + length]
                at += 2 + length
            return out
        if kind == 28:
            begins = payload[1] & 0x80
            return (b"\0\0\0\1" + bytes([payload[0] & 0xE0 | payload[1] & 31]) if begins else b"") + payload[2:]
        return b"\0\0\0\1" + payload

    def end(self, stamp):
        picture, whole = self.picture, not self.broken
        self.picture, self.broken = b"", False
        if not picture or not whole:
            return
        key = not picture[0] & 1 if self.codec == "VP8" else any(b"\0\0\1" + bytes([head]) in picture for head in (0x25, 0x45, 0x65))
        if key:
            self.lost = False
        if self.lost:
            return
        if self.codec == "VP8":
            picture = struct.pack("<IQ", len(picture), self.shown) + picture
        self.shown += 1
        self.file.write(picture)
        self.file.flush()
        say("shown", key=key, bytes=len(picture))
