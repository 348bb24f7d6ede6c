// The review queue without page loads. The next cards are loaded ahead, so that one takes the place
// of the last at once; decisions are sent behind, one after the other. A card whose decision could
// not be saved comes back. Without this file the forms still work.
(() => {
  "use strict";
  const KEYS = "momok-keys";
  const AHEAD = 5; // cards: as many keys may follow at once
  const ahead = [];
  const unsaved = new Map(); // decisions on their way, by the key of the fact: [address, fields]
  let sending = Promise.resolve();
  let loading = false;
  let exhausted = false;
  let undoing = false;

  const area = () => document.getElementById("review");
  const card = () => document.getElementById("card");
  const isFact = (element) => Boolean(element && element.dataset.key);

  const say = (text) => {
    const status = document.getElementById("said");
    if (!status) return;
    status.textContent = text;
    status.classList.add("said-late");
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

  const focusStatement = () => {
    const statement = document.getElementById("statement");
    if (statement) statement.focus({ preventScroll: true });
  };

  const show = (fresh) => {
    card().replaceWith(fresh);
    focusStatement();
    window.scrollTo({ top: 0 });
  };

  const wait = (text) => {
    const empty = document.createElement("article");
    empty.id = "card";
    empty.className = "empty";
    empty.textContent = text;
    card().replaceWith(empty);
  };

  const fetchPage = async (address, body) => {
    const options = body ? { method: "POST", body } : {};
    const answer = await fetch(address, { ...options, headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!answer.ok) {
      const why = page.querySelector("main .lead");
      throw new Error(why ? why.textContent : answer.statusText);
    }
    return { page, address: answer.url };
  };

  // The next cards, until enough are there; the first of them is shown where none is.
  const loadAhead = async () => {
    if (loading || exhausted) return;
    loading = true;
    try {
      while (ahead.length < AHEAD && !exhausted) {
        const query = new URLSearchParams(area().dataset.queue);
        const there = [card(), ...ahead].filter(isFact).map((element) => element.dataset.key);
        for (const key of [...there, ...unsaved.keys()]) query.append("but", key);
        const { page } = await fetchPage(`${area().dataset.address}?${query}`);
        const fresh = page.getElementById("card");
        if (!isFact(fresh)) {
          exhausted = true;
          if (!isFact(card()) && fresh && !undoing) show(fresh);
        } else if (isFact(card()) || undoing) ahead.push(fresh);
        else show(fresh);
      }
    } catch {
      if (!isFact(card())) say("The next fact cannot be loaded: the server is not responding.");
    } finally {
      loading = false;
    }
  };

  const bringBack = (element, message) => {
    if (isFact(card())) ahead.unshift(card());
    show(element);
    say(`Not saved: ${message} Try again.`);
  };

  const decide = (form, button) => {
    const decided = card();
    if (!isFact(decided)) return;
    const fields = new URLSearchParams(new FormData(form));
    if (button && button.name) fields.set(button.name, button.value);
    fields.set("live", "1");
    const address = form.getAttribute("action"); // form.action is its button of that name
    unsaved.set(decided.dataset.key, [address, fields]);
    if (ahead.length) show(ahead.shift());
    else wait("Loading the next fact…");
    sending = sending.then(async () => {
      try {
        const { page } = await fetchPage(address, fields);
        document.getElementById("outcome").replaceChildren(...page.body.children);
      } catch (error) {
        // The same request name goes with the next try: nothing is decided twice.
        const known = error instanceof TypeError ? "the server is not responding." : error.message;
        bringBack(decided, known);
      } finally {
        unsaved.delete(decided.dataset.key);
      }
      loadAhead(); // not waited for: the next decision is sent meanwhile
    });
    loadAhead();
  };

  const undo = (form) => {
    const before = card();
    undoing = true;
    wait("Taking the last decision back…");
    sending = sending.then(async () => {
      try {
        const body = new URLSearchParams(new FormData(form));
        const { page, address } = await fetchPage(form.getAttribute("action"), body);
        const fresh = page.getElementById("review");
        if (!fresh) throw new Error("log in again.");
        ahead.length = 0; // kept for this reviewer, and given again
        exhausted = false;
        area().replaceWith(fresh);
        history.replaceState(null, "", address.replace(/[?&]did=[a-z]+/, ""));
        showKeys();
        focusStatement();
        window.scrollTo({ top: 0 });
      } catch (error) {
        show(before);
        say(`Not undone: ${error instanceof TypeError ? "the server is not responding." : error.message}`);
      }
      undoing = false;
      await loadAhead();
    });
  };

  // A part of another page, such as the rows of an entity: sent, and replaced by what is answered.
  const refresh = async (form, button) => {
    const id = form.dataset.refresh;
    const body = new URLSearchParams(new FormData(form));
    if (button && button.name) body.set(button.name, button.value);
    const place = [...document.querySelectorAll(`#${id} button, #${id} a`)].indexOf(button);
    try {
      const { page } = await fetchPage(form.getAttribute("action"), body);
      const open = document.querySelector(`#${id} details[open]`);
      document.getElementById(id).replaceWith(page.getElementById(id));
      const details = document.querySelector(`#${id} details`);
      if (open && details) details.open = true;
      const near = [...document.querySelectorAll(`#${id} button, #${id} a`)][place];
      if (near) near.focus({ preventScroll: true });
    } catch {
      form.submit();
    }
  };

  // Who leaves the page takes nothing back. What has arrived already is not decided twice.
  window.addEventListener("pagehide", () => {
    for (const [address, fields] of unsaved.values()) navigator.sendBeacon(address, fields);
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.refresh) {
      event.preventDefault();
      refresh(form, event.submitter);
    }
    if (!form.matches("form[data-live]")) return;
    event.preventDefault();
    const field = document.activeElement;
    if (form.id === "undo") undo(form);
    else if (field && field.id === "right-tail") decide(form, document.getElementById("correct"));
    else if (field && field.matches("input")) focusStatement(); // Enter in a note is no decision
    else decide(form, event.submitter);
  });

  document.addEventListener("change", (event) => {
    if (event.target.id === "keys") {
      try {
        localStorage.setItem(KEYS, event.target.checked ? "on" : "off");
      } catch {
        // for this page only, then
      }
    } else if (event.target.id === "relation" && event.target.form.matches(".choose")) {
      event.target.form.requestSubmit();
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea")) {
      const inCard = event.target.closest("#card");
      if (event.key === "Escape" && inCard) focusStatement();
      return;
    }
    const box = document.getElementById("keys");
    if (!box || !box.checked || event.repeat) return;
    const key = event.key.toLowerCase();
    const target = [...area().querySelectorAll("[data-press]")].find((e) => e.dataset.press === key);
    if (!target) return;
    event.preventDefault();
    if (target.matches("input:not([type=checkbox])")) target.focus();
    else target.click();
  });

  if (!area()) return;
  showKeys();
  focusStatement();
  if (isFact(card())) loadAhead();
})();
