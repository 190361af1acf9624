// The two WebSockets of the page: the telephone's line, and the live events of the simulator. Each begins with the key.

export class Line {
  constructor(path, key, { onMessage, onSound, onStart, onOpen, onClose, options }) {
    Object.assign(this, { path, key, onMessage, onSound, onStart, onOpen, onClose, options, socket: null });
    this.open();
  }

  open() {
    const socket = (this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.path}`));
    socket.binaryType = "arraybuffer";
    let greeted = false;
    socket.onopen = () => {
      socket.send(JSON.stringify({ key: this.key, ...this.options?.() }));
      this.onStart?.();
    };
    socket.onmessage = ({ data }) => {
      if (!greeted) this.onOpen?.();
      greeted = true;
      if (data instanceof ArrayBuffer) this.onSound(data);
      else this.onMessage(JSON.parse(data));
    };
    socket.onclose = ({ code, reason }) => {
      this.onClose?.(code, reason);
      // 1008: the key or an option is wrong, which another try does not change.
      if (code !== 1008) setTimeout(() => this.open(), greeted ? 500 : 2000);
    };
  }

  get isOpen() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  send(type, members = {}) {
    if (this.isOpen) this.socket.send(JSON.stringify({ type, ...members }));
  }

  // Audio that cannot leave at once is worth nothing later.
  sendSound(frame) {
    if (this.isOpen && this.socket.bufferedAmount < 32768) this.socket.send(frame);
  }
}

// A request to the control interface.
export async function ask(key, method, path, body) {
  const response = await fetch(`/simulator${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  const found = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Error(found?.error ?? `status ${response.status}`);
  return found;
}
