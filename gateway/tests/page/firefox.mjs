// Walks through the whole reset in Firefox, by WebDriver BiDi.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { dev, hold, load } from "./gateway.mjs";

const puppeteer = load("puppeteer-core");
const gateway = await dev();
const profile = mkdtempSync(join(tmpdir(), "firefox-"));
const browser = await puppeteer.launch({ browser: "firefox", executablePath: "/usr/bin/firefox-esr", headless: true, userDataDir: profile });
try {
  const page = await browser.newPage();
  const submit = () => Promise.all([page.waitForNavigation(), page.click("main form button:not([type]):not(.second)")]);
  const heading = async (text) => hold((await page.$eval("h1", (heading) => heading.textContent)) === text, `not at: ${text}`);
  await page.goto(`${gateway.page}?lang=en`);
  await page.type("#login", "robert.zak");
  await submit();
  await heading("Your secret question");
  await page.type("#answer", "Smith");
  await submit();
  hold(await page.evaluate(() => document.activeElement.matches(".summary")), "the summary takes the focus");
  await page.type("#answer", "Peterson");
  await submit();
  await heading("Check your e-mail");
  await page.type("#code", await gateway.code());
  await submit();
  await heading("Choose a new password");
  await page.type("#password", "green tea on the roof");
  await submit();
  await heading("Your password is set");
  console.log("ok the whole reset in Firefox");
} finally {
  await browser.close();
  gateway.stop();
  rmSync(profile, { recursive: true, force: true });
}
