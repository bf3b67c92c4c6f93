// The page's end of the stream. At most IN_FLIGHT frames are on their way: while one is answered the next is encoded,
// and what comes faster is passed by, counted and told.

const IN_FLIGHT = 2;

export class Stream {
  constructor(settings, onAnswer, onRefused) {
    this.worker = new Worker("/static/stream.worker.js");
    Object.assign(this, { onAnswer, onRefused, flying: 0, passed: 0, open: true });
    this.ready = new Promise((resolve, reject) => { this.began = resolve; this.failed = reject; });
    this.worker.addEventListener("message", ({ data }) => this.heard(data));
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.worker.postMessage({ open: `${scheme}://${location.host}/v1/stream` });
    this.ready.then(() => this.settle(settings), () => {});
  }

  settle(settings) { this.worker.postMessage({ settings }); }

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
    if (data.ready) this.began();
    if (data.lost) { this.flying -= data.lost; this.passed += data.lost; }
    if (data.refused) this.onRefused(data.refused);
    if (data.answer) {
      this.flying -= 1;
      this.onAnswer({ reading: data.answer, picture: data.bitmap, blob: data.blob, taken: data.taken });
    }
    if (data.closed) {
      this.failed(new Error("the server's stream cannot be reached"));
      if (this.open) this.onRefused("the stream was closed by the server: reload the page");
      this.open = false;
    }
  }

  close() {
    this.open = false;
    this.worker.postMessage({ close: true });
    setTimeout(() => this.worker.terminate(), 500);
  }
}
