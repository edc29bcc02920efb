// Collects what the speaker would play and hands it over in blocks of 40 ms.
class Tap extends AudioWorkletProcessor {
  constructor() { super(); this.block = new Int16Array(1920); this.used = 0; }

  process([input]) {
    const heard = input[0]; // absent while the track is silent
    for (let i = 0; i < 128; i++) {
      const sample = heard ? Math.max(-1, Math.min(1, heard[i])) : 0;
      this.block[this.used++] = Math.round(sample * 32767);
      if (this.used === this.block.length) { this.port.postMessage(this.block.slice()); this.used = 0; }
    }
    return true;
  }
}
registerProcessor('tap', Tap);
