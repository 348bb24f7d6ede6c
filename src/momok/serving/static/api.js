// Sends a request from the page of the API and shows what is answered below its form.
(() => {
  "use strict";
  const LONGEST = 20000; // characters that are shown

  const format = (text) => {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  };

  const show = (form, status, text) => {
    let box = form.parentElement.querySelector("output");
    if (!box) {
      box = document.createElement("output");
      box.append(document.createElement("p"), document.createElement("pre"));
      box.lastChild.tabIndex = 0;
      form.after(box);
    }
    box.firstChild.textContent = status;
    box.lastChild.textContent = text.length > LONGEST ? `${text.slice(0, LONGEST)}\n…` : text;
  };

  const prepare = (form) => {
    const kind = form.dataset.kind;
    const body = form.querySelector("[data-body]");
    const fields = new FormData(form);
    for (const [name, value] of [...fields.entries()]) {
      const isEmpty = value instanceof File ? !value.name : value === "";
      if (isEmpty) fields.delete(name);
    }
    if (form.method === "post" && kind === "multipart/form-data") {
      return { address: form.getAttribute("action"), options: { method: "POST", body: fields } };
    }
    const query = new URLSearchParams(fields).toString();
    const address = form.getAttribute("action") + (query ? `?${query}` : "");
    if (form.method !== "post") return { address, options: {} };
    const headers = { "content-type": kind };
    return { address, options: { method: "POST", headers, body: body ? body.value : "" } };
  };

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form.try")) return;
    event.preventDefault();
    const { address, options } = prepare(form);
    const began = performance.now();
    show(form, `${options.method || "GET"} ${address} …`, "");
    try {
      const answer = await fetch(address, options);
      const text = await answer.text();
      const took = Math.round(performance.now() - began);
      show(form, `${options.method || "GET"} ${address}: ${answer.status}, ${took} ms`, format(text));
    } catch {
      show(form, `${address}: the server is not responding.`, "");
    }
  });
})();
