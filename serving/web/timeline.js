// A cine along a strip: the grade of each frame as a bar's height and colour, the frame that decided, a click to jump.

const COLOURS = ["#4f7fd9", "#3aa6a0", "#e0a526", "#e2574c"]; // grades 0 to 3, told apart by lightness too
const UNGRADED = "rgba(140,150,160,.55)";

export class Timeline {
  constructor(strip, slider, jump) {
    Object.assign(this, { strip, slider });
    slider.addEventListener("input", () => jump(Number(slider.value)));
    strip.addEventListener("pointerdown", (event) => {
      const box = strip.getBoundingClientRect();
      const count = Number(slider.max) + 1;
      jump(Math.min(Math.max(Math.floor(((event.clientX - box.left) / box.width) * count), 0), count - 1));
    });
  }

  show({ frames, wanted, place, count }) {
    const { strip, slider } = this, shown = Math.max(place, 0);
    slider.max = Math.max(frames.length - 1, 0);
    slider.value = shown;
    slider.disabled = frames.length < 2;
    slider.setAttribute("aria-valuetext", `frame ${wanted?.number ?? 0} of ${count}, ${said(wanted?.reading)}`);
    strip.hidden = frames.length < 2;
    if (strip.hidden) return;
    const width = Math.round(strip.clientWidth * devicePixelRatio), height = Math.round(strip.clientHeight * devicePixelRatio);
    if (strip.width !== width) strip.width = width;
    if (strip.height !== height) strip.height = height;
    const ink = getComputedStyle(strip).color;
    const pen = strip.getContext("2d"), wide = width / frames.length;
    pen.clearRect(0, 0, width, height);
    frames.forEach(({ reading }, k) => bar(pen, reading, [k * wide, wide, height]));
    const deciding = decidingIndex(frames);
    if (deciding >= 0) flag(pen, (deciding + 0.5) * wide, height, ink);
    pen.strokeStyle = ink;
    pen.lineWidth = 2 * devicePixelRatio;
    pen.strokeRect(shown * wide, 1, Math.max(wide, 3), height - 2);
  }
}

// Which frame decided the cine's grade, -1 where none did or it is no longer kept.
export const decidingIndex = (frames) => {
  const seq = frames.at(-1)?.reading.cine?.deciding_seq;
  return seq === undefined ? -1 : frames.findLastIndex((f) => f.reading.seq === seq);
};

const said = (reading) => {
  if (!reading) return "no reading";
  const { grade } = reading.solar.gsus;
  return grade === null ? "not graded" : `grade ${grade}`;
};

function bar(pen, reading, [x, wide, height]) {
  const { grade, probabilities, review } = reading.solar.gsus;
  const tall = grade === null ? 0.06 : 0.25 + 0.25 * grade;
  pen.globalAlpha = grade === null || review ? 0.5 : 0.35 + 0.65 * probabilities[grade];
  pen.fillStyle = grade === null ? UNGRADED : COLOURS[grade];
  pen.fillRect(x, height * (1 - tall), Math.max(wide - (wide > 4 ? 1 : 0), 1), height * tall);
  pen.globalAlpha = 1;
}

function flag(pen, x, height, colour) {
  const size = height / 5;
  pen.beginPath();
  pen.moveTo(x - size, 0); pen.lineTo(x + size, 0); pen.lineTo(x, size * 1.4);
  pen.fillStyle = colour; pen.fill();
}
