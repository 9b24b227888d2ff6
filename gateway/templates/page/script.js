// Everything here only improves a page that works without it.
"use strict";
const find = (selector) => document.querySelector(selector);

// The first line of what has to be mended takes the focus.
find(".summary")?.focus();

// One submit is enough.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    const button = form.querySelector("button:not([type])");
    if (button.ariaDisabled === "true") event.preventDefault();
    button.ariaDisabled = "true";
  });
}
// The back button may bring a page back as it was left.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button")) button.ariaDisabled = null;
});

const code = find("#code");
code?.addEventListener("input", () => {
  const digits = code.value.normalize("NFKC").replace(/\D/g, "");
  // What was pasted with blanks or hyphens shows as its digits.
  if (digits.length === Number(code.dataset.digits)) code.value = digits;
});

const password = find("#password");
if (password) {
  const { least, show, hide, enough, more } = password.dataset;
  // Whoever can look at the password need not type it twice.
  if (!find("#again-fault")) find(".repeat").remove();
  const button = Object.assign(document.createElement("button"), { type: "button", className: "show", textContent: show });
  button.addEventListener("click", () => {
    const isShown = password.type === "text";
    password.type = isShown ? "password" : "text";
    button.textContent = isShown ? show : hide;
  });
  const count = document.createElement("p");
  count.className = "hint";
  count.setAttribute("role", "status");
  password.addEventListener("input", () => {
    const left = Number(least) - [...password.value].length;
    count.textContent = left > 0 ? more.split("|")[left - 1] : enough;
  });
  password.after(button, count);
  password.form.addEventListener("submit", () => {
    password.type = "password";
  });
}

// A word two minutes before the time is over; and more time without a new page, which would lose what was typed.
const time = find(".time");
if (time) {
  const line = time.querySelector("p");
  let timer;
  const watch = () => {
    clearTimeout(timer);
    const left = line.dataset.minutes - 2;
    if (left > 0) timer = setTimeout(() => ((line.textContent = line.dataset.short), (line.className = "late")), left * 60000);
  };
  time.addEventListener("submit", async (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    try {
      const reply = await fetch(time.action, { method: "POST", body: new URLSearchParams(new FormData(time)) });
      const fresh = new DOMParser().parseFromString(await reply.text(), "text/html").querySelector(".time p");
      line.dataset.minutes = fresh.dataset.minutes;
      line.textContent = fresh.textContent;
      line.className = "";
      time.querySelector("button").ariaDisabled = null;
      watch();
    } catch {
      // The page itself says why there is no more time.
      time.submit();
    }
  });
  watch();
}
