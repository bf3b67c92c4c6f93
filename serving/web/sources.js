// Where frames come from: files, DICOM cines, videos, a camera or frame grabber, the demo. Each hands frames to `add`,
// a function that takes {reading, blob, picture}, until `alive()` says that something newer is shown
// (and `signal` at that moment).

import { Stream } from "./stream.js";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function problem(response) {
  const body = await response.json().catch(() => ({ detail: response.statusText }));
  throw new Error(body.detail);
}

// The file's answer, with its pictures as they were read: a browser turns a picture by its EXIF, and shows a deep one dark.
async function posted(route, file, known) {
  const response = await fetch(`${route}?${new URLSearchParams({ pictures: "jpeg", ...known })}`, {
    method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" }, // told by its content
  }).catch(() => { throw new Error("The server cannot be reached: is it running?"); });
  if (!response.ok) await problem(response);
  return response;
}

async function pictured({ picture, ...reading }) {
  return { reading, blob: await (await fetch(picture)).blob() };
}

export async function readPicture(file, known, { add, alive, say }) {
  const frame = await pictured(await (await posted("/v1/frames", file, known)).json());
  if (!alive()) return;
  add(frame);
  say(file.name ?? "");
}

export async function readDicom(file, known, { add, alive, say }) {
  const response = await posted("/v1/cines", file, known);
  for await (const line of lines(response.body)) {
    if (!alive()) return;
    const told = JSON.parse(line);
    if (told.summary) {
      say(told.summary.error ?? `${file.name}: ${inShort(told.summary)}`, Boolean(told.summary.error));
      continue;
    }
    const frame = await pictured(told);
    if (alive()) add(frame, { follow: false });
  }
}

function inShort({ frames, cine }) {
  const count = frames === 1 ? "one frame" : `${frames} frames`;
  if (cine.grade === null) return `${count}, not graded`;
  const grade = `grade ${cine.grade} (${Math.round(100 * cine.probabilities[cine.grade])} %)`;
  return frames === 1 ? `${count}, ${grade}` : `${count}, ${grade} from ${cine.frames} of them`;
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      yield* parts.filter(Boolean);
    }
    if (rest) yield rest;
  } finally {
    reader.cancel().catch(() => {}); // who stops listening lets the server stop reading
  }
}

// A playing <video>, of a file or a camera: every picture it presents goes to the stream while there is room.
async function readVideo(video, known, feed) {
  const { add, alive, say } = feed;
  const stream = new Stream(known, { answered: (frame) => (alive() ? add(frame) : frame.picture.close()), told: say });
  await stream.ready;
  feed.stream = stream;
  const next = () => {
    if (stream.ended) return;
    video.requestVideoFrameCallback(next);
    if (stream.free) createImageBitmap(video).then((bitmap) => stream.send({ bitmap }), () => {});
    else stream.passed += 1;
  };
  video.requestVideoFrameCallback(next);
  let fault = null;
  video.play().catch((error) => { fault = error; });
  const over = () => !alive() || video.ended || video.srcObject?.active === false || stream.ended || fault;
  while (!over()) await pause(50); // looked at from here: a source that stands still presents nothing
  for (let k = 0; k < 50 && stream.flying > 0 && alive(); k += 1) await pause(100);
  stream.close();
  video.pause();
  if (fault) throw fault;
  return stream.passed;
}

export async function readVideoFile(file, known, feed) {
  const video = Object.assign(document.createElement("video"), { src: URL.createObjectURL(file), muted: true });
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error(`${file.name}: the browser cannot play this video`));
  });
  const passed = await readVideo(video, known, feed);
  URL.revokeObjectURL(video.src);
  feed.say(`${file.name}: read live, ${passed} frames passed by`);
}

export async function readCamera(deviceId, known, feed) {
  const wanted = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  const media = await navigator.mediaDevices.getUserMedia({ video: deviceId ? { ...wanted, deviceId: { exact: deviceId } } : wanted });
  const video = Object.assign(document.createElement("video"), { srcObject: media, muted: true, playsInline: true });
  const [track] = media.getVideoTracks();
  feed.say(`Camera: ${track.label || "unnamed"}`);
  try {
    await readVideo(video, known, feed);
    feed.say(`${track.label || "The camera"} gives no more pictures: is it plugged in?`, true);
  } finally {
    track.stop();
  }
}

export async function cameras() {
  const devices = await (navigator.mediaDevices?.enumerateDevices() ?? []);
  return devices.filter((device) => device.kind === "videoinput");
}

// What `hipsono watch` reads: for each frame its Reading, then its picture.
export async function followWatch(feed) {
  for (let tries = 0; feed.alive(); tries += 1) {
    const { heard, why } = await followed(feed);
    if (heard) tries = 0;
    feed.say(`${why || "The server watches no source, or it cannot be reached"}: trying again`, true);
    await pause(Math.min(250 * 2 ** tries, 4000));
  }
}

// Until the connection closes: whether any picture came, and why it closed. A text without a schema is a notice.
async function followed({ add, alive, signal, say }) {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/watch`);
  const leave = () => socket.close(); // who looks elsewhere keeps no seat, though nothing comes any more
  signal.addEventListener("abort", leave);
  let reading = null, taken = 0, quiet = false;
  socket.addEventListener("message", ({ data }) => {
    if (!alive()) return;
    if (typeof data === "string") {
      const told = JSON.parse(data);
      if (told.schema === undefined) { say(told.detail, true); quiet = true; return; }
      if (!reading || quiet) say("What the server watches");
      [reading, quiet, taken] = [told, false, performance.now() - told.age_ms];
    } else add({ reading, blob: data, taken, skipped: reading.dropped });
  });
  const { reason } = await new Promise((resolve) => socket.addEventListener("close", resolve));
  signal.removeEventListener("abort", leave);
  return { heard: reading !== null, why: reason };
}

// The server's phantom cines, one after another, for as long as nothing else is shown.
export async function playDemo({ add, alive, say, clear, held }) {
  const stream = new Stream({}, { answered: (frame) => (alive() ? add(frame) : frame.picture.close()), told: say });
  const going = async () => {
    while (alive() && (held() || !stream.open || stream.flying > 0)) await pause(20);
    return alive();
  };
  try {
    await stream.ready;
    say("Phantom cines are being drawn ...");
    while (alive()) {
      const { clips } = await (await fetch("/demo/clips")).json();
      if (clips.every((clip) => clip.frames === 0)) { await pause(300); continue; }
      for (const clip of clips.filter((c) => c.frames > 0)) {
        if (!await going()) break;
        clear();
        stream.settle({ spacing_mm: clip.spacing_mm, age_years: clip.age_years });
        say("Demo: phantom cines of the three hip views, read live. Drop a file to read your own.");
        for (let k = 0; k < clip.frames && await going(); k += 1) {
          stream.send({ blob: await (await fetch(`/demo/${clip.view}/${k}.jpg`)).blob() });
          await pause(60);
        }
      }
    }
  } finally {
    stream.close();
  }
}
