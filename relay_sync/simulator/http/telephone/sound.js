// Microphone or WAV file, loudspeaker, and the waveforms of both.

export class Sound {
  constructor({ onFrame, onStats, onProblem }) {
    Object.assign(this, { onFrame, onStats, onProblem, context: null, microphone: null, file: null, node: null });
  }

  // Browsers start audio only in a click or a key press, so this is called from one.
  async start(rate) {
    if (this.context) {
      await this.context.resume();
      return;
    }
    this.context = new AudioContext({ latencyHint: "interactive" });
    await this.context.audioWorklet.addModule("/telephone/worklet.js");
    this.node = new AudioWorkletNode(this.context, "line", {
      numberOfInputs: 1,
      numberOfOutputs: 1,
      outputChannelCount: [1],
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { rate },
    });
    this.node.port.onmessage = ({ data }) => (data instanceof ArrayBuffer ? this.onFrame(data) : this.onStats(data));
    this.said = new AnalyserNode(this.context, { fftSize: 1024 });
    this.heard = new AnalyserNode(this.context, { fftSize: 1024 });
    this.node.connect(this.heard);
    this.node.connect(this.context.destination);
    await this.context.resume();
  }

  async useMicrophone() {
    if (this.microphone) return;
    if (!navigator.mediaDevices) {
      this.onProblem("Browsers offer the microphone only on localhost or over https. You can listen, press keys and play a WAV file.");
      return;
    }
    try {
      const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: false, autoGainControl: false };
      const stream = await navigator.mediaDevices.getUserMedia({ audio });
      this.microphone = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream });
      this.microphone.connect(this.node);
      this.microphone.connect(this.said);
    } catch (error) {
      this.onProblem(`No microphone (${error.name}). You can listen, press keys and play a WAV file.`);
    }
  }

  dropMicrophone() {
    if (!this.microphone) return;
    for (const track of this.microphone.mediaStream.getTracks()) track.stop();
    this.microphone.disconnect();
    this.microphone = null;
  }

  async playFile(file) {
    this.stopFile();
    let buffer;
    try {
      buffer = await this.context.decodeAudioData(await file.arrayBuffer());
    } catch {
      this.onProblem(`${file.name} is not a sound file that this browser can decode.`);
      return;
    }
    this.file = new AudioBufferSourceNode(this.context, { buffer });
    this.file.connect(this.node);
    this.file.connect(this.said);
    this.file.start();
  }

  stopFile() {
    this.file?.stop();
    this.file?.disconnect();
    this.file = null;
  }

  send(on) {
    this.node?.port.postMessage({ sending: on });
  }

  reset() {
    this.node?.port.postMessage({ reset: true });
  }

  play(frame) {
    this.node?.port.postMessage(frame, [frame]);
  }

  // Two short tones, every three seconds, until stopped.
  ring() {
    if (this.context?.state !== "running") return () => {};
    const gain = new GainNode(this.context, { gain: 0.05 });
    gain.connect(this.context.destination);
    const bell = () => {
      for (const [index, frequency] of [440, 480].entries()) {
        const tone = new OscillatorNode(this.context, { frequency });
        tone.connect(gain);
        tone.start(this.context.currentTime + index * 0.4);
        tone.stop(this.context.currentTime + index * 0.4 + 0.35);
      }
    };
    bell();
    const timer = setInterval(bell, 3000);
    return () => {
      clearInterval(timer);
      gain.disconnect();
    };
  }
}

// Draws the waveform of an analyser on a canvas, and sets the level of a meter, until the page is hidden.
export class Scope {
  constructor(canvas, meter, analyser) {
    Object.assign(this, { canvas, meter, analyser, samples: new Float32Array(1024) });
  }

  draw() {
    const analyser = this.analyser();
    if (!analyser) return;
    analyser.getFloatTimeDomainData(this.samples);
    const { width, height } = this.canvas;
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    pen.strokeStyle = getComputedStyle(this.canvas).color;
    pen.lineWidth = 2;
    pen.beginPath();
    let peak = 0;
    this.samples.forEach((sample, index) => {
      peak = Math.max(peak, Math.abs(sample));
      if (index % 4 === 0) pen.lineTo((index / 1024) * width, (0.5 - sample * 0.48) * height);
    });
    pen.stroke();
    // The last 50 dB of the scale.
    this.meter.value = peak > 0 ? Math.max(0, 1 + (20 * Math.log10(peak)) / 50) : 0;
  }
}
