// Has axe look at every screen in every state, and writes pictures to a folder, if it is given one, for eyes: on a phone and a desktop, in light
// and dark, in every language, with and without a script. With `--docs` it takes the four pictures of `docs/page.md` instead.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { hold, load } from "./gateway.mjs";
import { STATES, each } from "./states.mjs";

const { chromium } = load("playwright-core");
const axe = readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");

const isForDocs = process.argv.includes("--docs");
const [folder, ...states] = process.argv.slice(2).filter((argument) => argument !== "--docs");
const names = isForDocs ? ["start", "question", "code", "password"] : states;
if (folder) mkdirSync(folder, { recursive: true });

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true };
const DESKTOP = { viewport: { width: 1280, height: 800 } };
/** 320 pixels: a phone of the smallest kind, and a desktop at 400 %. */
const NARROW = { viewport: { width: 320, height: 256 } };
const LOOKS = isForDocs ? [{ name: "docs", language: "en", options: { viewport: { width: 320, height: 640 } } }] : [
  { name: "phone", language: "en", options: PHONE },
  { name: "desktop-dark", language: "en", options: { ...DESKTOP, colorScheme: "dark" } },
  { name: "narrow-pseudo", language: "en-XB", options: NARROW },
  { name: "phone-es", language: "es", options: PHONE },
  { name: "phone-ru-dark", language: "ru", options: { ...PHONE, colorScheme: "dark" } },
  { name: "desktop-zh", language: "zh-Hans", options: DESKTOP },
  // Without the page's script; axe needs one of its own.
  { name: "phone-plain", language: "en", options: PHONE, withoutScript: true },
];

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
let count = 0;
// A page for each look, which states share, for opening one takes as long as looking at it.
async function pageOf(look, pages) {
  if (!pages.has(look)) {
    const context = await browser.newContext({ ...look.options, bypassCSP: true, extraHTTPHeaders: { "Accept-Language": look.language } });
    if (look.withoutScript) await context.route(/script\.js/, (route) => route.abort());
    pages.set(look, await context.newPage());
  }
  const page = pages.get(look);
  page.setDefaultTimeout(30000);
  await page.context().clearCookies();
  return page;
}

/** Looks at a state in all its looks. */
const visit = (pages) => async (name, state, gateway) => {
  for (const look of LOOKS) {
    if (state.withoutScript && !look.withoutScript) continue;
    const page = await pageOf(look, pages);
    await state.go(page, gateway);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    hold(wide <= 0, `${look.name}: ${wide} pixels do not fit`);
    if (isForDocs) await page.addStyleTag({ content: "aside { display: none }" });
    if (folder) await page.screenshot({ path: join(folder, `${name}.${look.name}.png`), fullPage: true });
    await page.evaluate(axe);
    const told = await page.evaluate(async () => {
      const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
      const { violations } = await axe.run({ runOnly: tags, resultTypes: ["violations"] });
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(", ")}`);
    });
    hold(told.length === 0, `${look.name}: axe says ${told.join("; ")}`);
    // Its clock is a false one.
    if (state.movesClock) {
      await page.context().close();
      pages.delete(look);
    }
    count++;
  }
};

const all = names.length ? names : Object.keys(STATES);
// Two at once, each with gateways and pages of its own, for a page and its gateway wait for each other.
await Promise.all([0, 1].map((half) => each(visit(new Map()), all.filter((_, index) => index % 2 === half))));
await browser.close();
console.log(`${count} screens`);
