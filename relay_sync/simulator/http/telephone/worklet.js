// Sound of one call, on the audio thread: resamples the microphone to the line's rate, and plays what the line delivers through
// a jitter buffer. The context's rate and the line's rates are whatever they are; nothing here assumes one.

const FRAME = 0.02; // seconds sent at a time
const SHORTEST = 0.03; // smallest depth of the jitter buffer, in seconds
const STEP = 0.01; // growth of the depth after an underrun
const DEEPEST = 0.15;
const LONGEST = 1.0; // audio beyond this is dropped
const WINDOW = 0.5; // the buffer must be nearly empty at least once in so many seconds, or it is trimmed
const SLACK = 0.01;
const QUIET = 0.01; // silence is trimmed first, and anything else only if the surplus lasts for HARD windows
const HARD = 4;
const HALF = 8; // samples of the lower rate on each side of the filter's center
const PHASES = 128;

// Windowed-sinc resampler that takes audio piece by piece.
class Resampler {
  constructor(from, to) {
    this.step = from / to;
    const scale = Math.max(1, this.step); // input samples for each sample of the lower rate
    this.half = Math.ceil(HALF * scale);
    this.table = [];
    for (let phase = 0; phase <= PHASES; phase++) {
      const taps = new Float32Array(2 * this.half);
      let sum = 0;
      for (let index = 0; index < taps.length; index++) {
        const x = (index - this.half + 1 - phase / PHASES) / scale;
        const window = Math.abs(x) < HALF ? 0.5 + 0.5 * Math.cos((Math.PI * x) / HALF) : 0;
        const sinc = x === 0 ? 1 : Math.sin(0.92 * Math.PI * x) / (0.92 * Math.PI * x);
        sum += taps[index] = window * sinc;
      }
      this.table.push(taps.map((tap) => tap / sum));
    }
    this.past = new Float32Array(2 * this.half);
    this.at = this.half; // place of the next output sample in `past` followed by the input
  }

  take(input) {
    const all = new Float32Array(this.past.length + input.length);
    all.set(this.past);
    all.set(input, this.past.length);
    const made = [];
    while (this.at + this.half < all.length) {
      const whole = Math.floor(this.at);
      const taps = this.table[Math.round((this.at - whole) * PHASES)];
      const first = whole - this.half + 1;
      let sum = 0;
      for (let index = 0; index < taps.length; index++) sum += taps[index] * all[first + index];
      made.push(sum);
      this.at += this.step;
    }
    const used = Math.max(0, Math.min(all.length, Math.floor(this.at) - this.half));
    this.past = all.slice(used);
    this.at -= used;
    return made;
  }
}

class Line extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.rate = options.processorOptions.rate; // of the audio that is sent
    this.sending = false;
    this.reset();
    this.port.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.arrived(data);
      else if (data.reset) this.reset();
      else this.sending = data.sending;
    };
  }

  reset() {
    this.up = new Resampler(sampleRate, this.rate);
    this.down = new Map();
    this.gathered = [];
    this.position = 0;
    this.queue = new Float32Array(0);
    this.playing = false;
    this.depth = SHORTEST;
    this.lowest = Infinity;
    this.window = this.surplus = this.windows = 0;
    this.stats = { underruns: 0, trimmed: 0, waiting: 0 };
    this.told = 0;
  }

  // A frame of the line: position in milliseconds, rate, 16-bit samples.
  arrived(buffer) {
    const view = new DataView(buffer);
    const rate = view.getUint32(4, true);
    const count = (buffer.byteLength - 8) >> 1;
    const samples = new Float32Array(count);
    for (let index = 0; index < count; index++) samples[index] = view.getInt16(8 + 2 * index, true) / 32768;
    if (!this.down.has(rate)) this.down.set(rate, new Resampler(rate, sampleRate));
    const made = this.down.get(rate).take(samples);
    const joined = new Float32Array(this.queue.length + made.length);
    joined.set(this.queue);
    joined.set(made, this.queue.length);
    const excess = joined.length - LONGEST * sampleRate;
    if (excess > 0) this.stats.trimmed += excess / sampleRate;
    this.queue = excess > 0 ? joined.slice(excess) : joined;
  }

  play(output) {
    const wanted = output.length;
    if (!this.playing && this.queue.length >= this.depth * sampleRate + wanted) {
      this.playing = true;
      this.lowest = Infinity;
      this.window = this.surplus = this.windows = 0;
    }
    if (!this.playing) return;
    while (this.surplus >= wanted && this.queue.subarray(0, wanted).every((each) => Math.abs(each) < QUIET)) this.trim(wanted);
    if (this.queue.length < wanted) {
      output.set(this.queue);
      this.queue = new Float32Array(0);
      this.playing = false;
      this.stats.underruns++;
      this.depth = Math.min(DEEPEST, this.depth + STEP);
      return;
    }
    output.set(this.queue.subarray(0, wanted));
    this.queue = this.queue.subarray(wanted);
    this.lowest = Math.min(this.lowest, this.queue.length);
    this.window += wanted;
    if (this.window >= WINDOW * sampleRate) {
      const excess = this.lowest - Math.round((this.depth / 2) * sampleRate);
      this.surplus = excess > SLACK * sampleRate ? excess : 0;
      this.windows = this.surplus ? this.windows + 1 : 0;
      if (this.windows >= HARD) this.trim(this.surplus);
      this.lowest = Infinity;
      this.window = 0;
    }
  }

  trim(count) {
    this.queue = this.queue.subarray(count);
    this.surplus -= count;
    this.stats.trimmed += count / sampleRate;
  }

  send(input) {
    for (const sample of this.up.take(input)) this.gathered.push(sample);
    const size = Math.round(FRAME * this.rate);
    while (this.gathered.length >= size) {
      const frame = new ArrayBuffer(4 + 2 * size);
      const view = new DataView(frame);
      view.setUint32(0, this.position % 2 ** 32, true);
      this.gathered.splice(0, size).forEach((sample, index) => {
        view.setInt16(4 + 2 * index, Math.max(-32768, Math.min(32767, Math.round(sample * 32768))), true);
      });
      this.position += size;
      this.port.postMessage(frame, [frame]);
    }
  }

  process(inputs, outputs) {
    const output = outputs[0][0];
    this.play(output);
    if (this.sending && inputs[0].length) this.send(inputs[0][0]);
    this.told += output.length;
    if (this.told >= sampleRate) {
      this.told = 0;
      this.port.postMessage({ ...this.stats, waiting: this.queue.length / sampleRate });
    }
    return true;
  }
}

registerProcessor("line", Line);
