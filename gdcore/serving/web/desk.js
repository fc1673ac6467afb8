/** Writing: the prompt with what may follow it, candidates as they are written, and their ranks. */

import { $, counted, element, fail, percent, started } from "./elements.js";
import { call } from "./model.js";
import { shown } from "./texts.js";

const NUM_SUGGESTED = 5;
/** Milliseconds without a key before the model looks at the prompt. */
const PAUSE = 120;

/** @type {any} what `open` answered */
let bundle;
/** @type {(ReturnType<typeof call>) | null} what is being written */
let writing = null;

export function openDesk(opened) {
  bundle = opened;
  const { manifest, judges } = bundle;
  $("longest").max = $("longest").value = String(manifest.context);
  if (manifest.prompted) $("prompt-label").textContent = "What should the model answer?";
  if (!judges) $("candidates").value = "1";
  $("wish").addEventListener("submit", (event) => {
    event.preventDefault();
    started(write());
  });
  $("another").addEventListener("click", () => {
    if (writing) return;
    $("seed").value = String(Number($("seed").value) + 1);
    $("wish").requestSubmit();
  });
  $("stop").addEventListener("click", () => writing?.stop());
  $("prompt").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $("wish").requestSubmit();
  });
  $("prompt").addEventListener("input", lookSoon);
  started(look());
}

async function write() {
  if (writing || $("problem").textContent) return;
  const prompt = $("prompt").value, candidates = Number($("candidates").value);
  if (bundle.manifest.prompted && !prompt.trim()) {
    $("status").textContent = "This model answers prompts: type one first.";
    return $("prompt").focus();
  }
  $("failure").hidden = true;
  $("guide").hidden = true;
  $("status").textContent = candidates > 1 ? `Writing ${candidates} texts …` : "Writing …";
  busy(true);
  const items = Array.from({ length: candidates }, () => element("li", { className: "writing" }, element("p")));
  $("texts").replaceChildren(...items);
  const wish = {
    prompt,
    seed: BigInt($("seed").value),
    temperature: Number($("temperature").value),
    candidates,
    longest: Number($("longest").value),
  };
  try {
    writing = call("write", wish, ({ texts, ended }) => items.forEach((item, i) => {
      item.firstChild.textContent = texts[i];
      item.classList.toggle("writing", !ended[i]);
    }));
    const last = await writing;
    await rank(last, prompt, items);
  } catch (error) {
    $("status").textContent = "";
    fail(error);
  } finally {
    writing = null;
    busy(false);
  }
}

/** @param {{texts: string[], ended: boolean[], tokens: number}} last @param {string} prompt @param {any[]} items */
async function rank({ texts, ended, tokens }, prompt, items) {
  items.forEach((item) => item.classList.remove("writing"));
  const whole = ended.every(Boolean) ? "" : "Stopped. ";
  const written = `${counted(texts.length, "text")} of up to ${counted(tokens, "token")}`;
  if (!bundle.judges) {
    $("status").textContent = `${whole}${written}.`;
    return tellGuide("This bundle has no discriminator, so nothing ranks what it writes.");
  }
  const judged = await call("judge", { texts, prompt: bundle.manifest.prompted ? prompt : null });
  const order = [...items.keys()].sort((a, b) => judged[b].logit - judged[a].logit);
  $("texts").replaceChildren(...order.map((i) => shown(texts[i], judged[i], bundle.showcase?.line ?? null)));
  $("status").textContent = `${whole}${written}${texts.length > 1 ? ", the most real one first" : ""}.`;
  tellGuide(
    (bundle.showcase?.line
      ? "How real each looks is the discriminator's verdict, calibrated on held-out texts."
      : "The discriminator's verdicts are for comparing texts: they are no calibrated probabilities.") +
      (bundle.highlights ? " Marked is what looks generated to it, stronger where it is surer." : ""),
  );
}

function tellGuide(text) {
  $("guide").textContent = text;
  $("guide").hidden = false;
}

function busy(on) {
  const leave = !on && document.activeElement === $("stop");
  $("texts").setAttribute("aria-busy", String(on));
  for (const id of ["go", "another"]) $(id).setAttribute("aria-disabled", String(on)); // not disabled: it has the focus
  $("stop").disabled = !on;
  if (leave) $("go").focus();
}

let timer = 0, looks = 0;

function lookSoon() {
  clearTimeout(timer);
  timer = setTimeout(() => started(look()), PAUSE);
}

/** How long the prompt is, what of it is not known, and what may follow it. */
async function look() {
  const mine = ++looks, prompt = $("prompt").value, { context, prompted } = bundle.manifest;
  const { tokens, unknown, problem } = await call("measure", prompt);
  if (mine !== looks) return;
  const strange = unknown.length ? ` · not known: ${unknown.join(" ")}` : "";
  $("measure").textContent = prompt.trim() && !problem ? `${tokens} of ${context} tokens${strange}` : "";
  $("problem").textContent = problem;
  $("problem").hidden = !problem;
  $("prompt").setAttribute("aria-invalid", String(Boolean(problem)));
  if (prompted || problem) return $("next").replaceChildren();
  const words = await call("suggest", { prefix: prompt, k: NUM_SUGGESTED });
  if (mine === looks) suggest(words);
}

/** @param {Suggestion[]} words */
function suggest(words) {
  const focused = $("next").contains(document.activeElement);
  $("next").replaceChildren(...words.map(({ word, probability, spaced }) => {
    const share = element("small", { textContent: percent(probability) });
    const button = element("button", { type: "button" }, `${word} `, share);
    button.addEventListener("click", () => {
      const begun = $("prompt").value.trimEnd();
      $("prompt").value = begun + (begun && spaced ? " " : "") + word;
      started(look());
    });
    return button;
  }));
  $("next").hidden = !words.length;
  // Who goes from word to word by the keyboard stays among them.
  if (focused) ($("next").firstElementChild ?? $("prompt")).focus();
}
