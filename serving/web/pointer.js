// What the pointer does: a tape drawn over the picture, and files dropped on it.

import { drawTape } from "./draw.js";

// A tape from where the pointer goes down to where it is. `grip` says whether there is anything to measure, `redraw` takes the
// last line away, `spacing` is the shown frame's; it goes with the next frame.
export function layTape(canvas, told, { grip, redraw, spacing, scale }) {
  let from = null;
  const place = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    return [((clientX - box.left) / box.width) * canvas.width, ((clientY - box.top) / box.height) * canvas.height];
  };
  canvas.addEventListener("pointerdown", (event) => { if (grip()) from = place(event); });
  canvas.addEventListener("pointermove", (event) => {
    if (!from || !grip()) return;
    redraw();
    told.textContent = drawTape(canvas, from, place(event), spacing(), scale());
  });
  addEventListener("pointerup", () => { from = null; });
}

export function takeFiles(input, zone, open) {
  input.addEventListener("change", () => {
    if (input.files[0]) open(input.files[0]);
    input.value = ""; // so that the same file can be opened again
  });
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
}
