/** The bundle at work, off the page's own thread: the page stays quick while it writes, and can stop it. */

import { load } from "./loading.js";
import { Session } from "./session.js";
import { UserError } from "./tokenizer.js";

let session;
/** Calls that are no longer wanted. @type {Set<number>} */
const stopped = new Set();

const METHODS = {
  async open(_, tell) {
    const { manifest, files, runtime, wasm, bytes } = await load(tell);
    const ort = await import(`./runtime/${runtime.script}`);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = wasm;
    session = await Session.open(ort, manifest, files);
    const { judges, highlights, showcase } = session;
    return { manifest, runtime, bytes, judges, highlights, showcase };
  },
  /** How many tokens a prompt takes, which words of it are not known, and why it cannot be used, if it cannot. */
  async measure(prompt) {
    const unknown = session.tokenizer.unknown(prompt);
    try {
      return { tokens: session.given(prompt).length, unknown, problem: "" };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return { tokens: session.tokenizer.encode(prompt).length, unknown, problem: error.message };
    }
  },
  async write(wish, tell, id) {
    let last = null;
    for await (const stage of session.write(wish)) {
      tell((last = stage));
      await breath();
      if (stopped.delete(id)) break;
    }
    return last;
  },
  judge: ({ texts, prompt }) => session.judge(texts, prompt),
  suggest: ({ prefix, k }) => session.suggest(prefix, k),
};

/** Lets messages in; a timer would wait for 4 ms. */
const breath = () => new Promise((resolve) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => resolve(port1.close());
  port2.postMessage(null);
});

self.onmessage = async ({ data: { id, method, args } }) => {
  if (method === "stop") return void stopped.add(args);
  try {
    self.postMessage({ id, result: await METHODS[method](args, (piece) => self.postMessage({ id, piece }), id) });
  } catch (error) {
    self.postMessage({ id, error: { message: error.message, ours: error instanceof UserError, stack: error.stack } });
  }
};
