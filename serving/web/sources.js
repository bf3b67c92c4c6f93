// Where frames come from: files, DICOM cines, videos, a camera or frame grabber, the demo. Each hands frames to `add`,
// a function that takes {reading, blob, picture}, until `alive()` says that something newer is shown.

import { Stream } from "./stream.js";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function problem(response) {
  const body = await response.json().catch(() => ({ detail: response.statusText }));
  throw new Error(body.detail);
}

export async function readPicture(file, query, { add, alive, say }) {
  const response = await fetch(`/v1/frames?${new URLSearchParams(query)}`, {
    method: "POST", body: file, headers: { "Content-Type": file.type || "application/octet-stream" },
  });
  if (!response.ok) await problem(response);
  const reading = await response.json();
  if (!alive()) return;
  add({ reading, blob: file });
  say(file.name ?? "");
}

export async function readDicom(file, query, { add, alive, say }) {
  const response = await fetch(`/v1/cines?${new URLSearchParams({ pictures: "jpeg", ...query })}`, {
    method: "POST", body: file, headers: { "Content-Type": "application/dicom" },
  });
  if (!response.ok) await problem(response);
  for await (const line of lines(response.body)) {
    if (!alive()) return;
    const told = JSON.parse(line);
    if (told.summary) {
      say(told.summary.error ?? `${file.name}: ${told.summary.frames} frames`, Boolean(told.summary.error));
      continue;
    }
    const blob = await (await fetch(told.picture)).blob();
    delete told.picture;
    add({ reading: told, blob }, { follow: false });
  }
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

// A playing <video>, of a file or a camera: every picture it presents goes to the stream while there is room.
async function readVideo(video, settings, { add, alive, say }) {
  const stream = new Stream(settings, (frame) => (alive() ? add(frame) : frame.picture.close()), (detail) => say(detail, true));
  await stream.ready;
  await new Promise((resolve) => {
    const next = () => {
      if (!alive() || video.ended || !stream.open) return resolve();
      video.requestVideoFrameCallback(next);
      if (stream.free) createImageBitmap(video).then((bitmap) => stream.send({ bitmap }), () => {});
      else stream.passed += 1;
    };
    video.addEventListener("ended", next, { once: true });
    video.requestVideoFrameCallback(next);
    video.play().catch((error) => { say(error.message, true); resolve(); });
  });
  for (let k = 0; k < 50 && stream.flying > 0 && stream.open; k += 1) await pause(100);
  stream.close();
  return stream.passed;
}

export async function readVideoFile(file, settings, feed) {
  const video = Object.assign(document.createElement("video"), { src: URL.createObjectURL(file), muted: true });
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error(`${file.name}: the browser cannot play this video`));
  });
  const passed = await readVideo(video, settings, feed);
  URL.revokeObjectURL(video.src);
  if (feed.alive()) feed.say(`${file.name}: read live, ${passed} frames passed by`);
}

export async function readCamera(deviceId, settings, feed) {
  const wanted = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  const media = await navigator.mediaDevices.getUserMedia({ video: deviceId ? { ...wanted, deviceId: { exact: deviceId } } : wanted });
  const video = Object.assign(document.createElement("video"), { srcObject: media, muted: true, playsInline: true });
  const [track] = media.getVideoTracks();
  feed.say(`Live: ${track.label || "camera"}`);
  track.addEventListener("ended", () => feed.say(`${track.label || "The camera"} was unplugged`, true));
  try {
    await readVideo(video, settings, feed);
  } finally {
    track.stop();
  }
}

export async function cameras() {
  const devices = await (navigator.mediaDevices?.enumerateDevices() ?? []);
  return devices.filter((device) => device.kind === "videoinput");
}

// What `hipsono watch` reads: for each frame its Reading, then its picture.
export async function followWatch({ add, alive, say }) {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/watch`);
  let reading = null;
  socket.addEventListener("message", ({ data }) => {
    if (!alive()) socket.close();
    else if (typeof data === "string") reading = JSON.parse(data);
    else add({ reading, blob: data });
  });
  await new Promise((resolve) => socket.addEventListener("close", resolve));
  if (alive()) say("The server watches no source, or its source has ended", true);
}

// The server's phantom cines, one after another, for as long as nothing else is shown.
export async function playDemo({ add, alive, say, clear, held }) {
  let answered = () => {};
  const stream = new Stream({}, (frame) => { if (alive()) add(frame); answered(); }, (detail) => { say(detail, true); answered(); });
  await stream.ready;
  say("Phantom cines are being drawn ...");
  while (alive()) {
    const { clips } = await (await fetch("/demo/clips")).json();
    if (clips.every((clip) => clip.frames === 0)) { await pause(300); continue; }
    for (const clip of clips.filter((c) => c.frames > 0)) {
      if (!alive()) break;
      clear();
      stream.settle({ spacing_mm: clip.spacing_mm, age_years: clip.age_years });
      for (let k = 0; k < clip.frames && alive(); k += 1) {
        const blob = await (await fetch(`/demo/${clip.view}/${k}.jpg`)).blob();
        while (held() && alive()) await pause(100);
        const done = new Promise((resolve) => { answered = resolve; });
        stream.send({ blob });
        await done;
        say("Demo: phantom cines of the three hip views, read live. Drop a file to read your own.");
        await pause(60);
      }
    }
  }
  stream.close();
}
