// The review queue without page loads: decisions are sent in the background, the next fact takes
// the place of the last, the focus follows. Without this file the forms still work.
(() => {
  "use strict";
  const KEYS = "momok-keys";
  let busy = false;
  let undoNext = false; // asked for while a decision was on its way

  const area = () => document.getElementById("review");

  const say = (text) => {
    const status = document.querySelector(".said");
    if (status) {
      status.textContent = text;
      status.classList.add("said-late");
    }
  };

  const keysAreOn = () => {
    try {
      return localStorage.getItem(KEYS) !== "off";
    } catch {
      return true; // storage is forbidden: as shown
    }
  };

  const showKeys = () => {
    const box = document.getElementById("keys");
    if (box) box.checked = keysAreOn();
  };

  const send = async (form, button) => {
    if (busy) {
      undoNext = form.id === "undo";
      if (!undoNext) say("Still saving the last decision: press again for the next fact.");
      return;
    }
    busy = true;
    area().setAttribute("aria-busy", "true");
    const fields = new URLSearchParams(new FormData(form));
    if (button && button.name) fields.set(button.name, button.value);
    try {
      const answer = await fetch(form.getAttribute("action"), { // form.action is its button of that name
        method: "POST",
        body: fields,
        headers: { accept: "text/html" },
      });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("review");
      if (!answer.ok || !fresh) {
        const why = page.querySelector("main .lead");
        say(`Not saved: ${why ? why.textContent : answer.statusText}`);
        return;
      }
      if (page.querySelector('meta[http-equiv="refresh"]')) {
        location.assign(answer.url); // the ranking is being made: that page goes on by itself
        return;
      }
      area().replaceWith(fresh);
      history.replaceState(null, "", answer.url.replace(/[?&]did=[a-z]+/, ""));
      showKeys();
      const statement = document.getElementById("statement");
      if (statement) statement.focus({ preventScroll: true });
      window.scrollTo({ top: 0 });
    } catch {
      // The same request name goes with the next try: nothing is decided twice.
      say("Not saved: the server is not responding. Try again.");
    } finally {
      busy = false;
      area().removeAttribute("aria-busy");
      if (undoNext) document.getElementById("undo").requestSubmit();
      undoNext = false;
    }
  };

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-live]")) return;
    event.preventDefault();
    // Enter in the note is no decision: it leaves the field.
    if (document.activeElement && document.activeElement.id === "note") {
      document.getElementById("statement").focus();
      return;
    }
    send(event.target, event.submitter);
  });

  document.addEventListener("change", (event) => {
    if (event.target.id === "keys") {
      try {
        localStorage.setItem(KEYS, event.target.checked ? "on" : "off");
      } catch {
        // for this page only, then
      }
    } else if (event.target.id === "relation") {
      event.target.form.requestSubmit();
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const field = event.target.closest("input:not([type=checkbox]), select, textarea");
    if (field) {
      if (event.key === "Escape" && field.id === "note") {
        document.getElementById("statement").focus();
      }
      return;
    }
    const box = document.getElementById("keys");
    if (!box || !box.checked || event.repeat) return;
    const key = event.key.toLowerCase();
    const target = [...area().querySelectorAll("[data-key]")].find((e) => e.dataset.key === key);
    if (!target) return;
    event.preventDefault();
    if (target.matches("input")) target.focus();
    else target.click();
  });

  showKeys();
  const statement = document.getElementById("statement");
  if (statement && area()) statement.focus({ preventScroll: true });
})();
