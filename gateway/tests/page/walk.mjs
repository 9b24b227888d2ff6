// Walks through the page in Chromium as traders do, and holds what the page promises: with and without a script, by keyboard alone, back and
// again, in two windows; what it weighs; and that nothing secret is in the browser and no request leaves the gateway.
import { dev, hold, load, site } from "./gateway.mjs";
import { STATES, password, start, submit, toCode, toPassword } from "./states.mjs";

const { chromium } = load("playwright-core");
const GOOD = "green tea on the roof";

const gateway = await dev();
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });

/** Runs a walk in a browser of its own, and watches all that it sends and gets. */
async function walk(name, options, go, elsewhere = []) {
  const context = await browser.newContext({ locale: "en", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
  const seen = { requests: [], texts: [] };
  const mistakes = [];
  context.on("request", (request) => {
    seen.requests.push(request.url());
    seen.texts.push(request.url(), request.postData() ?? "", JSON.stringify(request.headers()));
  });
  const reads = [];
  // At once, for a browser forgets the bodies of a page that it has left. A redirect has none.
  context.on("response", (response) => reads.push(Promise.all([response.allHeaders(), response.text()]).catch(() => [response.headers(), null])));
  page.on("console", (message) => message.type() === "error" && mistakes.push(message.text()));
  page.on("pageerror", (error) => mistakes.push(error.message));
  try {
    await go(page, seen);
    const read = await Promise.all(reads);
    hold(read.some(([, body]) => body?.includes("<h1>")), "no body could be read");
    for (const [headers, body] of read) seen.texts.push(JSON.stringify(headers), body ?? "");
    for (const cookie of await context.cookies()) seen.texts.push(JSON.stringify(cookie));
    if (options.javaScriptEnabled !== false) seen.texts.push(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])));
    const away = seen.requests.filter((url) => !url.startsWith(gateway.origin) && !url.startsWith("data:") && !/favicon/.test(url) && !elsewhere.some((site) => site.test(url)));
    hold(away.length === 0, `requests to ${away}`);
    // The sandbox's tokens are UUIDs; what the page seals looks different, and request ids come in a header of their own.
    const text = seen.texts.join("\n").replace(/"x-request-id":"[^"]*"/g, "").replace(/quote this: [0-9a-f-]{36}/g, "");
    hold(!text.includes("sandbox-key"), "the application key is in the browser");
    hold(!/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/.test(text), "a token of Autoshares' is in the browser");
    hold(mistakes.every((told) => /status of (4|5)/.test(told)), `the console says ${mistakes}`);
    console.log(`ok ${name}`);
  } catch (error) {
    throw new Error(`${name}: ${error.stack}\nat ${page.url()}`);
  } finally {
    await context.close();
  }
}

const heading = (page, text) => page.locator("h1", { hasText: text }).waitFor();

async function whole(page) {
  await start(page, gateway, "robert.zak");
  await heading(page, "Your secret question");
  hold((await page.textContent("#question")) === "What street did you live on in third grade?", "the question is shown");
  await page.fill("#answer", "Peterson");
  await submit(page);
  await heading(page, "Check your e-mail");
  await page.fill("#code", await gateway.code());
  await submit(page);
  await heading(page, "Choose a new password");
  await password(page, GOOD);
  await heading(page, "Your password is set");
}

await walk("the whole reset with a script", {}, whole);
await walk("the whole reset without a script", { javaScriptEnabled: false }, whole);

await walk("by keyboard alone", {}, async (page) => {
  const { keyboard } = page;
  const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent.trim());
  const tabTo = async (name) => {
    for (let count = 0; count < 20 && (await focused()) !== name; count++) await keyboard.press("Tab");
    hold((await focused()) === name, `Tab reaches ${name}`);
  };
  await page.goto(gateway.page);
  await tabTo("Continue");
  await Promise.all([page.waitForNavigation(), keyboard.press("Enter")]);
  hold(await page.evaluate(() => document.activeElement.matches(".summary")), "the summary takes the focus");
  await keyboard.press("Tab");
  await keyboard.press("Enter");
  hold((await focused()) === "login", "the link of the summary leads to the field");
  await keyboard.type("anna.lee");
  await Promise.all([page.waitForNavigation(), keyboard.press("Enter")]);
  await tabTo("code");
  await keyboard.type(await gateway.code());
  hold((await focused()) === "code", "the focus stays where it is");
  await Promise.all([page.waitForNavigation(), keyboard.press("Enter")]);
  await tabTo("password");
  await keyboard.type(GOOD);
  await tabTo("show");
  await keyboard.press("Space");
  hold((await page.getAttribute("#password", "type")) === "text", "the password is shown");
  await tabTo("Set the password");
  await Promise.all([page.waitForNavigation(), keyboard.press("Enter")]);
  await heading(page, "Your password is set");
});

await walk("a pasted code and a second submit", {}, async (page) => {
  await toCode(page, gateway);
  const code = await gateway.code();
  await page.locator("#code").evaluate((field, text) => ((field.value = text), field.dispatchEvent(new Event("input"))), ` ${code.slice(0, 3)}-${code.slice(3)}\u200b`);
  hold((await page.inputValue("#code")) === code, "the digits are left");
  // Two submits of one form, as fast as a browser makes them without a script.
  const [token, action] = await page.evaluate(() => [document.querySelector("[name=form]").value, document.querySelector("main form").action]);
  const twice = await Promise.all([1, 2].map(() => page.context().request.post(action, { form: { form: token, code }, maxRedirects: 0, headers: { Origin: gateway.origin } })));
  for (const reply of twice) hold(reply.status() === 303 && reply.headers().location === "/password-reset/password", `${reply.status()} ${reply.headers().location}`);
  await page.goto(`${gateway.page}/password`);
  await heading(page, "Choose a new password");
});

await walk("back, reload and forward", {}, async (page) => {
  await toPassword(page, gateway);
  await page.goBack();
  await heading(page, "Check your e-mail");
  await page.fill("#code", await gateway.code());
  await submit(page);
  await heading(page, "Choose a new password");
  await page.reload();
  await heading(page, "Choose a new password");
  await password(page, GOOD);
  await heading(page, "Your password is set");
  await page.reload();
  await heading(page, "Your password is set");
  await page.goBack();
  await heading(page, "Your password is set");
  await page.goto(gateway.page);
  await heading(page, "Reset your password");
});

await walk("back to the question after a code is out", {}, async (page) => {
  await start(page, gateway, "robert.zak");
  await page.fill("#answer", "Peterson");
  await submit(page);
  await heading(page, "Check your e-mail");
  await page.goBack();
  await heading(page, "Your secret question");
  hold((await page.textContent("#question")) === "What street did you live on in third grade?", "the question is shown");
  await page.goto(`${gateway.page}/code`);
  await page.fill("#code", await gateway.code());
  await submit(page);
  await heading(page, "Choose a new password");
});

await walk("a visit from another site ends no reset", {}, async (page) => {
  await toCode(page, gateway);
  const other = await site(`<a href="${gateway.page}/code">To the code</a>`);
  await page.goto(other.url);
  await Promise.all([page.waitForNavigation(), page.click("a")]);
  other.stop();
  await heading(page, "Check your e-mail");
  await page.fill("#code", await gateway.code());
  await submit(page);
  await heading(page, "Choose a new password");
}, [/^http:\/\/127\.0\.0\.1:\d+\/$/]);

await walk("a screen that is not reached yet leads to the first one", {}, async (page) => {
  for (const screen of ["code", "question", "password", "done", "again"]) {
    await page.goto(`${gateway.page}/${screen}`);
    await heading(page, "Reset your password");
  }
  await toCode(page, gateway);
  await page.goto(`${gateway.page}/password`);
  await heading(page, "Reset your password");
  await page.goto(`${gateway.page}/code`);
  await heading(page, "Check your e-mail");
  await page.goto(gateway.origin);
  await heading(page, "Reset your password");
});

await walk("another code", {}, async (page) => {
  await toCode(page, gateway);
  const first = await gateway.code();
  await Promise.all([page.waitForNavigation(), page.click("form[action$=again] button")]);
  await page.getByText("A new code was asked for").waitFor();
  const second = await gateway.code();
  hold(first !== second, "another code is sent");
  await page.fill("#code", second);
  await submit(page);
  await heading(page, "Choose a new password");
});

await walk("another code for a trader with a question", {}, async (page) => {
  await start(page, gateway, "robert.zak");
  await page.fill("#answer", "Peterson ");
  await submit(page);
  await heading(page, "Check your e-mail");
  const first = await gateway.code();
  await Promise.all([page.waitForNavigation(), page.click("form[action$=again] button")]);
  await heading(page, "Your secret question");
  hold(await page.evaluate(() => document.activeElement.matches(".notice")), "the notice takes the focus");
  await page.getByText("To have a new code sent, answer your question again.").waitFor();
  await page.fill("#answer", "Peterson");
  await submit(page);
  await heading(page, "Check your e-mail");
  hold(first !== (await gateway.code()), "another code is sent");
});

await walk("a reload sends no form again", {}, async (page, seen) => {
  await toCode(page, gateway);
  await page.fill("#code", "12 34");
  await submit(page);
  hold((await page.inputValue("#code")) === "12 34", "what was typed stays");
  const posts = () => seen.requests.length;
  const before = posts();
  await page.reload();
  await heading(page, "Check your e-mail");
  hold(posts() > before && (await page.locator(".summary").count()) === 0, "the screen is shown anew");
  // The login is there to be mended.
  await page.getByRole("link", { name: "Start again" }).click();
  hold((await page.inputValue("#login")) === "anna.lee", "the login is filled in");
});

await walk("a mail of which nobody knows", {}, async (page) => {
  await STATES["unknown-mail"].go(page, gateway);
  await heading(page, "We do not know whether that worked");
  await page.getByRole("link", { name: "Enter the code" }).click();
  await heading(page, "Check your e-mail");
  // It was not sent, and can be asked for again in the same reset.
  await Promise.all([page.waitForNavigation(), page.click("form[action$=again] button")]);
  await page.fill("#code", await gateway.code());
  await submit(page);
  await heading(page, "Choose a new password");
});

await walk("a code that was not taken is entered again", {}, async (page) => {
  await toCode(page, gateway);
  await gateway.fail("redeem_code", { html: 503 });
  await page.fill("#code", await gateway.code());
  await submit(page);
  await heading(page, "Password reset is not available at the moment");
  await gateway.heal();
  await page.getByRole("link", { name: "Try again" }).click();
  await heading(page, "Check your e-mail");
  // The gateway asks Autoshares every five seconds whether it is there again.
  for (let tries = 0; tries < 30; tries++) {
    await page.goto(`${gateway.page}/code`);
    await page.fill("#code", await gateway.code());
    await submit(page);
    if (page.url().endsWith("/password")) break;
    await page.waitForTimeout(500);
  }
  await heading(page, "Choose a new password");
});

await walk("another language", {}, async (page) => {
  await page.goto(gateway.page);
  await page.getByRole("link", { name: "Español" }).click();
  await heading(page, "Restablezca su contraseña");
  hold((await page.getAttribute("html", "lang")) === "es", "the document says its language");
  await page.fill("#login", "anna.lee");
  await submit(page);
  await heading(page, "Revise su correo electrónico");
});
await walk("the language of the browser", { locale: "ru-RU" }, async (page) => {
  await page.goto(gateway.page);
  await heading(page, "Сбросьте пароль");
});

await walk("more time with a script", {}, async (page) => {
  await page.clock.install();
  await toPassword(page, gateway);
  const line = page.locator(".time p");
  await page.fill("#password", "half a passw");
  await page.clock.runFor(7 * 60000);
  hold((await line.textContent()) === "This page works for 10 minutes.", "no warning yet");
  // A phone that slept: its timers stood still, and its clock went on.
  await page.clock.fastForward(61000);
  await page.clock.runFor(2000);
  hold((await line.textContent()) === "Less than two minutes are left. Choose “I need more time” if you need longer.", "a warning two minutes before the end");
  await page.locator(".time button").click();
  await page.getByText("This page works for 10 minutes.").waitFor();
  hold((await page.inputValue("#password")) === "half a passw", "what was typed stays");
  await page.clock.runFor(8 * 60000 + 5000);
  hold((await line.textContent()).startsWith("Less than two minutes"), "a warning for the new time");
  await page.locator(".time button").click();
  await page.getByText("You have the whole time again. This page works for 10 minutes.").waitFor();
  await password(page, GOOD);
  await heading(page, "Your password is set");
});
await walk("the time is over", {}, async (page) => {
  await page.clock.install();
  await toCode(page, gateway);
  await page.clock.fastForward(601000);
  await page.clock.runFor(1000);
  hold((await page.locator(".time p").textContent()) === "This reset has ended", "the page says that the time is over");
});
await walk("more time that cannot be had", {}, async (page) => {
  await toPassword(page, gateway);
  await page.context().clearCookies({ name: "__Host-password-reset" });
  await page.locator(".time button").click();
  await heading(page, "This reset has ended");
});
await walk("more time without a script", { javaScriptEnabled: false }, async (page) => {
  await start(page, gateway, "robert.zak");
  await Promise.all([page.waitForNavigation(), page.locator(".time button").click()]);
  await heading(page, "Your secret question");
  await page.getByText("This page works for 10 minutes.").waitFor();
});

await walk("a strength hint", {}, async (page) => {
  await toPassword(page, gateway);
  await page.fill("#password", "abc");
  hold((await page.locator("[role=status]").first().textContent()) === "", "nothing yet");
  await page.fill("#password", "long enough now");
  await page.getByText("Long enough").waitFor();
});

// What a screen reader reads, in its order.
const READ = {
  start: ["heading Reset your password", "textbox Login or e-mail address", "button Continue"],
  "start-empty": ["alert", "heading There is a problem", "link Enter your login", "heading Reset your password", "textbox Login or e-mail address", "button Continue"],
  question: ["heading Your secret question", "textbox Your answer", "button Continue", "button I need more time", "link Start again"],
  code: ["heading Check your e-mail", "textbox Code from the e-mail", "button Continue", "button I need more time", "heading No e-mail?", "button Send a new code", "link Start again"],
  password: ["heading Choose a new password", "textbox New password", "checkbox Show the password", "button Set the password", "button I need more time", "link Start again"],
  ended: ["heading This reset has ended", "link Start again"],
};
for (const [name, expected] of Object.entries(READ)) {
  await walk(`what a screen reader reads: ${name}`, {}, async (page) => {
    await STATES[name].go(page, gateway);
    const tree = await page.locator("main").ariaSnapshot();
    const read = [...tree.matchAll(/- (heading|textbox|checkbox|button|link|alert)(?: "([^"]*)")?/g)].map(([, role, label]) => (label ? `${role} ${label}` : role));
    const roles = read.map((line) => line.replace(/^alert .*/, "alert"));
    hold(JSON.stringify(roles) === JSON.stringify(expected), `${JSON.stringify(roles)} instead of ${JSON.stringify(expected)}`);
  });
}

// What it weighs, and how soon it is there.
for (const name of ["start", "question", "code", "password", "done"]) {
  await walk(`weight and speed: ${name}`, {}, async (page, seen) => {
    await STATES[name].go(page, gateway);
    const client = await page.context().newCDPSession(page);
    const paints = [];
    let [bytes, requests] = [0, []];
    // The best of several, for a busy machine makes one late now and then.
    for (let tries = 0; tries < 5; tries++) {
      await client.send("Network.clearBrowserCache");
      seen.requests.length = 0;
      const replies = [];
      const note = (response) => replies.push(response);
      page.on("response", note);
      await page.reload();
      await page.waitForLoadState("networkidle");
      page.off("response", note);
      requests = seen.requests.filter((url) => !url.startsWith("data:"));
      const weights = replies.map(async (reply) => (await reply.body()).length + JSON.stringify(reply.headers()).length);
      bytes = (await Promise.all(weights)).reduce((sum, weight) => sum + weight, 0);
      paints.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
    }
    const paint = Math.min(...paints);
    hold(requests.length <= 3, `${requests.length} requests: ${requests}`);
    hold(bytes > 3000 && bytes < 12 * 1024, `${bytes} bytes`);
    // Beside other tests a machine has no time to be quick.
    hold(!process.env.QUIET || paint < 100, `painted after ${paint} ms`);
    console.log(`  ${bytes} bytes, ${requests.length} requests, painted after ${paint.toFixed(0)} ms`);
  });
}

await browser.close();
gateway.stop();
