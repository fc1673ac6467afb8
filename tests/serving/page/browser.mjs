// Opens a page in a real browser and does what a visitor would; writes what came of it as one JSON object.
// Arguments: folder of npm packages, browser, address, folder for pictures, wish as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [, , modules, executablePath, url, pictures, asked] = process.argv;
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core"), "utf8");
const QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const { prompt, seed, temperature, damaged } = JSON.parse(asked);

const browser = await chromium.launch({ executablePath, args: QUIET });
const told = { requests: [], console: [], axe: {} };

/** A page that keeps account of what it asks for and says. */
async function visited(options) {
  const context = await browser.newContext(options); // an empty profile
  const page = await context.newPage();
  context.on("request", (request) => told.requests.push(request.url()));
  page.on("console", (message) => told.console.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => told.console.push(`error: ${error.message}`));
  return page;
}

async function opened(page) {
  await page.goto(url);
  await page.waitForSelector("#desk:not([hidden]), #failure:not([hidden])");
}

async function written(page) {
  await page.waitForFunction(() => document.querySelector("#texts").ariaBusy === "false");
  return page.$$eval("#texts li", (items) => items.map((item) => [item.firstChild.textContent, item.lastChild.textContent]));
}

async function checked(page, name) {
  await page.evaluate(AXE); // a script element the page's own policy would refuse
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  told.axe[name] = violations.map(({ id, impact, nodes }) => [impact, id, nodes[0].html, nodes[0].failureSummary]);
  await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
}

// By the keyboard alone: where Tab leads to; then a text, a temperature, a suggested word and a riddle.
const page = await visited({ viewport: { width: 1280, height: 900 } });
await opened(page);
told.failure = await page.textContent("#failure");
await page.waitForSelector("#next button");
told.walk = [];
for (let i = 0; i < 24; i++) {
  await page.keyboard.press("Tab");
  const id = await page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
  told.walk.push(id);
  if (id === "fake") break;
}
await page.focus("#temperature");
const steps = Math.round((temperature - 1) / 0.05);
for (let i = 0; i < Math.abs(steps); i++) await page.keyboard.press(steps < 0 ? "ArrowLeft" : "ArrowRight");
told.place = await page.textContent("#place");
told.dot = await page.getAttribute("#frontier .dot", "transform");
await page.fill("#seed", String(seed));
await page.focus("#prompt");
await page.keyboard.type(prompt);
await page.waitForTimeout(500);
told.measure = await page.textContent("#measure");
await page.evaluate(() => {
  globalThis.stages = new Set();
  const watch = new MutationObserver(() => {
    const first = document.querySelector("#texts li.writing > p");
    if (first) globalThis.stages.add(first.textContent);
  });
  watch.observe(document.querySelector("#texts"), { subtree: true, childList: true, characterData: true });
});
await page.keyboard.press("Enter");
told.texts = await written(page);
told.stages = await page.evaluate(() => [...globalThis.stages]);
told.status = await page.textContent("#status");
told.marks = await page.$$eval("#texts mark", (marks) => marks.length);
await page.focus("#next button");
told.suggested = await page.textContent("#next button");
await page.keyboard.press("Enter");
told.prompt = await page.inputValue("#prompt");
await page.waitForTimeout(500);
told.stays = await page.evaluate(() => document.querySelector("#next").contains(document.activeElement));
await page.focus("#real");
await page.keyboard.press("Enter");
await page.waitForSelector("#onward:not([hidden])");
told.riddle = await page.textContent("#verdict");
told.score = await page.textContent("#score");
told.onward = await page.evaluate(() => document.activeElement.id);
await checked(page, "light");
await page.fill("#prompt", `${prompt} `.repeat(200));
await page.waitForSelector("#problem:not([hidden])");
told.problem = await page.textContent("#problem");
told.invalid = await page.getAttribute("#prompt", "aria-invalid");
await checked(page, "too-long");

for (const [name, options] of Object.entries({
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, reducedMotion: "reduce" },
})) {
  const other = await visited(options);
  await opened(other);
  await other.fill("#prompt", prompt);
  await other.click("#go");
  await written(other);
  await checked(other, name);
  told[`${name} scrolls sideways`] = await other.evaluate(() => document.documentElement.scrollWidth > innerWidth);
}

const broken = await visited({});
await broken.route(`**/${damaged}`, (route) => route.fulfill({ body: "nothing like it" }));
await opened(broken);
told.damaged = await broken.textContent("#failure");
await checked(broken, "damaged");
await browser.close();
process.stdout.write(JSON.stringify(told));
