// How live the picture is: frames a second, how old the newest was on screen, what was skipped, and an alarm once answers stop.

const STALE_MS = 500;
const LOOK_EVERY_MS = 100;
const TELL_EVERY_MS = 500; // numbers that change faster cannot be read
const PACE_OVER_MS = 2000;

export class Pulse {
  constructor(line, alarm, onStale) {
    Object.assign(this, { line, alarm, onStale, held: false });
    this.end();
    setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  begin() {
    Object.assign(this, { on: true, beats: [], at: 0, toldAt: 0, age: 0, answered: 0, skipped: 0 });
    this.look();
  }

  end() {
    Object.assign(this, { on: false, beats: [], at: 0 });
    this.line.textContent = "";
    this.warn(false);
  }

  hold(value) {
    this.held = value;
    this.toldAt = 0;
    if (this.at) this.at = performance.now(); // a source may have waited as long as it was held
    this.look();
  }

  // An answered frame: when it was taken, and how many were skipped since the answer before.
  beat({ taken, skipped = 0 }) {
    this.at = performance.now();
    this.age = this.at - taken;
    this.answered += 1;
    this.skipped += skipped;
    this.beats.push(this.at);
    while (this.at - this.beats[0] > PACE_OVER_MS) this.beats.shift();
    if (this.alarm.textContent) this.look();
  }

  look() {
    if (!this.on) return;
    const now = performance.now(), silent = this.at ? now - this.at : 0;
    this.warn(!this.held && silent > STALE_MS);
    if (now - this.toldAt < TELL_EVERY_MS) return;
    this.toldAt = now;
    this.line.textContent = this.told(silent);
  }

  told(silent) {
    if (!this.at) return "Waiting for the first answer";
    const rest = `newest ${this.age.toFixed(0)} ms old when shown · ${this.skipped} of ${this.answered + this.skipped} skipped`;
    if (silent > STALE_MS && !this.held) return `No answer for ${(silent / 1000).toFixed(1)} s · ${rest}`;
    const spent = this.beats.at(-1) - this.beats[0], pace = spent ? (1000 * (this.beats.length - 1)) / spent : 0;
    return `${this.held ? "Frozen" : "Live"} · ${pace.toFixed(pace < 10 ? 1 : 0)} frames/s · ${rest}`;
  }

  warn(stale) {
    if (Boolean(this.alarm.textContent) === stale) return;
    this.alarm.textContent = stale ? "STALE" : "";
    this.toldAt = 0;
    this.onStale(stale);
  }
}
