// Everything here only improves a page that works without it.
"use strict";
const find = (selector) => document.querySelector(selector);

// What has to be mended takes the focus, and loses it for good.
const told = find(".summary, .notice");
told?.focus();
told?.addEventListener("blur", () => told.removeAttribute("tabindex"));

// A reload shows the screen and does not send the form again.
history.replaceState(null, "", location.pathname);

// One submit is enough, for as long as an answer takes.
for (const form of document.forms) {
  let sent = 0;
  form.addEventListener("submit", (event) => {
    if (Date.now() - sent < 10000) event.preventDefault();
    else sent = Date.now();
  });
  // The back button may bring a page back as it was left.
  addEventListener("pageshow", () => (sent = 0));
}

const code = find("#code");
code?.addEventListener("input", () => {
  const digits = code.value.normalize("NFKC").replace(/[\s\p{Cf}\p{Pd}]/gu, "");
  // What was pasted with blanks or hyphens shows as its digits.
  if (/^\d+$/.test(digits) && digits.length === Number(code.dataset.digits)) code.value = digits;
});

const password = find("#password");
if (password) {
  const { least, show, enough } = password.dataset;
  // Whoever can look at the password need not type it twice.
  if (!find("#again-fault")) find(".repeat").remove();
  const label = Object.assign(document.createElement("label"), { className: "show" });
  const box = Object.assign(document.createElement("input"), { type: "checkbox", id: "show", autocomplete: "off" });
  label.append(box, show);
  const look = () => (password.type = box.checked ? "text" : "password");
  const hide = () => {
    box.checked = false;
    look();
  };
  box.addEventListener("change", look);
  password.form.addEventListener("submit", hide);
  addEventListener("pageshow", hide);
  password.parentNode.classList.add("can-show");
  const hint = Object.assign(document.createElement("p"), { className: "hint" });
  hint.setAttribute("role", "status");
  password.addEventListener("input", () => {
    const text = [...password.value].length < Number(least) ? "" : enough;
    // A screen reader says each change.
    if (hint.textContent !== text) hint.textContent = text;
  });
  password.after(hint, label);
}

// A word before the time is over, and more time without a new page, which would lose what was typed.
const time = find(".time");
if (time) {
  const line = time.querySelector("p");
  const { short, ended } = line.dataset;
  const say = (text, className) => {
    if (line.textContent !== text) Object.assign(line, { textContent: text, className });
  };
  let ends;
  const begin = (seconds) => (ends = Date.now() + seconds * 1000);
  // By the clock, for timers stand still while a phone sleeps.
  const look = () => {
    const left = ends - Date.now();
    if (left <= 0) say(ended, "late");
    else if (left <= 120000) say(short, "late");
  };
  time.addEventListener("submit", async (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    try {
      const reply = await fetch(time.action, { method: "POST", body: new URLSearchParams(new FormData(time)) });
      // The page itself says that the reset has ended.
      if (reply.status === 403) return time.submit();
      const page = new DOMParser().parseFromString(await reply.text(), "text/html");
      const [notice, fresh] = [page.querySelector(".notice"), page.querySelector(".time p")];
      begin(fresh.dataset.seconds);
      say(`${notice.textContent} ${fresh.textContent}`, "");
    } catch {
      // Nothing came through, or something for another try; what was typed stays.
    }
  });
  begin(line.dataset.seconds);
  setInterval(look, 1000);
}
