// What the live events show: calls with their timelines, text messages, and the wire.

const MOST_CALLS = 30;
const MOST_FRAMES = 500;
const MOST_TEXTS = 200;

const element = (name, text, members = {}) => Object.assign(document.createElement(name), { textContent: text, ...members });

const clock = (date = new Date()) => {
  const time = element("time", date.toTimeString().slice(0, 8) + "." + String(date.getMilliseconds()).padStart(3, "0"));
  time.dateTime = date.toISOString();
  return time;
};

const line = (...parts) => {
  const item = document.createElement("li");
  item.append(...parts.flatMap((part) => [part, " "]).slice(0, -1));
  return item;
};

// Parameters of a request, or those inside an event.
const inner = (frame) => (frame?.method === "signalwire.event" ? frame.params?.params : frame?.params) ?? {};

// Keep a list scrolled to its end, unless somebody has scrolled up to read.
const append = (list, item, most) => {
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 8;
  list.append(item);
  while (list.childElementCount > most) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
};

const STATE = ["call_state", "connect_state", "dial_state", "message_state", "state", "result"];

const summary = (kind, params) => {
  const state = STATE.map((name) => params[name]).find((value) => typeof value === "string") ?? "";
  const text = params.play?.[0]?.params?.text ?? params.url ?? params.play?.[0]?.params?.url ?? params.end_reason ?? "";
  return [kind.replace(/^calling\.(call\.)?/, ""), state, text].filter(Boolean).join(" · ");
};

export class Calls {
  constructor(list) {
    this.list = list;
    this.known = new Map();
  }

  find(callId, title) {
    let call = this.known.get(callId);
    if (!call) {
      const details = element("details", "", { open: this.known.size === 0 });
      const heading = element("summary", title || "Call");
      const timeline = document.createElement("ol");
      details.append(heading, timeline);
      const item = document.createElement("li");
      item.append(details);
      this.list.prepend(item);
      this.known.set(callId, (call = { item, details, heading, timeline, title: title || "Call", state: "" }));
      if (this.known.size > MOST_CALLS) {
        const [oldest] = this.known.keys();
        this.known.get(oldest).item.remove();
        this.known.delete(oldest);
      }
    }
    return call;
  }

  note(callId, text, { title, state } = {}) {
    const call = this.find(callId, title);
    if (title) call.title = title;
    if (state) call.state = state;
    call.heading.textContent = [call.title, call.state].filter(Boolean).join(" · ");
    if (!text) return null;
    const item = line(clock(), text);
    append(call.timeline, item, 200);
    return item;
  }

  open(callId) {
    for (const [id, call] of this.known) call.details.open = id === callId;
  }

  entry(entry) {
    const params = inner(entry.frame);
    const kind = entry.event_type || entry.method;
    if (!params.call_id || !kind.startsWith("calling.")) return;
    const device = params.device?.params;
    const title = device && `${device.from_number ?? device.from ?? ""} → ${device.to_number ?? device.to ?? ""}`;
    const reason = params.end_reason ? ` (${params.end_reason})` : "";
    const state = kind === "calling.call.state" && params.call_state ? params.call_state + reason : undefined;
    const lost = entry.direction === "lost" ? "lost: " : "";
    const text = entry.event_type ? lost + summary(kind, params) : `program: ${summary(kind, params)}`;
    this.note(params.call_id, text, { title, state });
  }
}

export class Texts {
  constructor(list) {
    this.list = list;
  }

  entry(entry) {
    const params = inner(entry.frame);
    if (entry.method === "messaging.send" && entry.direction === "in") {
      append(this.list, line(clock(), `program → ${params.to_number}: ${params.body ?? ""}`), MOST_TEXTS);
    } else if (entry.event_type === "messaging.receive") {
      append(this.list, line(clock(), `${params.from_number} → program: ${params.body ?? ""}`), MOST_TEXTS);
    } else if (entry.event_type === "messaging.state" && params.message_state !== "queued") {
      append(this.list, line(clock(), `${params.to_number}: ${params.message_state} ${params.reason ?? ""}`), MOST_TEXTS);
    }
  }
}

const ARROWS = { in: "program →", out: "→ program", lost: "lost:" };

export class Wire {
  constructor(list, filter, pings) {
    Object.assign(this, { list, filter, pings });
    filter.addEventListener("input", () => this.sift());
    pings.addEventListener("change", () => this.sift());
  }

  fits(item) {
    const wanted = this.filter.value.trim().toLowerCase();
    return (this.pings.checked || item.dataset.idle !== "true") && (!wanted || item.textContent.toLowerCase().includes(wanted));
  }

  sift() {
    for (const item of this.list.children) item.hidden = !this.fits(item);
  }

  entry(entry) {
    const { frame } = entry;
    const code = frame?.result?.code ?? frame?.error?.code ?? "";
    const name = entry.event_type || entry.method || `reply ${code}`;
    const details = document.createElement("details");
    const heading = document.createElement("summary");
    heading.append(clock(), ` ${ARROWS[entry.direction] ?? entry.direction} `, element("b", name), ` ${summary("", inner(frame))}`);
    details.append(heading, element("pre", JSON.stringify(frame, null, 1)));
    const item = document.createElement("li");
    item.dataset.idle = String(name === "signalwire.ping" || (!entry.method && !code));
    item.append(details);
    item.hidden = !this.fits(item);
    append(this.list, item, MOST_FRAMES);
  }
}
