"""A phone with a camera that knows one way of asking for key frames and no other, and that can lose packets.

usage: videophone.py ADDRESS SIP_PORT RTP_PORT FILM FOLDER
FILM is one endless group of pictures: a key frame, then none (H.264 with access unit delimiters as .h264, VP8 as .ivf). Whoever asks in the
way that the phone understands gets its beginning again. Sound is at RTP_PORT, pictures two above. It answers each call at once.

Reads lines of JSON, each of which changes some of `HABITS`; writes what happens as lines of JSON with `at`, milliseconds since 1970.
What it could decode of the far end lies in FOLDER, a file for each call, a line of JSON `shown` for each picture.
"""
import json, math, os, random, select, socket, struct, sys, time
from film import SSRC, Camera, Screen, codec_of, say

HABITS = {
    "understands": "pli",   # pli, fir, info or nothing: what it reacts to, announces, and asks with
    "nack": False,          # repeats what was lost, and asks for what it lost
    "loss": 0.0,            # percent of RTP and RTCP of pictures that it loses, each way
    "lose": 0,              # so many of its next packets it loses besides
    "every": 0.0,           # a key frame unasked after so many seconds; 0: never
    "number": 0,            # payload type that it wants for its own ones; 0: that of the offer
    "fmtp": "profile-level-id=42e01f;packetization-mode=1",
    "limit": 0,             # b=AS of its pictures; 0: none
    "size": "large",        # of its film: large or small
    "spoils": 0,            # so many damaged copies go before each of its packets
    "late": 0.0,            # seconds between its answer and its first picture, which is none to begin with
}
ADDRESS, SIP, RTP, FILM, FOLDER = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
CODEC = codec_of(FILM)


def port(number):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((ADDRESS, number))
    return s


def mulaw(sample):
    sign, level = (0x80, -sample) if sample < 0 else (0, sample)
    level = min(level, 32635) + 132
    exponent = level.bit_length() - 8
    return ~(sign | exponent << 4 | level >> exponent + 3 & 15) & 0xFF


def header(text, name):
    for line in text.split("\r\n"):
        if line.lower().startswith(name.lower() + ":"):
            return line.split(":", 1)[1].strip()
    return ""


def lines_of(sdp, media):
    """A section of SDP by its medium."""
    inside, out = False, []
    for line in sdp.split("\r\n"):
        if line.startswith("m="):
            inside = line.startswith("m=" + media)
        if inside:
            out.append(line)
    return out


class Phone:
    def __init__(self):
        self.sip, self.sound, self.sound_control = port(SIP), port(RTP), port(RTP + 1)
        self.video, self.control = port(RTP + 2), port(RTP + 3)
        self.camera, self.screen, self.call, self.calls = Camera(FILM, HABITS), None, None, 0
        tone = [mulaw(int(9000 * math.sin(2 * math.pi * 440 * n / 8000))) for n in range(8000)]
        self.number, self.tone, self.sound_sent, self.asked_at, self.fir, self.their_fir = 0, bytes(tone), 0, 0, 0, None

    def run(self):
        everything = [self.sip, self.sound, self.sound_control, self.video, self.control, sys.stdin]
        say("ready")
        while True:
            now = time.monotonic()
            for s in select.select(everything, [], [], self.patience(now))[0]:
                if s is sys.stdin:
                    line = sys.stdin.readline()
                    if not line:
                        return
                    HABITS.update(json.loads(line))
                    say("habits")
                    continue
                data, sender = s.recvfrom(65536)
                if s is self.sip:
                    self.signal(data.decode(errors="replace"), sender)
                elif s is self.video and self.screen and not self.loses():
                    self.watch(data)
                elif s is self.control and self.call and not self.loses():
                    self.report(data)
            self.work(time.monotonic())

    def loses(self):
        return random.random() * 100 < HABITS["loss"]

    def patience(self, now):
        if not self.call:
            return None
        dues = [self.sound_due] + ([self.camera.due] if self.camera.open else [])
        return max(0.0, min(dues) - now)

    def work(self, now):
        if not self.call:
            return
        while self.sound_due <= now:
            at = self.sound_sent * 160
            head = struct.pack(">BBHII", 0x80, 0, self.sound_sent & 0xFFFF, at, 0x50DA)
            self.sound.sendto(head + self.tone[at % 8000:at % 8000 + 160], self.call["sound"])
            self.sound_sent, self.sound_due = self.sound_sent + 1, self.sound_due + 0.02
        while self.camera.open and self.camera.due <= now:
            for packet in self.camera.shoot(now):
                if HABITS["lose"]:
                    HABITS["lose"] -= 1
                elif not self.loses():
                    self.video.sendto(packet, self.call["video"])
        if self.screen:
            self.screen.play(now)
            self.want(now)

    def watch(self, data):
        if len(data) < 12 or data[1] & 127 != self.number:
            return say("foreign", type=data[1] & 127 if len(data) > 1 else None)
        missing = self.screen.take(data, time.monotonic())
        if missing and HABITS["nack"]:
            for number in missing[:16]:
                self.feed_back(205, 1, struct.pack(">HH", number, 0))

    def want(self, now):
        """Asks for a key frame, if nothing can be shown without one, once a second at most."""
        screen, how = self.screen, HABITS["understands"]
        if not screen.lost or screen.next is None or now - self.asked_at < 1.0 or how == "nothing":
            return
        self.asked_at = now
        say("asks", by=how)
        if how == "pli":
            self.feed_back(206, 1, b"")
        elif how == "fir":
            self.fir = self.fir + 1 & 0xFF
            self.feed_back(206, 4, struct.pack(">IBBH", screen.source, self.fir, 0, 0), source=0)
        else:
            self.ask_by_info()

    def feed_back(self, kind, format, body, source=None):
        source = self.screen.source if source is None else source
        report = struct.pack(">BBHI", 0x80, 201, 1, SSRC)
        name = struct.pack(">BBHIBB", 0x81, 202, 3, SSRC, 1, 4) + b"film\0\0"
        head = struct.pack(">BBHII", 0x80 | format, kind, 2 + len(body) // 4, SSRC, source)
        if not self.loses():
            self.control.sendto(report + name + head + body, self.call["control"])

    def report(self, data):
        at = 0
        while at + 8 <= len(data):
            first, kind, length = struct.unpack_from(">BBH", data, at)
            length = 4 * (length + 1)
            if (kind, first & 31) == (206, 1):
                self.is_asked("pli", aims=struct.unpack_from(">I", data, at + 8)[0] == SSRC)
            elif (kind, first & 31) == (206, 4):
                aim, number = struct.unpack_from(">IB", data, at + 12)
                if number != self.their_fir:
                    self.their_fir = number
                    self.is_asked("fir", aims=aim == SSRC)
            elif (kind, first & 31) == (205, 1) and HABITS["nack"]:
                for entry in range(at + 12, at + length, 4):
                    number, more = struct.unpack_from(">HH", data, entry)
                    for n in [number] + [number + bit + 1 & 0xFFFF for bit in range(16) if more >> bit & 1]:
                        say("repeats", number=n, has=n in self.camera.sent)
                        if n in self.camera.sent and not self.loses():
                            self.video.sendto(self.camera.sent[n], self.call["video"])
            elif (kind, first & 31) == (206, 15):
                say("remb")
            at += length

    def is_asked(self, by, aims=True):
        heeds = aims and by == HABITS["understands"]
        say("asked", by=by, heeds=heeds, aims=aims)
        if heeds:
            self.camera.key_frame()

    def sdp(self, offer):
        direction = next((line[2:] for line in lines_of(offer, "video") if line[2:] in ("sendonly", "recvonly", "inactive")), "sendrecv")
        mirrored = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(direction, direction)
        feedback = {"pli": " nack pli", "fir": " ccm fir"}.get(HABITS["understands"])
        theirs = next(line for line in lines_of(offer, "video") if f" {CODEC}/" in line)
        self.camera.number = int(theirs.split(":")[1].split(" ")[0])
        self.number = number = HABITS["number"] or self.camera.number
        video = [f"m=video {RTP + 2} RTP/AVP {number}", f"a=rtpmap:{number} {CODEC}/90000", f"a={mirrored}"]
        if HABITS["limit"]:
            video.insert(1, f"b=AS:{HABITS['limit']}")
        if CODEC == "H264":
            video.append(f"a=fmtp:{number} {HABITS['fmtp']}")
        if feedback:
            video.append(f"a=rtcp-fb:{number}{feedback}")
        if HABITS["nack"]:
            video.append(f"a=rtcp-fb:{number} nack")
        head = ["v=0", f"o=film {self.calls} {int(time.time())} IN IP4 {ADDRESS}", "s=-", f"c=IN IP4 {ADDRESS}", "t=0 0"]
        sound = [f"m=audio {RTP} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", f"a={mirrored}"]
        return "\r\n".join(head + sound + video) + "\r\n", mirrored

    def signal(self, text, sender):
        top = text.split("\r\n", 1)[0].split(" ")
        if top[0].startswith("SIP/2.0"):
            return
        method, body = top[0], text.split("\r\n\r\n", 1)[-1]
        answer, kind, code = "", "", "200 OK"
        if method == "ACK":
            return say("acknowledged")
        if method == "INVITE":
            answer, kind = self.talk(text, body, sender), "Content-Type: application/sdp\r\n"
        elif method == "INFO":
            wanted = "picture_fast_update" in body
            if HABITS["understands"] != "info":
                code = "415 Unsupported Media Type"
            if wanted and self.call:
                self.is_asked("info")
        vias = "".join(line + "\r\n" for line in text.split("\r\n") if line.lower().startswith(("via:", "record-route:")))
        to = header(text, "To")
        to += "" if ";tag=" in to else f";tag=film{self.calls}"
        reply = (
            f"SIP/2.0 {code}\r\n{vias}From: {header(text, 'From')}\r\nTo: {to}\r\nCall-ID: {header(text, 'Call-ID')}\r\n"
            f"CSeq: {header(text, 'CSeq')}\r\nContact: <sip:film@{ADDRESS}:{SIP}>\r\nAllow: INVITE, ACK, BYE, CANCEL, INFO\r\n"
            f"{kind}Content-Length: {len(answer)}\r\n\r\n{answer}"
        )
        self.sip.sendto(reply.encode(), sender)
        if method == "BYE":
            self.call = self.screen = None
            self.camera.open = False
            say("over")

    def talk(self, text, offer, sender):
        """Takes an INVITE, the first or another; gives the SDP of the answer."""
        now, again = time.monotonic(), self.call and header(text, "Call-ID") == self.call["id"]
        to = {line.split(" ")[0]: int(line.split(" ")[1]) for line in offer.split("\r\n") if line.startswith("m=")}
        host = next(line.split(" ")[2] for line in offer.split("\r\n") if line.startswith("c="))
        if not again:
            self.calls += 1
            self.call = {"id": header(text, "Call-ID"), "invite": text, "peer": sender, "number": 0}
            place = os.path.join(FOLDER, f"shown-{self.calls}." + ("ivf" if CODEC == "VP8" else "h264"))
            self.screen = Screen(place, CODEC, HABITS)
            self.sound_due, self.asked_at, self.their_fir = now, 0, None
            self.camera.begin(now)
        self.call.update(sound=(host, to["m=audio"]), video=(host, to["m=video"]), control=(host, to["m=video"] + 1))
        answer, direction = self.sdp(offer)
        sends = direction in ("sendrecv", "sendonly")
        if sends and not self.camera.open:
            self.camera.due = now
        self.camera.open = sends
        say("answered", again=bool(again), direction=direction, sdp=offer)
        return answer

    def ask_by_info(self):
        call = self.call
        call["number"] += 1
        uri = header(call["invite"], "Contact").strip("<>").split(">")[0]
        body = "<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>"
        request = (
            f"INFO {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ADDRESS}:{SIP};branch=z9hG4bKfilm{self.calls}x{call['number']};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: {header(call['invite'], 'To')};tag=film{self.calls}\r\nTo: {header(call['invite'], 'From')}\r\n"
            f"Call-ID: {call['id']}\r\nCSeq: {call['number']} INFO\r\nContact: <sip:film@{ADDRESS}:{SIP}>\r\n"
            f"Content-Type: application/media_control+xml\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        self.sip.sendto(request.encode(), call["peer"])


Phone().run()
