// Niceties of our pages. Everything works without this file.
"use strict";

// A button that was pressed says that something is happening: a turning mark after 300 ms.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter || form.querySelector("button:not([type=button])");
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  setTimeout(() => {
    if (!button || !form.dataset.sent) return;
    const mark = document.createElement("span");
    mark.className = "spinner";
    mark.setAttribute("aria-hidden", "true");
    button.prepend(mark);
    button.setAttribute("aria-busy", "true");
  }, 300);
  setTimeout(() => { if (form.dataset.sent) document.getElementById("busy").hidden = false; }, 2000);
});

// A page that comes back from the browser's memory can be sent again.
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
  for (const mark of document.querySelectorAll(".spinner")) mark.remove();
  document.getElementById("busy").hidden = true;
});

// Show what was typed (the button is there only with this script).
for (const button of document.querySelectorAll("button[data-reveal]")) {
  const field = document.getElementById(button.dataset.reveal);
  const words = [button.textContent, button.dataset.hide];
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.textContent = words[shown ? 0 : 1];
    button.setAttribute("aria-pressed", String(!shown));
    field.focus();
  });
  field.form.addEventListener("submit", () => { field.type = "password"; });
}

// The time that the session still has, minute by minute.
for (const place of document.querySelectorAll("[data-minutes]")) {
  const began = performance.now();
  const minutes = Number(place.dataset.minutes);
  setInterval(() => {
    const left = Math.max(0, minutes - Math.floor((performance.now() - began) / 60000));
    place.textContent = place.dataset.words
      .replace("{h}", String(Math.floor(left / 60)))
      .replace("{m}", String(left % 60));
  }, 15000);
}
