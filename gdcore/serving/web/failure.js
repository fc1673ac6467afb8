/** What went wrong, told on the page. */

import { $ } from "./elements.js";
import { UserError } from "./tokenizer.js";

/** @param {any} error */
export function fail(error) {
  const ours = error instanceof UserError;
  $("failure").textContent = ours ? error.message : `Something is wrong with this page: ${error.message}`;
  $("failure").hidden = false;
  if (!ours) console.error(error);
}

/** Work that nobody waits for, its failure told. @param {Promise<any>} work */
export function started(work) {
  work.catch(fail);
}
