// Where a label goes: near its point, off the anatomy and other labels, and where it was a frame ago if that still does.

const REACHES = [1.1, 2.2, 3.6, 5.5]; // in letter heights
const TURNS = [-45, 45, -135, 135, 0, 180, -90, 90].map((degrees) => (degrees * Math.PI) / 180);
const STAYS = 0.25; // how much better, in its own areas, another place must be before a label moves there
const before = new Map();

const overlap = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));

// How much of the smaller of the two is covered: a small vessel, or a number of the ruler, is not to vanish under a long word.
const covers = (a, b) => overlap(a, b) / Math.max(1, Math.min(size(a), size(b)));
const size = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);

export function placeLabel(one, { wide, tall }, taken, { width, height }) {
  const area = wide * tall;
  let best = null;
  REACHES.forEach((reach, ring) => TURNS.forEach((turn, side) => {
    const middleX = one.x + Math.cos(turn) * (reach * tall + (Math.abs(Math.cos(turn)) * wide) / 2);
    const middleY = one.y + Math.sin(turn) * reach * tall;
    const box = [middleX - wide / 2, middleY - tall / 2, middleX + wide / 2, middleY + tall / 2];
    const inside = overlap(box, [4, 4, width - 4, height - 4]) / area;
    const covered = taken.reduce((sum, other) => sum + covers(box, other), 0);
    const choice = ring * TURNS.length + side;
    const cost = 10 * (1 - inside) + covered + 0.12 * ring + 0.02 * side - (before.get(one.key) === choice ? STAYS : 0);
    if (!best || cost < best.cost) best = { cost, choice, x: box[0], y: box[3] - tall * 0.12, far: ring > 0 };
  }));
  before.set(one.key, best.choice);
  return best;
}
