// The review queue as a table, from the keyboard. Without this file the form works as it is.
(() => {
  "use strict";
  const KEYS = "momok-keys";
  const form = document.getElementById("batch");
  if (!form) return;
  const all = document.getElementById("all");
  const keys = document.getElementById("keys");
  const boxes = [...form.querySelectorAll("tbody input[type=checkbox]")];
  let place = -1; // of the row that keys work on; none yet
  let last = 0; // of the box that was ticked before

  const showTicked = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    document.getElementById("ticked").textContent = ticked ? `${ticked} ticked` : "";
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  };

  const move = (to) => {
    place = Math.min(Math.max(to, 0), boxes.length - 1);
    boxes[place].focus();
    boxes[place].scrollIntoView({ block: "nearest" });
  };

  const tickAll = (checked) => {
    for (const box of boxes) box.checked = checked;
    showTicked();
  };

  form.addEventListener("click", (event) => {
    const index = boxes.indexOf(event.target);
    if (index < 0) return;
    if (event.shiftKey) {
      const [first, end] = index < last ? [index, last] : [last, index];
      for (const box of boxes.slice(first, end + 1)) box.checked = boxes[index].checked;
    }
    last = place = index;
    showTicked();
  });
  form.addEventListener("focusin", (event) => {
    const index = boxes.indexOf(event.target);
    if (index >= 0) place = index;
  });
  all.addEventListener("change", () => tickAll(all.checked));
  keys.addEventListener("change", () => {
    try {
      localStorage.setItem(KEYS, keys.checked ? "on" : "off");
    } catch {
      // for this page only, then
    }
  });

  const ACTIONS = {
    j: () => move(place + 1),
    k: () => move(place - 1),
    x: () => {
      place = Math.max(place, 0);
      boxes[place].checked = !boxes[place].checked;
      last = place;
      showTicked();
      move(place + 1);
    },
    "*": () => tickAll(!boxes.every((box) => box.checked)),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea")) {
      if (event.key === "Escape" && event.target.closest("#batch")) move(place);
      return;
    }
    if (!keys.checked) return;
    let key = event.key.toLowerCase();
    if (boxes.includes(event.target)) key = { arrowdown: "j", arrowup: "k" }[key] ?? key;
    const button = [...form.querySelectorAll("[data-press]")].find((e) => e.dataset.press === key);
    if (!ACTIONS[key] && (!button || event.repeat)) return;
    event.preventDefault();
    if (ACTIONS[key]) ACTIONS[key]();
    else form.requestSubmit(button);
  });
  let sent = false; // a second press before the answer decides nothing twice
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  window.addEventListener("pageshow", () => {
    sent = false;
    showTicked();
  });

  all.hidden = false;
  try {
    keys.checked = localStorage.getItem(KEYS) !== "off";
  } catch {
    // storage is forbidden: as shown
  }
  showTicked();
})();
