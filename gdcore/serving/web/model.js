/** The bundle, as the page speaks to it: calls to the worker, and their answers. */

import { UserError } from "./tokenizer.js";

const worker = new Worker("worker.js", { type: "module" });
const open = new Map();
let calls = 0;

worker.onmessage = ({ data: { id, piece, result, error } }) => {
  const call = open.get(id);
  if (!call) return;
  if (piece !== undefined) return call.tell(piece);
  open.delete(id);
  if (error) call.reject(error.ours ? new UserError(error.message) : new Error(error.message, { cause: error.stack }));
  else call.resolve(result);
};
worker.onerror = (event) => {
  for (const { reject } of open.values()) reject(new Error(event.message || "the page's worker could not be started"));
  open.clear();
};

/**
 * @param {"open" | "measure" | "write" | "judge" | "suggest"} method
 * @param {any} [args] @param {(piece: any) => void} [tell] of what comes before the answer
 * @returns {Promise<any> & {stop: () => void}}
 */
export function call(method, args, tell = () => {}) {
  const id = ++calls;
  const answer = new Promise((resolve, reject) => {
    open.set(id, { resolve, reject, tell });
    worker.postMessage({ id, method, args });
  });
  return Object.assign(answer, { stop: () => worker.postMessage({ method: "stop", args: id }) });
}
