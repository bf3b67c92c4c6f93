// The reading in words and numbers beside the picture. Built once, then only what changed is written: at sixty frames a
// second a rebuilt list would lose the focus of whoever uses the keyboard.

import { COLOURS, describe, doubt, gist, plain, words } from "./draw.js";

const at = (id) => document.getElementById(id);
const SAID_EVERY_MS = 3000;

const make = (tag, text = "", className = "") => Object.assign(document.createElement(tag), { textContent: text, className });

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// As many children as there are texts, each with its text.
function list(parent, texts, tag = "p") {
  while (parent.children.length > texts.length) parent.lastChild.remove();
  texts.forEach((text, k) => {
    if (!parent.children[k]) parent.append(make(tag));
    write(parent.children[k], text);
  });
}

export class Panel {
  constructor(hidden, redraw) {
    this.toggles = new Map();
    this.add = (name) => {
      this.toggles.set(name, toggle(name, hidden, redraw));
      at("structures").append(this.toggles.get(name).line);
    };
    Object.keys(COLOURS).forEach(this.add);
    at("bars").append(...[0, 1, 2, 3].map((grade) => Object.assign(make("span"), { className: `g${grade}` })));
    [...at("bars").children].forEach((bar, grade) => { bar.dataset.grade = grade; });
    Object.assign(this, { saidAt: -Infinity, heard: "", saying: 0, reading: null });
  }

  show(reading) {
    this.grade(reading);
    write(at("view"), `${words(reading.view.name)} (${Math.round(100 * reading.view.confidence)} %)`);
    rows(at("measurements"), reading.measurements.map((one) => [words(one.name), toldValue(one), one.value === null]));
    this.structures(reading);
    at("targets-card").hidden = reading.targets.length === 0;
    if (reading.targets.length) targets(reading.targets[0]);
    list(at("talk"), talk(reading));
    this.say(reading);
  }

  // As if nothing had been read.
  clear() {
    clearTimeout(this.saying);
    Object.assign(this, { saying: 0, heard: "", reading: null });
    for (const id of ["grade", "view"]) write(at(id), "–");
    for (const id of ["evidence", "review", "doppler", "combined"]) write(at(id), "");
    at("grade").classList.remove("none");
    at("bars").hidden = at("cine").hidden = at("targets-card").hidden = true;
    at("measurements").replaceChildren();
    list(at("talk"), []);
    at("picture").setAttribute("aria-label", "No picture yet");
    for (const { line } of this.toggles.values()) line.hidden = true;
  }

  grade({ solar: { gsus, pdus, combined }, cine }) {
    write(at("grade"), String(gsus.grade ?? "not graded"));
    at("grade").classList.toggle("none", gsus.grade === null);
    write(at("evidence"), plain(gsus.grade === null ? gsus.reason : gsus.evidence));
    write(at("review"), gsus.review ?? "");
    at("bars").hidden = !gsus.probabilities;
    at("bars").setAttribute("aria-label", doubt(gsus));
    [...at("bars").children].forEach((bar, grade) => {
      const percent = Math.round(100 * (gsus.probabilities?.[grade] ?? 0));
      bar.style.height = `${percent}%`;
      bar.dataset.percent = `${percent} %`;
    });
    write(at("doppler"), pdus.calibrated === null ? `Power Doppler: ${plain(pdus.reason)}`
      : `Power Doppler: ${pdus.calibrated} calibrated, ${pdus.literal} literal`);
    const told = combined.grade === null ? combined.reason : `grade ${combined.grade}`;
    write(at("combined"), told === gsus.reason ? "" : `Combined: ${plain(told)}`);
    at("cine").hidden = !cine || cine.frames < 2;
    if (!at("cine").hidden) {
      write(at("cine-grade"), `Cine so far: grade ${cine.grade} (${Math.round(100 * cine.probabilities[cine.grade])} %) from ${cine.frames} frames`);
    }
  }

  // A switch stays once its structure or point was seen: it would take the keyboard's focus with it.
  structures({ structures, landmarks }) {
    const found = new Map([...landmarks, ...structures].map((one) => [one.name, one.confidence]));
    for (const name of found.keys()) if (!this.toggles.has(name)) this.add(name);
    for (const [name, { line, told }] of this.toggles) {
      if (found.has(name)) line.hidden = false;
      line.classList.toggle("absent", !found.has(name));
      write(told, found.get(name)?.toFixed(2) ?? "not seen");
    }
  }

  // What a screen reader hears: the reading in one sentence, when it has changed, not more often than it can be spoken, and
  // always the last one.
  say(reading) {
    at("picture").setAttribute("aria-label", describe(reading));
    this.reading = reading;
    if (this.saying || gist(reading) === this.heard) return;
    this.saying = setTimeout(() => this.speak(), Math.max(0, SAID_EVERY_MS - (performance.now() - this.saidAt)));
  }

  speak() {
    Object.assign(this, { saying: 0, saidAt: performance.now(), heard: gist(this.reading) });
    write(at("said"), describe(this.reading));
  }
}

function toggle(name, hidden, redraw) {
  const line = make("label"), box = Object.assign(make("input"), { type: "checkbox", checked: true });
  box.addEventListener("change", () => {
    hidden[box.checked ? "delete" : "add"](name);
    redraw();
  });
  const swatch = make("i"), told = make("b");
  swatch.style.background = `rgb(${COLOURS[name] ?? "255,255,255"})`;
  line.append(box, swatch, make("span", words(name)), told);
  line.hidden = true;
  return { line, told };
}

function toldValue(one) {
  if (one.value === null) return plain(one.reason);
  if (one.unit === "1") return one.value.toFixed(3);
  const doubt = one.spread === null ? "" : ` (SD ${one.spread.toFixed(1)})`;
  return `${one.value.toFixed(1)} ${one.unit}${doubt}`;
}

function rows(body, told) {
  const wanted = told.length ? told : [["None in this view", "", true]];
  while (body.rows.length > wanted.length) body.deleteRow(-1);
  wanted.forEach(([name, value, absent], k) => {
    if (!body.rows[k]) body.insertRow().append(make("td"), make("td"));
    const [left, right] = body.rows[k].cells;
    write(left, name);
    write(right, value);
    right.className = absent ? "reason" : "";
  });
}

function targets(target) {
  write(at("safety"), `${words(target.safety ?? "clearance unknown")}`);
  at("safety").className = `safety ${target.safety ?? ""}`;
  list(at("targets"), [
    words(target.name),
    Object.entries(target.clearance_mm).map(([name, mm]) => `${words(name)} ${mm === null ? "unknown" : `${mm.toFixed(1)} mm`}`).join(", "),
    target.nerve,
    ...(target.reason ? [plain(target.reason)] : []),
  ]);
}

function talk(reading) {
  const scale = reading.frame.spacing_mm
    ? `${reading.frame.spacing_mm.map((v) => v.toFixed(3)).join(" x ")} mm per pixel (${reading.frame.spacing_source})`
    : "no scale: no millimetres";
  const times = Object.entries(reading.timings_ms).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`).join(", ");
  return [scale, times, ...reading.warnings.map(plain)];
}
