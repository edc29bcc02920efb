// What the phone itself lets hear: a ringing tone while the far end rings, a bell for an incoming call, key tones.

/** Rows and columns of the keypad's tone pairs, in Hz. */
const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477];
const KEYS = '123456789*0#';

/** [frequencies, seconds on, seconds off] of each repeating sound. */
const PATTERNS = {
  ringing: [[425], 1, 4],
  bell: [[660, 880], 0.8, 1.6],
};

/** Plays at most one repeating sound. Silent until the user has touched the page, as browsers want it. */
export class Sounds {
  #context = null;
  #timer = null;
  #name = null;

  /** Repeats `name` until told otherwise; `null` is silence. */
  repeat(name) {
    if (name === this.#name) return;
    this.#name = name;
    clearInterval(this.#timer);
    if (!name) return;
    const [frequencies, on, off] = PATTERNS[name];
    const once = () => this.#play(frequencies, on, 0.06);
    once();
    this.#timer = setInterval(once, (on + off) * 1000);
  }

  /** The tone of one key. */
  key(key) {
    const index = KEYS.indexOf(key);
    if (index >= 0) this.#play([ROWS[Math.floor(index / 3)], COLUMNS[index % 3]], 0.12, 0.05);
  }

  #play(frequencies, seconds, loudness) {
    this.#context ??= new AudioContext();
    if (this.#context.state === 'suspended') this.#context.resume();
    const start = this.#context.currentTime;
    const gain = new GainNode(this.#context, { gain: 0 });
    gain.gain.setTargetAtTime(loudness, start, 0.01);
    gain.gain.setTargetAtTime(0, start + seconds, 0.01);
    gain.connect(this.#context.destination);
    for (const frequency of frequencies) {
      const tone = new OscillatorNode(this.#context, { frequency });
      tone.connect(gain);
      tone.start(start);
      tone.stop(start + seconds + 0.1);
    }
  }
}
