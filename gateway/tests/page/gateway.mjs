// Starts the gateway for a script, and reads what `dev` says of itself.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { GATEWAY, MODULES } = process.env;
if (!GATEWAY || !MODULES) throw new Error("GATEWAY is the binary, MODULES the folder with the npm packages; `cargo xtask screenshots` sets both");

/** The npm packages lie in a folder of their own. */
export const load = createRequire(join(MODULES, "packages.js"));

/** A script that fails leaves no gateway behind. */
const children = [];
process.on("exit", () => children.forEach((child) => child.kill()));

/** Runs `dev` with settings until `stop` is called. */
export async function dev(settings = []) {
  const all = ["listen=127.0.0.1:0", "admin_listen=127.0.0.1:0", "flow.floor=0s", ...settings];
  const child = spawn(GATEWAY, ["dev", ...all.flatMap((setting) => ["--set", setting])], { stdio: ["ignore", "pipe", "ignore"] });
  children.push(child);
  const told = await new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
      if (text.includes("Ctrl-C stops it.")) resolve(text);
    });
    child.on("exit", (code) => reject(new Error(`dev ended with ${code}`)));
  });
  const url = (name) => told.match(new RegExp(`^${name} +(\\S+)`, "m"))[1];
  const [origin, outbox, faults] = [url("gateway"), url("outbox"), url("faults")];
  return {
    page: `${origin}/password-reset`,
    origin,
    code: async () => (await (await fetch(outbox)).json()).at(-1).code,
    fail: async (operation, fault) => {
      const set = await fetch(`${faults}/${operation}`, { method: "PUT", body: JSON.stringify(fault) });
      if (!set.ok) throw new Error(await set.text());
    },
    heal: () => fetch(faults, { method: "DELETE" }),
    stop: () => child.kill(),
  };
}

/** Runs `serve` with the page on and a Redis that is not there. */
export async function withoutStore() {
  const folder = mkdtempSync(join(tmpdir(), "page-"));
  const keys = join(folder, "keys");
  await new Promise((resolve) => spawn("sh", ["-c", `umask 077; "$0" keygen > "$1"`, GATEWAY, keys]).on("exit", resolve));
  const port = await freePort();
  const settings = [`listen=127.0.0.1:${port}`, "admin_listen=127.0.0.1:0", "page.enabled=true", "store.url=redis://127.0.0.1:1", `flow.keys_file=${keys}`];
  const environment = { ...process.env, AUTOSHARES_BASE_URL: "http://127.0.0.1:1/api", AUTOSHARES_APP_KEY: "sandbox-key" };
  const gateway = spawn(GATEWAY, ["serve", ...settings.flatMap((setting) => ["--set", setting])], { env: environment, stdio: "ignore" });
  children.push(gateway);
  const page = `http://localhost:${port}/password-reset`;
  for (let tries = 0; !(await fetch(page).then((reply) => reply.ok, () => false)); tries++) {
    if (tries > 600) throw new Error("serve does not come up");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { page, stop: () => (gateway.kill(), rmSync(folder, { recursive: true })) };
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Another site with one page. */
export async function site(html) {
  const server = createServer((_, response) => response.setHeader("Content-Type", "text/html").end(html));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, stop: () => server.close() };
}

/** Fails with a word when something does not hold. */
export function hold(holds, what) {
  if (!holds) throw new Error(what);
}
