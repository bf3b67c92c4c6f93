// A Reading drawn over its picture. Nothing here knows where either came from.

import { placeLabel } from "./labels.js";

export const COLOURS = {
  aiis: "255,196,61", psoas_tendon: "124,214,92", iliopectineal_eminence: "255,140,66", femoral_artery: "239,71,86",
  femoral_vein: "74,132,255", inferomedial_acetabulum: "214,162,255", femoral_head: "255,209,128",
  femoral_neck: "188,170,120", anterior_recess: "64,206,200",
};
const SAFETY = { danger: "#ff4d4d", caution: "#ffbe3c", clear: "#5adc82" };
const MEASURE = "#ffff78";
const SMALLEST_PX = 9; // of the page's, which the browser's zoom enlarges

export const words = (name) => {
  const text = name.replaceAll("_", " ");
  return text === "aiis" ? "AIIS" : text[0].toUpperCase() + text.slice(1);
};

// Letters are 14 units tall: a size that goes with the picture, and never less than can be read where it is shown small.
function unitOf(canvas, scale) {
  const shown = canvas.clientWidth || canvas.width;
  return Math.max((scale * Math.max(canvas.width, canvas.height)) / 900, ((SMALLEST_PX / 14) * canvas.width) / shown);
}

// `look`: {hidden: Set of structure names, overlay: false for the bare picture, scale: size of lines and letters}
export function drawReading(canvas, picture, reading, look) {
  const width = reading?.frame.width ?? picture.width, height = reading?.frame.height ?? picture.height;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.style.width = `min(100%, ${((72 * width) / height).toFixed(2)}vh)`; // as large as the page has room for
  const pen = canvas.getContext("2d", { alpha: false });
  pen.drawImage(picture, 0, 0, width, height);
  if (!reading) return;
  const unit = unitOf(canvas, look.scale);
  const taken = ruler(pen, reading.frame, unit);
  if (look.overlay) overlay(pen, reading, { hidden: look.hidden, taken }, unit);
}

function overlay(pen, reading, { hidden, taken }, unit) {
  for (const structure of reading.structures) if (!hidden.has(structure.name)) outline(pen, structure, unit);
  const distance = reading.measurements.find((one) => one.name === "capsule_distance" && one.value !== null);
  const target = reading.targets[0];
  const points = reading.landmarks.filter((p) => !hidden.has(p.name));
  const around = ({ x, y }, reach) => [x - reach, y - reach, x + reach, y + reach];
  taken.push( // a structure whose outline is off is there to be looked at: no label goes over it either
    ...reading.structures.map((s) => s.bbox), ...points.map((p) => around(p, 8 * unit)), ...reading.targets.map((t) => around(t, 13 * unit)),
    ...(distance ? [bounds(distance.points)] : []),
  );
  for (const point of points) cross(pen, point, unit);
  if (distance) span(pen, distance, unit, taken);
  for (const one of reading.targets) aim(pen, one, unit, taken);
  for (const point of points) {
    if (target && Math.hypot(point.x - target.x, point.y - target.y) < 2 * unit) continue;
    label(pen, { key: point.name, text: words(point.name), x: point.x, y: point.y, colour: "#fff" }, 14 * unit, taken);
  }
}

const bounds = ([[x0, y0], [x1, y1]]) => [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];

function outline(pen, structure, unit) {
  pen.beginPath();
  for (const part of structure.contours) {
    part.forEach(([x, y], k) => (k ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
  }
  pen.fillStyle = `rgba(${COLOURS[structure.name]},0.22)`;
  pen.fill();
  pen.strokeStyle = `rgb(${COLOURS[structure.name]})`;
  pen.lineWidth = 1.6 * unit;
  pen.stroke();
}

function cross(pen, point, unit) {
  const arm = 7 * unit;
  for (const [width, colour] of [[3.5 * unit, "rgba(0,0,0,.7)"], [1.5 * unit, "#fff"]]) {
    pen.beginPath();
    pen.moveTo(point.x - arm, point.y); pen.lineTo(point.x + arm, point.y);
    pen.moveTo(point.x, point.y - arm); pen.lineTo(point.x, point.y + arm);
    pen.lineWidth = width; pen.strokeStyle = colour; pen.stroke();
  }
}

function label(pen, one, size, taken) {
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const box = { wide: pen.measureText(one.text).width, tall: size };
  const place = placeLabel(one, box, taken, pen.canvas);
  taken.push([place.x, place.y - size, place.x + box.wide, place.y + size * 0.3]);
  if (place.far) {
    pen.beginPath();
    pen.moveTo(one.x, one.y);
    pen.lineTo(Math.min(Math.max(one.x, place.x), place.x + box.wide), one.y < place.y ? place.y - size : place.y + 3);
    pen.lineWidth = size / 12; pen.strokeStyle = "rgba(255,255,255,.6)"; pen.stroke();
  }
  write(pen, one.text, place, size, one.colour);
}

function write(pen, text, { x, y }, size, colour) {
  pen.font = `600 ${size}px system-ui, sans-serif`;
  pen.lineJoin = "round";
  pen.lineWidth = size / 4;
  pen.strokeStyle = "rgba(0,0,0,.8)";
  pen.strokeText(text, x, y);
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

function aim(pen, target, unit, taken) {
  const colour = SAFETY[target.safety] ?? "#ccc";
  pen.beginPath();
  pen.arc(target.x, target.y, 11 * unit, 0, 7);
  pen.lineWidth = 3 * unit; pen.strokeStyle = colour; pen.stroke();
  const near = Object.values(target.clearance_mm).filter((mm) => mm !== null);
  const room = near.length ? `, ${Math.min(...near).toFixed(1)} mm` : "";
  const text = `target: ${target.safety ?? "clearance unknown"}${room}`;
  label(pen, { key: "target", text, x: target.x, y: target.y, colour }, 15 * unit, taken);
}

function span(pen, one, unit, taken) {
  const [[x0, y0], [x1, y1]] = one.points;
  stroke(pen, [[x0, y0], [x1, y1]], 2.5 * unit, MEASURE);
  const text = `${one.value.toFixed(1)} mm`;
  label(pen, { key: "span", text, x: (x0 + x1) / 2, y: (y0 + y1) / 2, colour: MEASURE }, 15 * unit, taken);
}

function stroke(pen, points, width, colour) {
  pen.beginPath();
  points.forEach(([x, y], k) => (k ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.lineWidth = width; pen.strokeStyle = colour; pen.stroke();
}

// Ticks every 5 mm down the sector's left edge, numbered every 10; nothing without a scale. Gives the numbers' places.
function ruler(pen, frame, unit) {
  if (!frame.spacing_mm) return [];
  const [x0, y0, , y1] = frame.sector;
  const edge = Math.max(x0, 30 * unit), step = 5 / frame.spacing_mm[0];
  if (step < 3) return [];
  const left = edge - 28 * unit, taken = [];
  for (let k = 0; y0 + k * step <= y1; k += 1) {
    const y = y0 + k * step, whole = k % 2 === 0;
    stroke(pen, [[edge - (whole ? 9 : 5) * unit, y], [edge - 1, y]], 1.4 * unit, "rgba(255,255,255,.75)");
    if (!whole || !k) continue;
    write(pen, `${k * 5}`, { x: left, y: y + 4 * unit }, 11 * unit, "#dfe5ea");
    taken.push([left, y - 7 * unit, edge, y + 4 * unit]);
  }
  write(pen, "mm", { x: left, y: y0 + 10 * unit }, 10 * unit, "#dfe5ea");
  return taken;
}

// A line drawn by hand, and what it measures: the scale is the frame's own.
export function drawTape(canvas, [x0, y0], [x1, y1], spacing, scale) {
  const pen = canvas.getContext("2d"), unit = unitOf(canvas, scale);
  stroke(pen, [[x0, y0], [x1, y1]], 2 * unit, MEASURE);
  const text = spacing ? `${Math.hypot((x1 - x0) * spacing[1], (y1 - y0) * spacing[0]).toFixed(1)} mm` : "no scale";
  write(pen, text, { x: x1 + 8 * unit, y: y1 - 8 * unit }, 16 * unit, MEASURE);
  return text;
}

// Small print along the lower edge, as large as the width allows.
export function sign(pen, text) {
  const { width, height } = pen.canvas;
  pen.font = "600 100px system-ui, sans-serif";
  const size = Math.min(height / 32, (96 * width) / pen.measureText(text).width);
  write(pen, text, { x: 0.02 * width, y: height - 0.6 * size }, size, "#fff");
}

// A server's sentence, whose names are those of its JSON, for people.
export const plain = (sentence) => sentence?.replaceAll("_", " ") ?? "";

// What a frame shows in one sentence; it stays the same while only the confidences move.
export function gist(reading) {
  const found = reading.landmarks.map((p) => words(p.name)).join(", ") || "nothing located";
  const { grade, reason } = reading.solar.gsus;
  return `${words(reading.view.name)}; ${found}; ${grade === null ? `not graded: ${plain(reason)}` : `grade ${grade}`}`;
}

const percent = (share) => `${Math.round(100 * share)} %`;

export const doubt = ({ probabilities }) => probabilities?.map((share, grade) => `grade ${grade} ${percent(share)}`).join(", ") ?? "";

// The same with what makes it doubtful.
export const describe = (reading) => [gist(reading), doubt(reading.solar.gsus), reading.solar.gsus.review].filter(Boolean).join("; ");
