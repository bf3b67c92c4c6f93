// A Reading drawn over its picture. Nothing here knows where either came from.

export const COLOURS = {
  aiis: "255,196,61", psoas_tendon: "124,214,92", iliopectineal_eminence: "255,140,66", femoral_artery: "239,71,86",
  femoral_vein: "74,132,255", inferomedial_acetabulum: "214,162,255", femoral_head: "255,209,128",
  femoral_neck: "188,170,120", anterior_recess: "64,206,200",
};
const SAFETY = { danger: "#ff4d4d", caution: "#ffbe3c", clear: "#5adc82" };

export const words = (name) => {
  const text = name.replaceAll("_", " ");
  return text === "aiis" ? "AIIS" : text[0].toUpperCase() + text.slice(1);
};

export function drawReading(canvas, picture, reading, hidden) {
  canvas.width = reading?.frame.width ?? picture.width;
  canvas.height = reading?.frame.height ?? picture.height;
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  if (!reading) return;
  const unit = Math.max(canvas.width, canvas.height) / 900;
  for (const structure of reading.structures) if (!hidden.has(structure.name)) outline(pen, structure, unit);
  for (const one of reading.measurements) if (one.name === "capsule_distance" && one.value !== null) span(pen, one, unit);
  for (const target of reading.targets) aim(pen, target, unit);
  const taken = [];
  for (const point of [...reading.landmarks].sort((a, b) => a.y - b.y)) mark(pen, point, unit, taken);
  canvas.setAttribute("aria-label", describe(reading));
}

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

function label(pen, text, x, y, size, colour) {
  pen.font = `600 ${size}px system-ui, sans-serif`;
  pen.lineJoin = "round";
  pen.lineWidth = size / 4;
  pen.strokeStyle = "rgba(0,0,0,.8)";
  pen.strokeText(text, x, y);
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

function mark(pen, point, unit, taken) {
  const arm = 8 * unit, size = 14 * unit, text = words(point.name);
  for (const [width, colour] of [[4 * unit, "rgba(0,0,0,.7)"], [1.6 * unit, "#fff"]]) {
    pen.beginPath();
    pen.moveTo(point.x - arm, point.y); pen.lineTo(point.x + arm, point.y);
    pen.moveTo(point.x, point.y - arm); pen.lineTo(point.x, point.y + arm);
    pen.lineWidth = width; pen.strokeStyle = colour; pen.stroke();
  }
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const wide = pen.measureText(text).width;
  const x = Math.min(Math.max(point.x + 12 * unit, 4), pen.canvas.width - wide - 4);
  let y = Math.max(point.y - 12 * unit, size + 2);
  while (taken.some((b) => x < b.x + b.wide && b.x < x + wide && Math.abs(y - b.y) < size * 1.15) && y > 2 * size) y -= size * 1.2;
  taken.push({ x, y, wide });
  label(pen, text, x, y, size, "#fff");
}

function aim(pen, target, unit) {
  const colour = SAFETY[target.safety] ?? "#ccc";
  pen.beginPath();
  pen.arc(target.x, target.y, 11 * unit, 0, 7);
  pen.lineWidth = 3 * unit; pen.strokeStyle = colour; pen.stroke();
  label(pen, `target: ${target.safety ?? "clearance unknown"}`, target.x + 15 * unit, target.y + 22 * unit, 15 * unit, colour);
}

function span(pen, one, unit) {
  const [[x0, y0], [x1, y1]] = one.points;
  pen.beginPath();
  pen.moveTo(x0, y0); pen.lineTo(x1, y1);
  pen.lineWidth = 2.5 * unit; pen.strokeStyle = "#ffff78"; pen.stroke();
  label(pen, `${one.value.toFixed(1)} mm`, x0 + 8 * unit, y0 + 22 * unit, 15 * unit, "#ffff78");
}

export function describe(reading) {
  const found = reading.landmarks.map((p) => words(p.name)).join(", ") || "nothing located";
  const { grade, reason } = reading.solar.gsus;
  return `${words(reading.view.name)}; ${found}; ${grade === null ? `not graded: ${reason}` : `grade ${grade}`}`;
}
