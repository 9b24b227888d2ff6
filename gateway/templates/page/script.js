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

// A word before the time is over.
const late = find(".late");
if (late) setTimeout(() => (late.textContent = late.dataset.text), Math.max(0, late.dataset.minutes - 2) * 60000);
