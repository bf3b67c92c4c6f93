// A worker's end of the stream: encodes pictures, sends them, and gives each back with its answer, or tells that it is lost.
// A frame ends in exactly one `answer` or one of `lost`, whatever becomes of the connection.
//
// in:  {open: url}, {settings}, {bitmap, taken} or {blob, taken}, {close: true}
// out: {ready: true}, {settled: true}, {answer, blob, bitmap, taken}, {refused: detail}, {lost: count}, {closed: true, why}

const FULL = 1013; // the server takes no more streams
let socket = null;
let sent = 0;
const waiting = new Map(); // seq -> {blob, bitmap, taken}

function open(url) {
  socket = new WebSocket(url);
  sent = 0;
  socket.addEventListener("open", () => postMessage({ ready: true }));
  socket.addEventListener("close", ({ code, reason }) => {
    letGo();
    postMessage({ closed: true, why: code === FULL ? reason : "" });
  });
  socket.addEventListener("message", (event) => heard(JSON.parse(event.data)));
}

function heard(told) {
  if (told.seq === undefined) {
    postMessage(told.detail ? { refused: told.detail } : { settled: true });
    return;
  }
  const kept = waiting.get(told.seq);
  waiting.delete(told.seq);
  letGo(told.seq);
  if (told.status) {
    kept.bitmap.close();
    postMessage({ refused: told.detail, lost: 1 });
  } else postMessage({ answer: told, ...kept }, [kept.bitmap]);
}

// The frames before `end` that no answer will come for.
function letGo(end = Infinity) {
  const gone = [...waiting].filter(([seq]) => seq < end);
  for (const [seq, { bitmap }] of gone) {
    waiting.delete(seq);
    bitmap.close();
  }
  if (gone.length) postMessage({ lost: gone.length });
}

async function encoded(bitmap) {
  const sheet = new OffscreenCanvas(bitmap.width, bitmap.height);
  sheet.getContext("2d", { alpha: false }).drawImage(bitmap, 0, 0);
  return sheet.convertToBlob({ type: "image/jpeg", quality: 0.92 });
}

let turn = Promise.resolve(); // frames go out in the order they came in

async function send({ bitmap, blob, taken }) {
  const data = blob ?? await encoded(bitmap);
  const picture = bitmap ?? await createImageBitmap(blob);
  if (socket.readyState !== WebSocket.OPEN) {
    picture.close();
    postMessage({ lost: 1 });
    return;
  }
  waiting.set(sent, { blob: data, bitmap: picture, taken });
  sent += 1;
  socket.send(data);
}

addEventListener("message", ({ data }) => {
  if (data.open) open(data.open);
  else if (data.settings) socket.send(JSON.stringify(data.settings));
  else if (data.close) socket.close();
  else turn = turn.then(() => send(data)).catch((error) => postMessage({ refused: error.message, lost: 1 }));
});
