/** The page: opens the bundle, and hands its parts to those who use them. */

import { $, counted, element, fail, megabytes } from "./elements.js";
import { openDesk } from "./desk.js";
import { openFrontier } from "./frontier.js";
import { openGame } from "./game.js";
import { call } from "./model.js";

/** @param {{loaded: number, total: number}} progress */
function tell({ loaded, total }) {
  $("bar").max = total;
  $("bar").value = loaded;
  const all = loaded >= total ? " · starting" : "";
  $("loaded").textContent = `${megabytes(loaded)} of ${megabytes(total)} MB${all}`;
}

function describe({ manifest, runtime, bytes }) {
  const facts = {
    Generator: `${manifest.generator.name}, ${counted(manifest.vocab_size, "token")}, context of ${manifest.context}`,
    Discriminator: manifest.discriminator?.name ?? "none",
    Licence: manifest.license || "not stated",
    "Made by": `gdflow ${manifest.gdflow}`,
    "Run by": `${runtime.name} ${runtime.version} (WebAssembly)`,
    Loaded: `${megabytes(bytes)} MB`,
  };
  for (const [name, value] of Object.entries(facts)) {
    $("facts").append(element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value })));
  }
}

try {
  const opened = await call("open", null, tell);
  describe(opened);
  openDesk(opened);
  openFrontier(opened.showcase?.frontier);
  openGame(opened);
  $("loading").hidden = true;
  $("desk").hidden = false;
} catch (error) {
  $("loading").hidden = true;
  fail(error);
}
