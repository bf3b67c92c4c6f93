// The reading in words and numbers beside the picture.

import { COLOURS, words } from "./draw.js";

const at = (id) => document.getElementById(id);
const make = (tag, text, className = "") => Object.assign(document.createElement(tag), { textContent: text, className });

export function showReading(reading, hidden, redraw) {
  const { gsus, pdus } = reading.solar;
  at("grade").textContent = gsus.grade ?? "not graded";
  at("grade").classList.toggle("none", gsus.grade === null);
  at("evidence").textContent = gsus.grade === null ? gsus.reason : [gsus.evidence, gsus.review].filter(Boolean).join("; ");
  at("bars").replaceChildren(...(gsus.probabilities ?? []).map(bar));
  at("doppler").textContent = pdus.calibrated === null ? `Power Doppler: ${pdus.reason}`
    : `Power Doppler: ${pdus.calibrated} calibrated, ${pdus.literal} literal`;
  at("view").textContent = `${words(reading.view.name)} (${Math.round(100 * reading.view.confidence)} %)`;
  at("measurements").replaceChildren(...measurementRows(reading));
  at("structures").replaceChildren(...reading.structures.map((s) => toggle(s, hidden, redraw)));
  at("targets-card").hidden = reading.targets.length === 0;
  at("targets").replaceChildren(...reading.targets.flatMap(targetLines));
  const times = reading.timings_ms;
  const scale = reading.frame.spacing_mm
    ? `${reading.frame.spacing_mm.map((v) => v.toFixed(3)).join(" x ")} mm per pixel (${reading.frame.spacing_source})`
    : "no scale: no millimetres";
  at("talk").replaceChildren(
    make("p", scale),
    make("p", Object.entries(times).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`).join(", ")),
    ...reading.warnings.map((text) => make("p", text)),
  );
}

function bar(probability, grade) {
  const span = make("span", "");
  span.style.height = `${Math.round(100 * probability)}%`;
  span.dataset.grade = grade;
  return span;
}

function toldValue(one) {
  if (one.value === null) return one.reason;
  if (one.unit === "1") return one.value.toFixed(3);
  const doubt = one.spread === null ? "" : ` (SD ${one.spread.toFixed(1)})`;
  return `${one.value.toFixed(1)} ${one.unit}${doubt}`;
}

function measurementRows(reading) {
  const rows = reading.measurements.map((one) => {
    const row = make("tr", "");
    row.append(make("td", words(one.name)), make("td", toldValue(one), one.value === null ? "reason" : ""));
    return row;
  });
  if (rows.length === 0) {
    const row = make("tr", "");
    row.append(make("td", "None in this view", "reason"));
    rows.push(row);
  }
  return rows;
}

function toggle(structure, hidden, redraw) {
  const line = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !hidden.has(structure.name) });
  box.addEventListener("change", () => {
    hidden[box.checked ? "delete" : "add"](structure.name);
    redraw();
  });
  const swatch = make("i", "");
  swatch.style.background = `rgb(${COLOURS[structure.name]})`;
  line.append(box, swatch, make("span", words(structure.name)), make("b", structure.confidence.toFixed(2)));
  return line;
}

function targetLines(target) {
  const distances = Object.entries(target.clearance_mm)
    .map(([name, mm]) => `${words(name)} ${mm === null ? "unknown" : `${mm.toFixed(1)} mm`}`).join(", ");
  return [
    make("p", `${words(target.name)}: ${target.safety ?? "clearance unknown"}`, `view ${target.safety ?? ""}`),
    make("p", distances),
    make("p", target.nerve, "small"),
    ...(target.reason ? [make("p", target.reason, "small")] : []),
  ];
}
