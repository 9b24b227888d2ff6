// Every screen of the page in every state: how a trader comes there.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { dev, site, withoutStore } from "./gateway.mjs";

export const submit = (page) => Promise.all([page.waitForNavigation(), page.locator("main form button:not([type]):not(.second)").click()]);

export async function start(page, gateway, login = "anna.lee") {
  await page.goto(gateway.page);
  await page.fill("#login", login);
  await submit(page);
}

export async function toCode(page, gateway) {
  await start(page, gateway);
  await page.waitForURL(/\/code/);
}

export async function toPassword(page, gateway) {
  await toCode(page, gateway);
  await page.fill("#code", await gateway.code());
  await submit(page);
}

export async function password(page, text, again = text) {
  await page.fill("#password", text);
  if (await page.locator("#again").count()) await page.fill("#again", again);
  await submit(page);
}

const GOOD = "green tea on the roof";

/** A logo, in a file. */
function logo() {
  const file = join(mkdtempSync(join(tmpdir(), "logo-")), "logo.svg");
  writeFileSync(file, '<svg xmlns="http://www.w3.org/2000/svg" width="220" height="48"><rect width="48" height="48" rx="8" fill="#7a1f5c"/><text x="60" y="33" font-size="28" font-family="sans-serif" fill="#7a1f5c">Example</text></svg>');
  return file;
}

/** Each state by its name: the settings of the gateway that it needs, the way there, and which looks it has. */
export const STATES = {
  start: { go: (page, gateway) => page.goto(gateway.page) },
  "start-empty": { go: async (page, gateway) => (await page.goto(gateway.page), submit(page)) },
  "start-malformed": { go: (page, gateway) => start(page, gateway, "anna\u200flee\u0007") },
  question: { go: (page, gateway) => start(page, gateway, "robert.zak") },
  "question-empty": { go: async (page, gateway) => (await start(page, gateway, "robert.zak"), submit(page)) },
  "question-wrong": {
    go: async (page, gateway) => {
      await start(page, gateway, "robert.zak");
      await page.fill("#answer", "Smith");
      await submit(page);
    },
  },
  "question-long": {
    go: async (page, gateway) => {
      await start(page, gateway, "robert.zak");
      await page.fill("#answer", "x".repeat(300));
      await submit(page);
    },
  },
  code: { go: toCode },
  "code-again": { go: async (page, gateway) => (await toCode(page, gateway), Promise.all([page.waitForNavigation(), page.click("form[action$=again] button")])) },
  "code-malformed": { go: async (page, gateway) => (await toCode(page, gateway), page.fill("#code", "12 34"), submit(page)) },
  "code-wrong": { go: async (page, gateway) => (await toCode(page, gateway), page.fill("#code", "000123"), submit(page)) },
  password: { go: toPassword },
  "password-short": { go: async (page, gateway) => (await toPassword(page, gateway), password(page, "tea")) },
  "password-easy": { go: async (page, gateway) => (await toPassword(page, gateway), password(page, "password1")) },
  "password-named": { go: async (page, gateway) => (await toPassword(page, gateway), password(page, "anna.lee2026")) },
  "password-long": { go: async (page, gateway) => (await toPassword(page, gateway), password(page, "x y ".repeat(70))) },
  "password-differs": {
    withoutScript: true,
    go: async (page, gateway) => (await toPassword(page, gateway), password(page, GOOD, "something else")),
  },
  "password-refused": {
    go: async (page, gateway) => {
      await toPassword(page, gateway);
      await gateway.fail("set_password", { refuse: { errors: ["Password was used before."] } });
      await password(page, GOOD);
      await gateway.heal();
    },
  },
  "password-late": {
    movesClock: true,
    go: async (page, gateway) => {
      await page.clock.install();
      await toPassword(page, gateway);
      await page.clock.runFor(8 * 60000);
    },
  },
  done: { go: async (page, gateway) => (await toPassword(page, gateway), password(page, GOOD)) },
  branded: {
    settings: () => ["page.name=Example Brokers", `page.logo_file=${logo()}`, "page.accent=#7a1f5c", "page.support_url=mailto:help@example.com", "page.login_url=https://trade.example.com/", "page.privacy_url=https://www.example.com/privacy"],
    go: toCode,
  },
  "branded-done": {
    settings: () => ["page.name=Example Brokers", "page.accent=#1f5c2a", "page.login_url=https://trade.example.com/"],
    go: async (page, gateway) => (await toPassword(page, gateway), password(page, GOOD)),
  },
  limits: {
    settings: ["limits.resets_per_address=1/h"],
    go: async (page, gateway) => {
      await start(page, gateway, "nobody");
      await page.context().clearCookies();
      await start(page, gateway, "nobody");
      await page.context().clearCookies();
      await start(page, gateway, "nobody");
    },
  },
  "resets-paused": {
    settings: ["limits.resets=1/h"],
    go: async (page, gateway) => {
      for (let tries = 0; tries < 3; tries++) {
        await page.context().clearCookies();
        await start(page, gateway, "nobody");
      }
    },
  },
  "codes-paused": {
    settings: ["limits.risk_per_hour=0.000001", "limits.codes_elsewhere=1000"],
    go: async (page, gateway) => (await toCode(page, gateway), page.fill("#code", "000123"), submit(page)),
  },
  away: {
    // Of its own, for the gateway takes no step until it has seen that Autoshares answers again.
    settings: [],
    go: async (page, gateway) => {
      await gateway.fail("request_reset", { html: 503 });
      await start(page, gateway);
      await gateway.heal();
    },
  },
  "store-away": { gateway: withoutStore, go: (page, gateway) => start(page, gateway) },
  ended: {
    go: async (page, gateway) => {
      await toCode(page, gateway);
      await page.context().clearCookies({ name: "__Host-password-reset" });
      await page.fill("#code", "000123");
      await submit(page);
    },
  },
  "unknown-mail": {
    go: async (page, gateway) => {
      await gateway.fail("request_reset", "hang_up");
      await start(page, gateway);
      await gateway.heal();
    },
  },
  "unknown-password": {
    go: async (page, gateway) => {
      await toPassword(page, gateway);
      await gateway.fail("set_password", "hang_up");
      await password(page, GOOD);
      await gateway.heal();
    },
  },
  "cookies-off": {
    go: async (page, gateway) => {
      await page.goto(gateway.page);
      await page.context().clearCookies();
      await page.fill("#login", "anna.lee");
      await submit(page);
    },
  },
  "other-site": {
    go: async (page, gateway) => {
      const other = await site(`<form method="post" action="${gateway.page}"><input name="login" value="anna.lee"><button>Go</button></form>`);
      await page.goto(other.url);
      await Promise.all([page.waitForNavigation(), page.click("button")]);
      other.stop();
    },
  },
  "other-window": {
    go: async (page, gateway) => {
      await toCode(page, gateway);
      const other = await page.context().newPage();
      await start(other, gateway, "nobody");
      await other.close();
      await page.fill("#code", "000123");
      await submit(page);
    },
  },
  "not-found": { go: (page, gateway) => page.goto(`${gateway.page}/nowhere`) },
  "too-long": {
    go: async (page, gateway) => {
      await page.goto(gateway.page);
      await page.fill("#login", "x".repeat(20000));
      await submit(page);
    },
  },
};

/** Runs `visit` for each of these states, with one gateway for all states that need no settings of their own. */
export async function each(visit, names) {
  const usual = await dev();
  try {
    for (const name of names) {
      const state = STATES[name];
      const own = state.gateway ? await state.gateway() : state.settings && (await dev(Array.isArray(state.settings) ? state.settings : state.settings()));
      try {
        await visit(name, state, own || usual);
      } catch (error) {
        throw new Error(`in the state ${name}: ${error.stack}`);
      } finally {
        own?.stop();
      }
    }
  } finally {
    usual.stop();
  }
}
