// The frames of one source, and the one that is wanted on the screen. Frames are held, not their places: places move when
// an older frame is let go.

import { decidingIndex } from "./timeline.js";

export class Film {
  constructor(room) { Object.assign(this, { room, frames: [], wanted: null, count: 0 }); }

  get place() { return this.frames.indexOf(this.wanted); }

  get newest() { return this.frames.at(-1); }

  // A full film that `follows` its source, the newest frame on the screen, lets go of the oldest but the deciding one; held at a
  // frame it takes no more.
  add(frame, follows) {
    this.count += 1;
    frame.number = this.count;
    if (this.frames.length >= this.room && !follows) return;
    this.frames.push(frame);
    if (this.frames.length <= this.room) return;
    const deciding = this.frames[decidingIndex(this.frames)];
    this.frames.splice(this.frames.findIndex((one) => one !== deciding), 1);
  }
}
