// What is shown, and what a person does about it. Frames come from sources.js, are drawn by draw.js and told by panel.js.

import { drawReading, drawTape } from "./draw.js";
import { Panel } from "./panel.js";
import { cameras, followWatch, playDemo, readCamera, readDicom, readPicture, readVideoFile } from "./sources.js";
import { Timeline, decidingIndex } from "./timeline.js";

const at = (id) => document.getElementById(id);
const KEPT_FRAMES = 600; // of a live cine, as JPEG: older ones would fill the memory
const PLAY_MS = 60;

const look = { hidden: new Set(), overlay: true, scale: 1 };
let frames = []; // {reading, blob, picture while it is the newest}
let shown = -1;
let current = null; // the picture on the screen
let playing = false;
let frozen = false;
let live = false;
let turn = 0; // a newer source makes an older one's answers stale

const panel = new Panel(look.hidden, () => draw());
const timeline = new Timeline(at("strip"), at("timeline"), (index) => { setPlaying(false); if (live) setFrozen(true); show(index); });

function say(text, bad = false) {
  at("state").textContent = text;
  at("state").classList.toggle("bad", bad);
}

function draw() {
  if (current) drawReading(at("picture"), current, frames[shown]?.reading, look);
}

async function show(index) {
  const frame = frames[index];
  if (!frame) return;
  shown = index;
  const picture = frame.picture ?? await createImageBitmap(frame.blob);
  if (frames[shown] !== frame) return;
  if (current && current !== picture) current.close();
  current = picture;
  frame.picture = null;
  at("hint").hidden = true;
  draw();
  panel.show(frame.reading);
  tellPosition();
}

function tellPosition() {
  timeline.show(frames, Math.max(shown, 0));
  at("position").textContent = `${shown + 1} / ${frames.length}`;
  at("play").disabled = frames.length < 2;
  at("save-picture").disabled = at("save-reading").disabled = shown < 0;
}

function setPlaying(value) {
  playing = value;
  at("play").textContent = value ? "Pause" : "Play";
}

function setFrozen(value) {
  frozen = value;
  at("freeze").setAttribute("aria-pressed", String(value));
  at("freeze").textContent = value ? "Go live" : "Freeze";
  if (!value && frames.length) show(frames.length - 1);
}

// Forgets what was shown; what is given belongs to the new source alone.
function begin({ isLive = false } = {}) {
  const mine = ++turn;
  const clear = () => { frames = []; shown = -1; };
  clear();
  setPlaying(false);
  live = isLive;
  frozen = false;
  at("freeze").disabled = !isLive;
  setFrozen(false);
  const alive = () => mine === turn;
  const add = (frame, { follow = true } = {}) => {
    frames.push(frame);
    if (frames.length > KEPT_FRAMES) { frames.shift(); shown = Math.max(shown - 1, 0); }
    const newest = frames.length - 1;
    if (newest === 0 || (follow && !frozen)) {
      if (shown >= 0 && frames[newest - 1]?.picture) frames[newest - 1].picture = null;
      show(newest);
      if (frame.taken) at("picture").dataset.shownAfterMs = (performance.now() - frame.taken).toFixed(1);
    } else {
      frame.picture?.close();
      frame.picture = null;
      tellPosition();
    }
  };
  return { alive, add, say, clear, held: () => frozen };
}

// What the person knows of the frame; what was left empty is not sent.
const query = () => Object.fromEntries(
  [["spacing_mm", "spacing"], ["age_years", "age"], ["laterality", "laterality"]]
    .map(([name, id]) => [name, at(id).value.trim()])
    .filter(([, value]) => value),
);

const settings = () => {
  const told = query();
  return told.age_years ? { ...told, age_years: Number(told.age_years) } : told;
};

async function guarded(feed, work) {
  try {
    await work();
  } catch (error) {
    if (feed.alive()) say(error.message, true);
  }
}

async function open(file) {
  const isVideo = file.type.startsWith("video/");
  const feed = begin({ isLive: isVideo });
  say(`Reading ${file.name} ...`);
  await guarded(feed, async () => {
    const head = new Uint8Array(await file.slice(0, 132).arrayBuffer());
    const dicom = String.fromCharCode(...head.slice(128, 132)) === "DICM" || /\.dcm$/i.test(file.name);
    if (dicom) await readDicom(file, query(), feed);
    else if (isVideo) await readVideoFile(file, settings(), feed);
    else await readPicture(file, query(), feed);
  });
}

async function toggleCamera() {
  if (at("camera").getAttribute("aria-pressed") === "true") {
    turn += 1;
    return;
  }
  const feed = begin({ isLive: true });
  at("camera").setAttribute("aria-pressed", "true");
  at("camera").textContent = "Stop camera";
  await guarded(feed, () => readCamera(at("device").value, settings(), feed));
  at("camera").setAttribute("aria-pressed", "false");
  at("camera").textContent = "Camera";
  at("freeze").disabled = true;
  listCameras();
}

async function listCameras() {
  const found = await cameras();
  at("device").replaceChildren(...found.map((d, k) => new Option(d.label || `camera ${k + 1}`, d.deviceId)));
  at("device").hidden = found.length < 2;
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const savePicture = () => shown >= 0 && at("picture").toBlob((blob) => save(blob, `hipsono-${frames[shown].reading.id}.png`));
const saveReading = () => {
  if (shown < 0) return;
  const { reading } = frames[shown];
  save(new Blob([JSON.stringify(reading, null, 1)], { type: "application/json" }), `hipsono-${reading.id}.json`);
};

const THEMES = ["auto", "light", "dark"];
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  at("theme").textContent = `Theme: ${name}`;
  localStorage.setItem("theme", name);
}
const nextTheme = () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);

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

const step = (by) => frames.length > 1 && (live && setFrozen(true), show((shown + by + frames.length) % frames.length));
const deciding = () => {
  const index = decidingIndex(frames);
  if (index < 0) return;
  if (live) setFrozen(true);
  show(index);
};

const ACTIONS = {
  play: () => frames.length > 1 && setPlaying(!playing),
  freeze: () => live && setFrozen(!frozen),
  camera: () => toggleCamera(),
  overlay: () => setOverlay(!look.overlay),
  far: () => setFar(!document.documentElement.classList.contains("far")),
  theme: nextTheme,
  "save-picture": savePicture,
  "save-reading": saveReading,
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

// A tape: drag over the picture to measure. It goes with the next frame.
const place = (event) => {
  const box = at("picture").getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * at("picture").width, ((event.clientY - box.top) / box.height) * at("picture").height];
};
let tapeFrom = null;
at("picture").addEventListener("pointerdown", (event) => { if (shown >= 0) { tapeFrom = place(event); if (live) setFrozen(true); } });
at("picture").addEventListener("pointermove", (event) => {
  if (!tapeFrom) return;
  setPlaying(false);
  draw();
  at("tape").textContent = drawTape(at("picture"), tapeFrom, place(event), frames[shown].reading.frame.spacing_mm, look.scale);
});
addEventListener("pointerup", () => { tapeFrom = null; });

at("file").addEventListener("change", (event) => event.target.files[0] && open(event.target.files[0]));
const drop = at("drop");
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
});
setInterval(() => playing && frames.length > 1 && show((shown + 1) % frames.length), PLAY_MS);

setTheme(localStorage.getItem("theme") ?? "auto");
listCameras().catch(() => {});
const { spec, demo } = await (await fetch("/v1/model")).json();
at("trained").textContent = `Model ${spec.name} ${spec.version}, trained on ${spec.trained_on}`;
if (demo || location.search === "?watch") {
  const feed = begin({ isLive: true });
  guarded(feed, () => (demo ? playDemo(feed) : followWatch(feed)));
}
