// What is on the screen as files: the picture as PNG, its Reading as JSON.

import { sign } from "./draw.js";

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// As it is on the screen, signed with what made it and what it is not for.
export async function savePicture(canvas, { id, notice, model }) {
  const sheet = new OffscreenCanvas(canvas.width, canvas.height), pen = sheet.getContext("2d", { alpha: false });
  pen.drawImage(canvas, 0, 0);
  sign(pen, `hipsono ${model.version}: ${notice}`);
  save(await sheet.convertToBlob({ type: "image/png" }), `hipsono-${id}.png`);
}

export function saveReading(reading) {
  save(new Blob([JSON.stringify(reading, null, 1)], { type: "application/json" }), `hipsono-${reading.id}.json`);
}
