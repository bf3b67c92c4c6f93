// Files, cines, videos and the demo: where frames come from and which one is shown.

import { drawReading } from "./draw.js";
import { showReading } from "./panel.js";

const at = (id) => document.getElementById(id);
const hidden = new Set();
let frames = []; // {picture, reading}
const KEPT_FRAMES = 400; // of a video: older ones would fill the memory
let shown = 0;
let playing = false;
let turn = 0; // a newer file makes an older one's answers stale

function say(text, bad = false) {
  at("state").textContent = text;
  at("state").classList.toggle("bad", bad);
}

function show(index) {
  const frame = frames[index];
  if (!frame) return;
  shown = index;
  at("hint").hidden = true;
  drawReading(at("picture"), frame.picture, frame.reading, hidden);
  if (frame.reading) showReading(frame.reading, hidden, () => show(shown));
  at("timeline").max = frames.length - 1;
  at("timeline").value = index;
  at("position").textContent = `${index + 1} / ${frames.length}`;
  at("timeline").disabled = at("play").disabled = frames.length < 2;
}

function setPlaying(value) {
  playing = value;
  at("play").textContent = value ? "Pause" : "Play";
}

function begin() {
  frames = [];
  setPlaying(false);
  return ++turn;
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

async function problem(response) {
  const body = await response.json().catch(() => ({ detail: response.statusText }));
  throw new Error(body.detail);
}

async function openPicture(file, mine) {
  const response = await fetch(`/v1/frames?${new URLSearchParams(query())}`, {
    method: "POST", body: file, headers: { "Content-Type": file.type || "application/octet-stream" },
  });
  if (!response.ok) await problem(response);
  const reading = await response.json();
  const picture = await createImageBitmap(file);
  if (mine !== turn) return;
  frames = [{ picture, reading }];
  show(0);
  say(file.name ?? "");
}

async function openDicom(file, mine) {
  const response = await fetch(`/v1/cines?${new URLSearchParams({ pictures: "jpeg", ...query() })}`, {
    method: "POST", body: file, headers: { "Content-Type": "application/dicom" },
  });
  if (!response.ok) await problem(response);
  for await (const line of lines(response.body)) {
    if (mine !== turn) return;
    const told = JSON.parse(line);
    if (told.summary) {
      say(told.summary.error ?? `${file.name}: ${told.summary.frames} frames`, Boolean(told.summary.error));
      continue;
    }
    const blob = await (await fetch(told.picture)).blob();
    delete told.picture;
    frames.push({ picture: await createImageBitmap(blob), reading: told });
    if (frames.length === 1) show(0);
    at("timeline").max = frames.length - 1;
    at("position").textContent = `${shown + 1} / ${frames.length}`;
  }
  show(shown);
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts.filter(Boolean);
  }
  if (rest) yield rest;
}

// One frame on its way at a time: the next is sent when the last was answered.
class Stream {
  constructor() {
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/stream`);
    this.ready = new Promise((resolve, reject) => {
      this.socket.addEventListener("open", resolve, { once: true });
      this.socket.addEventListener("error", () => reject(new Error("the server's stream cannot be reached")), { once: true });
    });
  }

  ask(message) {
    return new Promise((resolve, reject) => {
      const done = (event) => { clean(); resolve(JSON.parse(event.data)); };
      const gone = () => { clean(); reject(new Error("the stream was closed by the server")); };
      const clean = () => {
        this.socket.removeEventListener("message", done);
        this.socket.removeEventListener("close", gone);
      };
      this.socket.addEventListener("message", done);
      this.socket.addEventListener("close", gone);
      this.socket.send(message);
    });
  }

  close() { this.socket.close(); }
}

async function openVideo(file, mine) {
  const video = Object.assign(document.createElement("video"), { src: URL.createObjectURL(file), muted: true });
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error(`${file.name}: the browser cannot play this video`));
  });
  const stream = new Stream();
  await stream.ready;
  const accepted = await stream.ask(JSON.stringify(settings()));
  if (accepted.status) throw new Error(accepted.detail);
  const sheet = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const pen = sheet.getContext("2d");
  await video.play();
  while (mine === turn && !video.ended) {
    pen.drawImage(video, 0, 0);
    const picture = await createImageBitmap(sheet);
    const reading = await stream.ask(await sheet.convertToBlob({ type: "image/jpeg", quality: 0.92 }));
    if (reading.status) { say(reading.detail, true); continue; }
    frames.push({ picture, reading });
    if (frames.length > KEPT_FRAMES) frames.shift().picture.close();
    show(frames.length - 1);
  }
  stream.close();
  if (mine === turn) say(`${file.name}: ${frames.length} frames read live`);
}

async function open(file) {
  const mine = begin();
  say(`Reading ${file.name} ...`);
  try {
    const head = new Uint8Array(await file.slice(0, 132).arrayBuffer());
    const dicom = String.fromCharCode(...head.slice(128, 132)) === "DICM" || /\.dcm$/i.test(file.name);
    if (dicom) await openDicom(file, mine);
    else if (file.type.startsWith("video/")) await openVideo(file, mine);
    else await openPicture(file, mine);
  } catch (error) {
    if (mine === turn) say(error.message, true);
  }
}

async function playDemo() {
  const mine = begin();
  const stream = new Stream();
  await stream.ready;
  say("Phantom cines are being drawn ...");
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  while (mine === turn) {
    const { clips, frames_each: each } = await (await fetch("/demo/clips")).json();
    if (clips.every((clip) => clip.frames === 0)) { await pause(300); continue; }
    for (const clip of clips.filter((c) => c.frames > 0)) {
      await stream.ask(JSON.stringify({ spacing_mm: clip.spacing_mm, age_years: clip.age_years }));
      for (let k = 0; k < clip.frames && mine === turn; k += 1) {
        const blob = await (await fetch(`/demo/${clip.view}/${k}.jpg`)).blob();
        const picture = await createImageBitmap(blob);
        const reading = await stream.ask(blob);
        if (mine !== turn) break;
        if (reading.status) { say(reading.detail, true); continue; }
        frames = [{ picture, reading }];
        show(0);
        at("position").textContent = `${k + 1} / ${each}`;
        say("Demo: phantom cines of the three hip views, read live. Drop a file to read your own.");
        await pause(60);
      }
    }
  }
  stream.close();
}

at("file").addEventListener("change", (event) => event.target.files[0] && open(event.target.files[0]));
at("play").addEventListener("click", () => setPlaying(!playing));
at("timeline").addEventListener("input", (event) => { setPlaying(false); show(Number(event.target.value)); });
const drop = at("drop");
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
});
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input[type=text], select, button")) return;
  if (event.key === " " && frames.length > 1) { event.preventDefault(); setPlaying(!playing); }
  if (event.key === "ArrowRight" && frames.length > 1) show((shown + 1) % frames.length);
  if (event.key === "ArrowLeft" && frames.length > 1) show((shown + frames.length - 1) % frames.length);
});
setInterval(() => playing && frames.length > 1 && show((shown + 1) % frames.length), 60);

const { spec, demo } = await (await fetch("/v1/model")).json();
at("trained").textContent = `Model ${spec.name} ${spec.version}, trained on ${spec.trained_on}`;
if (demo) playDemo().catch((error) => say(error.message, true));
