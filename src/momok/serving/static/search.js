// Suggestions under fields for entities: ARIA comboboxes. Without this file the fields still work.
(() => {
  "use strict";
  const search = document.getElementById("q");
  if (!search) return;
  const root = search.form.dataset.root; // what the addresses on this server begin with
  const WAIT = 90; // milliseconds after the last key
  const attached = new WeakSet();

  // `take` is told the option that was chosen.
  const attach = (field, list, take) => {
    let timer = 0;
    let asked = 0; // counts requests: an older answer never replaces a newer one
    let chosen = -1;

    const close = () => {
      list.hidden = true;
      chosen = -1;
      field.setAttribute("aria-expanded", "false");
      field.removeAttribute("aria-activedescendant");
    };

    const choose = (index) => {
      const options = list.children;
      if (!options.length) return;
      chosen = (index + options.length) % options.length;
      for (const [i, option] of [...options].entries()) {
        option.setAttribute("aria-selected", String(i === chosen));
      }
      options[chosen].scrollIntoView({ block: "nearest" });
      field.setAttribute("aria-activedescendant", options[chosen].id);
    };

    const addText = (parent, tag, text, className) => {
      const element = document.createElement(tag);
      element.textContent = text;
      if (className) element.className = className;
      parent.append(element);
      return element;
    };

    const makeOption = (entity, index) => {
      const option = document.createElement("li");
      option.id = `${field.id}-${index}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.dataset.reference = entity.reference;
      if (entity.picture) {
        const picture = document.createElement("img");
        picture.src = `${root}${entity.picture}&size=small`;
        picture.alt = "";
        picture.className = "pic pic-small";
        option.append(picture);
      } else {
        addText(option, "span", entity.name.slice(0, 1), "pic pic-small pic-none");
      }
      const names = document.createElement("span");
      addText(names, "bdi", entity.title.slice(0, 120));
      if (entity.matched !== entity.name) {
        addText(names, "bdi", entity.matched.slice(0, 120), "quiet-text");
      }
      option.append(names);
      if (entity.type) addText(option, "span", entity.type.slice(0, 40), "tag");
      return option;
    };

    const suggest = async () => {
      const text = field.value.trim();
      const mine = ++asked;
      if (!text) return close();
      try {
        const query = new URLSearchParams({ q: text.slice(0, 200), limit: "8" });
        const answer = await fetch(`${root}/api/v1/search?${query}`);
        if (!answer.ok || mine !== asked) return;
        const found = (await answer.json()).results;
        if (mine !== asked || document.activeElement !== field) return;
        const before = chosen < 0 ? null : list.children[chosen].dataset.reference;
        list.replaceChildren(...found.map(makeOption));
        chosen = -1;
        list.hidden = found.length === 0;
        field.setAttribute("aria-expanded", String(found.length > 0));
        field.removeAttribute("aria-activedescendant");
        const still = found.findIndex((entity) => entity.reference === before);
        if (still >= 0) choose(still); // chosen by a key while a later answer was under way
      } catch {
        close(); // no suggestions; Enter still searches
      }
    };

    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(suggest, WAIT);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        if (list.hidden) return;
        event.preventDefault();
        choose(event.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? -1 : chosen - 1);
      } else if (event.key === "Enter" && chosen >= 0) {
        event.preventDefault();
        event.stopPropagation();
        take(list.children[chosen].dataset.reference);
        close();
      } else if (event.key === "Escape" && !list.hidden) {
        event.stopPropagation();
        close();
      }
    });
    field.addEventListener("blur", () => setTimeout(close, 150));
    list.addEventListener("mousedown", (event) => {
      const option = event.target.closest("li");
      if (!option) return;
      event.preventDefault();
      take(option.dataset.reference);
      close();
    });
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });

  attach(search, document.getElementById("q-list"), (reference) => {
    location.assign(`${root}/entity?${new URLSearchParams({ label: reference })}`);
  });
  // Fields of cards, which come later.
  document.addEventListener("focusin", (event) => {
    const field = event.target;
    if (!field.dataset.suggest || attached.has(field)) return;
    attached.add(field);
    attach(field, document.getElementById(field.dataset.suggest), (reference) => {
      field.value = reference;
    });
  });
})();
