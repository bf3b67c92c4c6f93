// What is shown, and what a person does about it. Frames come from sources.js, are drawn by draw.js and told by panel.js.

import { drawReading } from "./draw.js";
import { Film } from "./film.js";
import { inWords, known, onKnown } from "./known.js";
import { Panel } from "./panel.js";
import { layTape, takeFiles } from "./pointer.js";
import { Pulse } from "./pulse.js";
import { savePicture, saveReading } from "./save.js";
import { cameras, followWatch, playDemo, readCamera, readDicom, readPicture, readVideoFile } from "./sources.js";
import { keptTheme, nextTheme } from "./theme.js";
import { Timeline, decidingIndex } from "./timeline.js";

const at = (id) => document.getElementById(id);
const KEPT_LIVE = 600; // frames, as JPEG: a camera has no end, and older ones would fill the memory
const KEPT_OF_FILE = 6000;
const PLAY_MS = 60;

const look = { hidden: new Set(), overlay: true, scale: 1 };
let film = new Film(KEPT_OF_FILE);
let seen = null; // {frame, picture}: what is on the screen; nothing else is drawn over, told or saved
let decoding = false, playing = false, frozen = false, live = false;
let source = null; // what frames come from now, or came from last
let turn = new AbortController(); // a newer source makes an older one's answers stale

const panel = new Panel(look.hidden, () => draw());
const pulse = new Pulse(at("pulse"), at("stale"), (stale) => at("drop").classList.toggle("stale", stale));
const timeline = new Timeline(at("strip"), at("timeline"), (index) => { setPlaying(false); if (live) setFrozen(true); show(film.frames[index]); });

function say(text, bad = false) {
  at("state").textContent = text;
  at("state").classList.toggle("bad", bad);
}

function draw() {
  if (seen) drawReading(at("picture"), seen.picture, seen.frame.reading, look);
}

// One picture is decoded at a time; of those wanted meanwhile the last comes next.
async function show(frame) {
  if (!frame) return;
  film.wanted = frame;
  if (frame.picture) put(frame, frame.picture);
  if (decoding) return;
  decoding = true;
  try {
    while (film.wanted && seen?.frame !== film.wanted) {
      const mine = film, next = film.wanted, picture = await createImageBitmap(next.blob);
      if (mine === film && seen?.frame !== film.wanted) put(next, picture);
      else picture.close();
    }
  } finally {
    decoding = false;
  }
}

function put(frame, picture) {
  frame.picture = null;
  seen?.picture.close();
  seen = { frame, picture };
  at("hint").hidden = true;
  at("tape").textContent = "";
  draw();
  panel.show(frame.reading);
  tellPosition();
}

// An empty screen: what is still to be read must not stand beside another picture's reading.
function blank() {
  seen?.picture.close();
  seen = null;
  at("picture").getContext("2d", { alpha: false }).clearRect(0, 0, at("picture").width, at("picture").height);
  at("tape").textContent = "";
  panel.clear();
  tellPosition();
}

function tellPosition() {
  const { frames, count } = film;
  timeline.show(film);
  at("position").textContent = seen ? `${seen.frame.number} / ${count}` : "–";
  at("kept").textContent = frames.length < count ? `${frames.length} kept, ${count - frames.length} let go` : "";
  at("play").disabled = frames.length < 2;
  at("cine-jump").disabled = decidingIndex(frames) < 0;
  at("save-picture").disabled = at("save-reading").disabled = !seen;
}

function setPlaying(value) {
  playing = value;
  at("play").textContent = value ? "Pause" : "Play";
}

function setFrozen(value) {
  if (frozen && !value) {
    setPlaying(false);
    show(film.newest);
  }
  markFrozen(value);
}

function markFrozen(value) {
  frozen = value;
  pulse.hold(value);
  at("freeze").setAttribute("aria-pressed", String(value));
  at("freeze").textContent = value ? "Go live" : "Freeze";
}

// What runs may be frozen; what has ended stays as it is shown.
function setLive(value) {
  live = value;
  markFrozen(false);
  at("freeze").disabled = !value;
  if (value) pulse.begin();
  else pulse.end();
}

function setCamera(value) {
  at("camera").setAttribute("aria-pressed", String(value));
  at("camera").textContent = value ? "Stop camera" : "Camera";
}

// Forgets what was shown; what is given belongs to the new source alone.
function begin({ isLive = false, room = KEPT_OF_FILE, told = {} } = {}) {
  turn.abort();
  turn = new AbortController();
  const { signal } = turn;
  const alive = () => !signal.aborted;
  const clear = () => { film = new Film(room); };
  clear();
  blank();
  setCamera(false);
  setPlaying(false);
  setLive(isLive);
  const add = (frame, { follow = true } = {}) => {
    const follows = follow && !frozen;
    film.add(frame, follows);
    if (live) pulse.beat(frame);
    if (follows || film.count === 1) {
      show(frame);
      if (frame.taken) at("picture").dataset.shownAfterMs = (performance.now() - frame.taken).toFixed(1);
    } else {
      frame.picture?.close();
      frame.picture = null;
      tellPosition();
    }
  };
  source = { alive, signal, add, clear, say: (text, bad) => alive() && say(text, bad), held: () => frozen, told, stream: null, again: null };
  return source;
}

async function guarded(feed, work) {
  try {
    await work();
  } catch (error) {
    if (feed.alive()) say(error.message, true);
  }
}

// What is known of the picture, or null after saying what keeps it from being read.
function knownOrSaid() {
  const told = known();
  if (told) return told;
  say("Not begun: mend or empty the marked field first", true);
  document.querySelector("[aria-invalid=true]").focus();
  return null;
}

async function open(file) {
  const told = knownOrSaid();
  if (!told) return;
  const isVideo = file.type.startsWith("video/");
  const feed = begin({ isLive: isVideo, told });
  if (!isVideo) feed.again = () => open(file);
  say(`Reading ${file.name} ...`);
  await guarded(feed, async () => {
    const head = new Uint8Array(await file.slice(0, 132).arrayBuffer());
    const dicom = String.fromCharCode(...head.slice(128, 132)) === "DICM" || /\.dcm$/i.test(file.name);
    if (dicom) await readDicom(file, told, feed);
    else if (isVideo) await readVideoFile(file, told, feed);
    else await readPicture(file, told, feed);
  });
  if (feed.alive()) setLive(false);
}

async function toggleCamera() {
  if (at("camera").getAttribute("aria-pressed") === "true") {
    turn.abort();
    setCamera(false);
    setLive(false);
    say("Camera stopped");
    return;
  }
  const told = knownOrSaid();
  if (!told) return;
  const feed = begin({ isLive: true, room: KEPT_LIVE, told });
  setCamera(true);
  await guarded(feed, () => readCamera(at("device").value, told, feed));
  if (feed.alive()) { setCamera(false); setLive(false); }
  listCameras();
}

// A scale, age or side that was changed: a stream takes it from its next frame on, an open file is read again.
function takeKnown() {
  const told = known();
  if (!told || !source || inWords(told) === inWords(source.told)) return;
  source.told = told;
  if (source.again) source.again();
  else if (live && source.stream) {
    source.stream.settle(told);
    say(`From the next frame on: ${inWords(told)}; a new cine begins`);
  } else say(`For what is opened next: ${inWords(told)}`);
}

async function listCameras() {
  const found = await cameras();
  at("device").replaceChildren(...found.map((d, k) => new Option(d.label || `camera ${k + 1}`, d.deviceId)));
  at("device").hidden = found.length < 2;
}

function setFar(value) {
  document.documentElement.classList.toggle("far", value);
  at("far").setAttribute("aria-pressed", String(value));
  look.scale = value ? 1.7 : 1;
  draw();
}

function setOverlay(value) {
  look.overlay = value;
  at("overlay").setAttribute("aria-pressed", String(value));
  draw();
}

const step = (by) => {
  const { frames, place } = film;
  if (frames.length < 2) return;
  if (live) setFrozen(true);
  show(frames[(place + by + frames.length) % frames.length]);
};
const deciding = () => {
  const frame = film.frames[decidingIndex(film.frames)];
  if (!frame) return;
  setPlaying(false);
  if (live) setFrozen(true);
  show(frame);
};

const ACTIONS = {
  play: () => {
    if (film.frames.length < 2) return;
    if (live) setFrozen(true);
    setPlaying(!playing);
  },
  freeze: () => live && setFrozen(!frozen),
  camera: () => toggleCamera(),
  overlay: () => setOverlay(!look.overlay),
  far: () => setFar(!document.documentElement.classList.contains("far")),
  theme: nextTheme,
  "save-picture": () => seen && savePicture(at("picture"), seen.frame.reading),
  "save-reading": () => seen && saveReading(seen.frame.reading),
  "cine-jump": deciding,
  help: () => (at("keys").open ? at("keys").close() : at("keys").showModal()),
};
const KEYS = {
  " ": "play", f: "freeze", c: "camera", o: "overlay", d: "far", t: "theme", s: "save-picture", r: "save-reading",
  g: "cine-jump", "?": "help",
};
for (const [id, act] of Object.entries(ACTIONS)) at(id).addEventListener("click", act);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=text], select, dialog *")) return;
  if (event.target.matches("button, input") && event.key === " ") return; // theirs: press, tick
  if (event.target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
  const action = KEYS[event.key.toLowerCase()];
  if (action) { event.preventDefault(); ACTIONS[action](); }
  if (event.key === "ArrowRight") step(1);
  if (event.key === "ArrowLeft") step(-1);
});

layTape(at("picture"), at("tape"), {
  grip: () => {
    if (seen) { setPlaying(false); if (live && !frozen) setFrozen(true); }
    return seen;
  },
  redraw: draw,
  spacing: () => seen.frame.reading.frame.spacing_mm,
  scale: () => look.scale,
});
takeFiles(at("file"), at("drop"), open);
onKnown(takeKnown);
addEventListener("resize", draw);
setInterval(() => playing && seen?.frame === film.wanted && show(film.frames[(film.place + 1) % film.frames.length]), PLAY_MS);

keptTheme();
listCameras().catch(() => {});
const { spec, demo } = await (await fetch("/v1/model")).json();
at("trained").textContent = `Model ${spec.name} ${spec.version}, trained on ${spec.trained_on}`;
if (demo || location.search === "?watch") {
  const feed = begin({ isLive: true, room: KEPT_LIVE });
  guarded(feed, () => (demo ? playDemo(feed) : followWatch(feed)));
}
