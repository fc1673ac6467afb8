/** «Real or generated?»: texts one by one, your guesses beside the discriminator's. */

import { $, percent, started } from "./elements.js";
import { call } from "./model.js";
import { verdict } from "./texts.js";

const ROUNDS = 10;

/** @typedef {{text: string, prompt: string | null, real: boolean}} Riddle */

/** @type {any} what `open` answered */
let bundle;
let riddles = [];
let score;

export function openGame(opened) {
  bundle = opened;
  const { generated = [], real = [] } = bundle.showcase ?? {};
  if (!generated.length) {
    $("game").hidden = true;
    return;
  }
  $("own").hidden = real.length > 0;
  $("rules").textContent = real.length
    ? "Each text is either the model's or was held out from what it learned from. Can you tell which?"
    : "This bundle holds no real texts, for they belong to whoever wrote them. Give some of your own, of the kind that " +
      "the model learned from, and guess which are its; the file stays in your browser.";
  $("real").addEventListener("click", () => started(guess(true)));
  $("fake").addEventListener("click", () => started(guess(false)));
  $("onward").addEventListener("click", () => (score.asked < ROUNDS && riddles.length ? ask() : begin(generated, real)));
  const given = async ([file]) => {
    const lines = (await file.text()).split("\n").map((line) => line.trim()).filter(Boolean);
    real.splice(0, real.length, ...lines.map((text) => ({ text, prompt: null })));
    if (real.length) begin(generated, real);
  };
  $("file").addEventListener("change", () => started(given($("file").files)));
  if (real.length) begin(generated, real);
}

/** @param {Omit<Riddle, "real">[]} generated @param {Omit<Riddle, "real">[]} real */
function begin(generated, real) {
  const texts = new Set(real.map(({ text }) => text)); // what the model wrote word for word like a person is no riddle
  const fakes = shuffled(generated.filter(({ text }) => !texts.has(text)).map((each) => ({ ...each, real: false })));
  const reals = shuffled(real.map((each) => ({ ...each, real: true })));
  const coins = Array.from({ length: ROUNDS }, () => (Math.random() < 0.5 ? reals : fakes).pop());
  riddles = coins.filter((riddle) => riddle !== undefined);
  score = { asked: 0, yours: 0, theirs: 0 };
  $("round").hidden = false;
  ask(false);
}

/** @param {boolean} [focus] */
function ask(focus = true) {
  const { text, prompt } = riddles[0];
  $("riddle").textContent = prompt ? `${prompt} → ${text}` : text;
  $("verdict").textContent = "";
  $("onward").hidden = true;
  $("real").hidden = $("fake").hidden = false;
  if (focus) $("riddle").focus();
}

async function guess(real) {
  const riddle = riddles.shift();
  if (!riddle) return;
  $("real").hidden = $("fake").hidden = true;
  const right = riddle.real === real;
  score.asked++;
  score.yours += Number(right);
  const truth = riddle.real ? "a person wrote it" : "the model wrote it";
  let said = "";
  if (bundle.judges) {
    const [{ logit }] = await call("judge", { texts: [riddle.text], prompt: riddle.prompt });
    const share = verdict(logit, bundle.showcase.line), theirs = share >= 0.5 === riddle.real;
    score.theirs += Number(theirs);
    said = ` The discriminator gave it ${percent(share)}, and was ${theirs ? "right" : "wrong"}${theirs === right ? " too" : ""}.`;
  }
  $("verdict").textContent = `${right ? "Right" : "Wrong"}: ${truth}.${said}`;
  const over = !riddles.length || score.asked === ROUNDS;
  const others = bundle.judges ? `, the discriminator ${score.theirs}` : "";
  $("score").textContent = `You: ${score.yours} of ${score.asked}${others}.${over ? ` By chance it would be ${score.asked / 2}.` : ""}`;
  $("onward").textContent = over ? "Play again" : "Next";
  $("onward").hidden = false;
  $("onward").focus();
}

/** @template T @param {T[]} list */
function shuffled(list) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}
