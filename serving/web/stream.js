// The page's end of the stream. At most IN_FLIGHT frames are on their way: while one is answered the next is encoded,
// and what comes faster is passed by, counted and told. A connection that is lost is sought again until `close`.

const IN_FLIGHT = 2;
const AGAIN_MS = 250; // doubled with every try
const AGAIN_AT_MOST_MS = 4000;

export class Stream {
  // `answered` takes {reading, picture, blob, taken, skipped}; `told` takes (text, bad).
  constructor(settings, { answered, told }) {
    this.worker = new Worker("/static/stream.worker.js");
    Object.assign(this, { settings, answered, told, flying: 0, passed: 0, open: false, ended: false, tries: 0, known: 0 });
    this.ready = new Promise((resolve, reject) => { this.began = resolve; this.failed = reject; });
    this.worker.addEventListener("message", ({ data }) => this.heard(data));
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.worker.postMessage({ open: `${scheme}://${location.host}/v1/stream` });
  }

  settle(settings) {
    this.settings = settings;
    if (this.open) this.worker.postMessage({ settings });
  }

  get free() { return this.open && this.flying < IN_FLIGHT; }

  // A picture ({bitmap} or {blob}) on its way, or passed by.
  send(picture) {
    if (!this.free) {
      this.passed += 1;
      picture.bitmap?.close();
      return false;
    }
    this.flying += 1;
    this.worker.postMessage({ ...picture, taken: performance.now() }, picture.bitmap ? [picture.bitmap] : []);
    return true;
  }

  heard(data) {
    if (data.ready) this.connected();
    if (this.open && (data.settled || data.refused || data.answer)) this.taken();
    if (data.lost) { this.flying -= data.lost; this.passed += data.lost; }
    if (data.refused) this.told(data.refused, true);
    if (data.answer) {
      this.flying -= 1;
      const skipped = this.passed - this.known;
      this.known = this.passed;
      this.answered({ reading: data.answer, picture: data.bitmap, blob: data.blob, taken: data.taken, skipped });
    }
    if (data.closed && !this.ended) this.lost(data.why);
  }

  connected() {
    this.open = true;
    this.settle(this.settings);
    this.began();
  }

  // What the server says shows that it took the stream: one that is full opens it too, and closes it with its reason.
  taken() {
    if (this.tries) this.told("The connection to the server is back");
    this.tries = 0;
  }

  lost(why) {
    if (!this.open && !this.tries) {
      this.close();
      this.failed(new Error("the server's stream cannot be reached: is the server running?"));
      return;
    }
    this.open = false;
    this.told(`${why || "The connection to the server is lost"}: trying again`, true);
    setTimeout(() => !this.ended && this.connect(), Math.min(AGAIN_MS * 2 ** this.tries, AGAIN_AT_MOST_MS));
    this.tries += 1;
  }

  close() {
    Object.assign(this, { open: false, ended: true });
    this.worker.postMessage({ close: true });
    setTimeout(() => this.worker.terminate(), 500);
  }
}
