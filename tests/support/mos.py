"""How like the speech that was sent is what was heard? By PESQ (ITU-T P.862.1, narrow band).

usage: mos.py SENT HEARD SECONDS...
SENT is one turn of a loop of speech, HEARD a recording of many turns; both WAV, 16 bit, mono. For the turn of the loop that begins at each
of SECONDS in HEARD prints a line "MOS LAG [LAG ...]": the estimate, by how many ms of the loop the turn lags behind the file's beginning,
and the same for each two seconds of it, nan where too little is said to tell.
"""
import sys, wave
import numpy as np
from pesq import pesq

RATE = 8000
HALF = 2 * RATE


def read(path):
    with wave.open(path) as f:
        rate, samples = f.getframerate(), np.frombuffer(f.readframes(f.getnframes()), "<i2").astype(float)
    length = len(samples) * RATE // rate
    spectrum = np.fft.rfft(samples)[: length // 2 + 1]
    out = np.zeros(length // 2 + 1, complex)
    out[: len(spectrum)] = spectrum
    return np.fft.irfft(out, length) * length / len(samples)


def lag(loop, part):
    """Where in the loop `part` begins: the peak of their circular correlation."""
    padded = np.zeros(len(loop))
    padded[: len(part)] = part
    return int(np.argmax(np.fft.irfft(np.fft.rfft(loop) * np.conj(np.fft.rfft(padded)), len(loop))))


sent, heard = read(sys.argv[1]), read(sys.argv[2])
loudest = np.sqrt(np.mean(sent**2))
for start in map(float, sys.argv[3:]):
    turn = heard[int(start * RATE) :][: len(sent)]
    at = lag(sent, turn)
    # Behind the beginning of the file, not of the recording: later means later.
    behind = (start * 1000 - at * 1000 / RATE) % (len(sent) * 1000 / RATE)
    lags = [behind]
    for place in range(0, len(turn) - HALF + 1, HALF):
        part = turn[place : place + HALF]
        off = (lag(sent, part) - at - place + len(sent) // 2) % len(sent) - len(sent) // 2
        told = np.sqrt(np.mean(part**2)) > loudest / 4
        lags.append(behind - off * 1000 / RATE if told else float("nan"))
    score = pesq(RATE, np.roll(sent, -at)[: len(turn)], turn, "nb")
    print(f"{score:.2f}", *(f"{ms:.0f}" for ms in lags), flush=True)
