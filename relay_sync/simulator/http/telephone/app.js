// The telephone's page: wires the controls to the line, the sound and the panels.

import { Line, ask } from "./line.js";
import { Calls, Texts, Wire } from "./panels.js";
import { Scope, Sound } from "./sound.js";

const $ = (id) => document.getElementById(id);
const KEYS = "123456789*0#";
const SLOW = 0.5; // seconds by which the slow network delays each frame
const EVENTS = ["state", "play", "collect", "record", "connect", "stream", "send_digits", "dial"];

// The key is kept in memory only. It leaves the address, so that it is not in the history or in a shared link.
const key = new URLSearchParams(location.hash.slice(1)).get("key") ?? "";
history.replaceState(null, "", location.pathname);
// The link was opened again in this tab.
addEventListener("hashchange", () => location.reload());

const calls = new Calls($("calls"));
const texts = new Texts($("texts"));
const wire = new Wire($("wire"), $("filter"), $("pings"));
let call = null; // the telephone's call: call_id, direction, number, state
let rate = 16000;
let own = "";
let stopRinging = () => {};
let dialing = false;

const notices = new Map();
function notice(kind, text) {
  if (text) notices.set(kind, text);
  else notices.delete(kind);
  $("notice").textContent = [...notices.values()].join("\n");
  $("notice").hidden = notices.size === 0;
}

const sound = new Sound({
  onFrame: (frame) => line.sendSound(frame),
  onStats: ({ underruns, trimmed, waiting }) => {
    if (call?.state !== "answered") return;
    const counts = [`${Math.round(waiting * 1000)} ms in the buffer`, `underruns: ${underruns}`, `late at the simulator: ${call.late ?? 0}`];
    $("quality").textContent = `${counts.join(", ")}, trimmed: ${Math.round(trimmed * 1000)} ms`;
    $("quality").dataset.underruns = underruns;
  },
  onProblem: (text) => notice("sound", text),
});

const line = new Line("/simulator/telephone", key, {
  options: () => (own ? { number: own } : {}),
  onOpen: () => chip("link", "good", "Simulator connected"),
  onSound: (frame) => sound.play(frame),
  onMessage: (message) => handlers[message.type]?.(message),
  onClose: (code, reason) => {
    if (code === 1008) chip("link", "bad", refused(reason));
    else chip("link", "bad", "The simulator is not running");
    if (call) moved({ ...call, state: "ended", reason: "connection lost" });
  },
});

const handlers = {
  ready: (message) => {
    ({ rate, number: own } = message);
    $("own").textContent = own;
    if (document.activeElement !== $("number")) $("number").value = own;
  },
  call: moved,
  status: (message) => {
    if (!call) return;
    Object.assign(call, { late: message.late });
    const doing = message.doing.map((method) => method.replace("calling.", "")).join(", ");
    const hold = message.on_hold ? "The program has put you on hold. " : "";
    $("detail").textContent = message.waits ? `Waiting: ${message.waits}` : hold + (doing && `The program runs: ${doing}`);
  },
  notice: ({ kind, text }) => notice(kind, text),
  heard: ({ index, text }) => {
    if (!call || !text) return;
    $("detail").textContent = `“${text}”`;
    call.heard ??= [];
    if (call.heard[index]) call.heard[index].lastChild.data = `heard: ${text}`;
    else call.heard[index] = calls.note(call.call_id, `heard: ${text}`);
  },
  error: ({ message }) => {
    dialing = false;
    if (!call) sound.dropMicrophone();
    show();
    $("detail").textContent = message;
  },
};

function chip(id, kind, text) {
  $(id).className = `chip ${kind}`;
  $(id).textContent = text;
  $(id).hidden = !text;
}

const refused = (reason) => `${key ? reason : "no key, as after a reload"}: open the link that the terminal shows`;

function moved(message) {
  const before = call?.state;
  dialing = false;
  call = { ...call, ...message };
  const title = call.direction === "in" ? `${call.number} → ${own}` : `${own} → ${call.number}`;
  const reason = call.reason ? ` (${call.reason})` : "";
  const text = before === call.state ? "" : `telephone: ${call.state}${reason}`;
  calls.note(call.call_id, text, { title, state: call.state + reason });
  if (before === undefined) calls.open(call.call_id);
  stopRinging();
  stopRinging = () => {};
  if (call.state === "answered") {
    if (before !== "answered") sound.reset();
    sound.send(true);
  } else if (call.state === "ended") {
    finish(reason);
    return;
  } else if (call.direction === "in" && call.state === "ringing") {
    stopRinging = sound.ring();
  }
  show();
  if (call.direction === "in" && before === undefined) $("answer").focus();
}

function finish(reason) {
  sound.send(false);
  sound.stopFile();
  sound.dropMicrophone();
  call = null;
  for (const id of ["mute", "hold"]) $(id).setAttribute("aria-pressed", "false");
  $("detail").textContent = "";
  show(`Call ended${reason}`);
  if (document.activeElement === document.body) $("call").focus();
}

function show(text) {
  const state = call?.state ?? "";
  const rings = call?.direction === "in" && (state === "ringing" || state === "created");
  const names = { created: "Calling", ringing: "Ringing", answered: "Connected to", ending: "Ending" };
  $("state").textContent = text ?? (rings ? `${call.number} calls you` : call ? `${names[state] ?? state} ${call.number}` : dialing ? "Calling …" : "No call");
  document.title = rings ? `☎ ${call.number} calls` : call ? `${names[state] ?? state} ${call.number}` : "Telephone · relay_sync simulator";
  document.body.className = rings ? "ringing" : "";
  $("call").hidden = rings;
  $("answer").hidden = !rings;
  $("hangup").textContent = rings ? "Decline" : "Hang up";
  $("call").disabled = Boolean(call) || dialing;
  $("hangup").disabled = !call;
  for (const id of ["mute", "hold", "say-it"]) $(id).disabled = state !== "answered";
  $("play").disabled = state !== "answered" || !$("file").files.length;
}

// Prepare the sound in the click that starts or answers a call. A refused microphone leaves a silent telephone with keys.
async function prepare() {
  notice("sound", "");
  try {
    await sound.start(rate);
    if (source() === "microphone") await sound.useMicrophone();
  } catch (error) {
    notice("sound", `No sound: ${error.message}`);
  }
}

const source = () => document.querySelector("input[name=source]:checked").value;

$("dial").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (call || dialing) return;
  dialing = true;
  show();
  await prepare();
  if (!line.isOpen) {
    dialing = false;
    sound.dropMicrophone();
    show("The simulator is not running");
    return;
  }
  line.send("call", { to: $("to").value.trim(), context: $("context").value.trim() });
});
$("answer").addEventListener("click", async () => {
  await prepare();
  line.send("answer");
});
$("hangup").addEventListener("click", () => line.send("hangup"));

function press(digit) {
  if (call?.state !== "answered") return;
  line.send("press", { digits: digit });
  calls.note(call.call_id, `pressed: ${digit}`);
  const button = $("keys").querySelector(`[data-digit="${digit}"]`);
  button?.animate?.([{ opacity: 0.4 }, { opacity: 1 }], 200);
}
for (const digit of KEYS) {
  const names = { "*": "star", "#": "pound" };
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: digit });
  button.dataset.digit = digit;
  button.setAttribute("aria-label", names[digit] ?? digit);
  button.addEventListener("click", () => press(digit));
  $("keys").append(button);
}
document.addEventListener("keydown", (event) => {
  const writing = event.target.closest("input:not([type=radio], [type=checkbox]), select, textarea");
  if (writing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (KEYS.includes(event.key)) press(event.key);
});

for (const id of ["mute", "hold"]) {
  $(id).addEventListener("click", () => {
    const on = $(id).getAttribute("aria-pressed") !== "true";
    $(id).setAttribute("aria-pressed", String(on));
    line.send(id, { on });
    if (call) calls.note(call.call_id, `${id}: ${on ? "on" : "off"}`);
  });
}

for (const radio of document.querySelectorAll("input[name=source]")) {
  radio.addEventListener("change", async () => {
    const file = source() === "file";
    $("file-label").hidden = $("play").hidden = !file;
    if (file) sound.dropMicrophone();
    else {
      sound.stopFile();
      if (call?.state === "answered") await prepare();
    }
  });
}
$("file").addEventListener("change", () => show());
$("play").addEventListener("click", async () => {
  await prepare();
  await sound.playFile($("file").files[0]);
});

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  line.send("say", { text: $("words").value });
  if (call) calls.note(call.call_id, `said: ${$("words").value}`);
  $("words").value = "";
});
$("register").addEventListener("submit", (event) => {
  event.preventDefault();
  line.send("number", { number: $("number").value.trim() });
});

async function request(method, path, body, done, shown = "faults") {
  try {
    await ask(key, method, path, body);
    $(shown).textContent = done;
    return true;
  } catch (error) {
    $(shown).textContent = error.message;
    return false;
  }
}
$("text").addEventListener("submit", async (event) => {
  event.preventDefault();
  const message = { to: $("to").value.trim(), from: own, body: $("body").value, context: $("context").value.trim() };
  const waits = clients.size ? "" : "The message waits, because no program is connected.";
  if (await request("POST", "/messages", message, waits, "text-problem")) $("body").value = "";
});
$("cut").addEventListener("click", () => request("POST", "/connections/cut", {}, "The connection was cut."));
$("refuse").addEventListener("click", () => request("POST", "/faults/disturb_stream", { stream: "refuse" }, "The next stream will be refused."));
$("slow").addEventListener("click", async () => {
  const on = $("slow").getAttribute("aria-pressed") !== "true";
  const text = on ? `Frames to the program arrive ${SLOW * 1000} ms late.` : "The network is fast again.";
  if (await request("POST", "/connections/slow_down", { seconds: on ? SLOW : 0 }, text)) $("slow").setAttribute("aria-pressed", String(on));
});
$("lose").addEventListener("submit", (event) => {
  event.preventDefault();
  const type = `calling.call.${$("event").value}`;
  request("POST", "/faults/drop_event", { event_type: type }, `The next ${type} will be lost.`);
});
$("clear-faults").addEventListener("click", () => request("DELETE", "/faults", undefined, "No faults are waiting."));
$("event").append(...EVENTS.map((name) => new Option(`calling.call.${name}`, name)));
$("clear").addEventListener("click", () => $("wire").replaceChildren());

const scopes = [
  new Scope($("said"), $("said-level"), () => sound.said),
  new Scope($("heard"), $("heard-level"), () => sound.heard),
];
setInterval(() => {
  if (!document.hidden && call) for (const scope of scopes) scope.draw();
}, 66);

// The wire: frames from before the page was opened, then live events. Frames are numbered, and none is shown twice.
let next = 0;
const clients = new Set(); // connections of the program's clients
let early = []; // live events that arrive while older frames are read
function frame(entry) {
  if (entry.number < next) return;
  next = entry.number + 1;
  for (const panel of [calls, texts, wire]) panel.entry(entry);
}
function program() {
  if (clients.size) $("text-problem").textContent = "";
  chip("program", clients.size ? "good" : "bad", clients.size ? "Program connected" : "No program connected");
}
function happened({ kind, data }) {
  if (kind === "frame") frame(data);
  else if (kind === "client") {
    if (data.state === "authenticated") clients.add(data.connection);
    else if (data.state === "closed") clients.delete(data.connection);
    program();
  } else if (kind === "notice") notice(data.kind, data.text);
  else if (kind === "fault" && data.state === "applied") $("faults").textContent = `Happened: ${data.fault}`;
}
new Line("/simulator/live", key, {
  options: () => ({ kinds: ["frame", "notice", "fault", "client"] }),
  onMessage: (message) => (early ? early.push(message) : happened(message)),
  onStart: async () => {
    early = [];
    clients.clear();
    try {
      for (const { connection } of await ask(key, "GET", "/sessions")) clients.add(connection);
      program();
      for (let entries = [1], end; entries.length; ) {
        ({ entries, end } = await ask(key, "GET", `/journal?since=${next}`));
        if (end < next) [next, entries] = [0, [1]]; // another simulator, which numbers its frames from 0
        else entries.forEach(frame);
      }
    } catch {
      // the events that follow are enough
    }
    const waiting = early;
    early = null;
    waiting.forEach(happened);
  },
  onClose: () => chip("program", "bad", ""),
});
show();
