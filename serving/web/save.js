// What is on the screen as files: the picture as PNG, its Reading as JSON.

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export function savePicture(canvas, { id }) {
  canvas.toBlob((blob) => save(blob, `hipsono-${id}.png`));
}

export function saveReading(reading) {
  save(new Blob([JSON.stringify(reading, null, 1)], { type: "application/json" }), `hipsono-${reading.id}.json`);
}
