// The map of entities: a canvas to pan and zoom. Points are written as pixels: 15,000 of them take about
// a millisecond, with a graphics card or without. Without this file the page lists the nearest ones.
(() => {
  "use strict";
  const box = document.getElementById("map");
  if (!box) return;
  const root = box.dataset.root;
  const canvas = document.getElementById("map-canvas");
  const context = canvas.getContext("2d");
  const label = document.getElementById("map-name");
  const groups = document.getElementById("map-groups");
  const SIDE = 65535; // coordinates go from 0 to this
  const NEAR = 14; // pixels of the page: how far a pointer may be from a point
  const NAMED = 45; // points in view, up to which all have their names
  const MOST_PIXELS = 6e6; // of the canvas

  let map = null; // what the server has sent
  let image = null;
  let pixels = null;
  let ratio = 1; // pixels of the canvas to one of the page
  let scale = 1; // pixels of the page to one unit of the map
  let left = 0; // where the map begins, in pixels of the page
  let top = 0;
  let chosen = -1; // by pointer or by key
  let found = -1; // by search
  let asked = false; // whether a frame is asked for
  let colours = [];
  let off = new Set(); // groups that are not shown
  let disc = []; // the pixels of a point: [place from its middle, share that it covers]

  const place = (i) => [left + map.x[i] * scale, top + map.y[i] * scale];
  const isShown = (i) => !off.has(map.group[i]);

  // -- drawing -------------------------------------------------------------------------------

  const readColours = () => {
    const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    colours = [...groups.querySelectorAll(".dot")].map((dot) => {
      probe.fillStyle = getComputedStyle(dot).color;
      probe.fillRect(0, 0, 1, 1);
      const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
      return ((b << 16) | (g << 8) | r) >>> 0;
    });
  };

  const makeDisc = (radius) => {
    disc = [];
    const reach = Math.ceil(radius);
    for (let dy = -reach; dy <= reach; dy += 1) {
      for (let dx = -reach; dx <= reach; dx += 1) {
        const cover = Math.min(Math.max(radius + 0.5 - Math.hypot(dx, dy), 0), 1);
        if (cover > 0) disc.push([dy * image.width + dx, cover]);
      }
    }
  };

  const fit = () => {
    const { width, height } = canvas.getBoundingClientRect();
    ratio = Math.min(window.devicePixelRatio || 1, Math.sqrt(MOST_PIXELS / (width * height)));
    canvas.width = Math.max(Math.round(width * ratio), 1);
    canvas.height = Math.max(Math.round(height * ratio), 1);
    image = context.createImageData(canvas.width, canvas.height);
    pixels = new Uint32Array(image.data.buffer);
  };

  const showAll = () => {
    const { width, height } = canvas.getBoundingClientRect();
    scale = (Math.min(width, height) - 40) / SIDE;
    left = (width - SIDE * scale) / 2;
    top = (height - SIDE * scale) / 2;
    draw();
  };

  const paint = () => {
    asked = false;
    const { width, height } = image;
    const each = Math.sqrt((width * height) / map.x.length) / ratio; // the room of a point
    const zoomed = (scale * SIDE * ratio) / Math.min(width, height);
    const least = Math.min(Math.max(each / 6, 1.6), 3.2);
    const radius = ratio * Math.min(least + 0.5 * Math.log2(Math.max(zoomed, 1)), 6);
    makeDisc(radius);
    const reach = Math.ceil(radius);
    const offsets = Int32Array.from(disc, ([offset]) => offset);
    const covers = Uint32Array.from(disc, ([, cover]) => Math.round(255 * cover) << 24);
    pixels.fill(0);
    const { x, y, group } = map;
    const shown = colours.map((_, number) => !off.has(number));
    const named = [];
    const a = scale * ratio;
    const b = left * ratio;
    const c = top * ratio;
    for (let i = 0; i < x.length; i += 1) {
      if (!shown[group[i]]) continue;
      const px = Math.round(b + x[i] * a);
      const py = Math.round(c + y[i] * a);
      if (px < reach || py < reach || px >= width - reach || py >= height - reach) continue;
      if (named.length <= NAMED) named.push(i);
      const colour = colours[group[i]];
      const middle = py * width + px;
      for (let k = 0; k < offsets.length; k += 1) {
        const at = middle + offsets[k];
        // An edge is drawn over nothing but the ground: points keep their colours.
        if (covers[k] >= 0xff000000 || pixels[at] >>> 24 < covers[k] >>> 24) {
          pixels[at] = (covers[k] | colour) >>> 0;
        }
      }
    }
    context.putImageData(image, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (named.length <= NAMED) named.forEach(writeName);
    [found, chosen].filter((i) => i >= 0).forEach(drawRing);
    context.setTransform(1, 0, 0, 1, 0, 0);
  };

  const draw = () => {
    if (asked || !map) return;
    asked = true;
    requestAnimationFrame(paint);
  };

  const writeName = (i) => {
    const [x, y] = place(i);
    context.font = "13px system-ui, sans-serif";
    context.fillStyle = getComputedStyle(canvas).color;
    context.fillText(map.names[i].slice(0, 40), x + 8, y + 4);
  };

  const drawRing = (i) => {
    const [x, y] = place(i);
    context.lineWidth = 2.5;
    context.strokeStyle = getComputedStyle(canvas).color;
    context.beginPath();
    context.arc(x, y, 9, 0, 2 * Math.PI);
    context.stroke();
  };

  // -- choosing an entity --------------------------------------------------------------------

  const choose = (i, aloud) => {
    chosen = i;
    label.hidden = i < 0;
    canvas.style.cursor = i < 0 ? "grab" : "pointer";
    if (i >= 0) {
      const [x, y] = place(i);
      label.textContent = map.names[i];
      const { width } = canvas.getBoundingClientRect();
      const turn = x > width / 2 ? " translateX(calc(-100% - 24px))" : "";
      label.style.transform = `translate(${x + 12}px, ${y - 14}px)${turn}`;
      if (aloud) {
        document.getElementById("map-said").textContent =
          `${map.names[i]} (${map.groups[map.group[i]]})`;
      }
    }
    draw();
  };

  const nearest = (x, y, within) => {
    let best = -1;
    let least = within * within;
    for (let i = 0; i < map.x.length; i += 1) {
      const dx = left + map.x[i] * scale - x;
      const dy = top + map.y[i] * scale - y;
      const apart = dx * dx + dy * dy;
      if (apart < least && isShown(i)) {
        least = apart;
        best = i;
      }
    }
    return best;
  };

  // The nearest one in a direction: what lies aside counts double.
  const step = (dx, dy) => {
    const { width, height } = canvas.getBoundingClientRect();
    const from = chosen >= 0 ? chosen : found;
    if (from < 0) return choose(nearest(width / 2, height / 2, Infinity), true);
    const [x, y] = place(from);
    let best = -1;
    let least = Infinity;
    for (let i = 0; i < map.x.length; i += 1) {
      const along = (left + map.x[i] * scale - x) * dx + (top + map.y[i] * scale - y) * dy;
      const aside = Math.abs((left + map.x[i] * scale - x) * dy - (top + map.y[i] * scale - y) * dx);
      const cost = along + 2 * aside;
      if (i !== from && along > 0 && aside <= along && cost < least && isShown(i)) {
        least = cost;
        best = i;
      }
    }
    if (best >= 0) {
      keepInView(best);
      choose(best, true);
    }
  };

  const keepInView = (i) => {
    const { width, height } = canvas.getBoundingClientRect();
    const [x, y] = place(i);
    if (x < 30 || x > width - 30) left += width / 2 - x;
    if (y < 30 || y > height - 30) top += height / 2 - y;
  };

  const open = (i) => {
    if (i >= 0) location.assign(`${root}/entity?${new URLSearchParams({ label: map.references[i] })}`);
  };

  const goTo = (i) => {
    const { width, height } = canvas.getBoundingClientRect();
    scale = Math.max(scale, (6 * Math.min(width, height)) / SIDE);
    left = width / 2 - map.x[i] * scale;
    top = height / 2 - map.y[i] * scale;
    found = i;
    choose(i, true);
  };

  // -- moving --------------------------------------------------------------------------------

  const zoom = (factor, x, y) => {
    const { width, height } = canvas.getBoundingClientRect();
    const least = (0.5 * (Math.min(width, height) - 40)) / SIDE;
    const fresh = Math.min(Math.max(scale * factor, least), 1);
    left = x - ((x - left) * fresh) / scale;
    top = y - ((y - top) * fresh) / scale;
    scale = fresh;
    choose(chosen);
  };

  const zoomMiddle = (factor) => {
    const { width, height } = canvas.getBoundingClientRect();
    const [x, y] = chosen >= 0 ? place(chosen) : [width / 2, height / 2];
    zoom(factor, x, y);
  };

  const pointers = new Map();
  let travelled = 0;

  canvas.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    canvas.setPointerCapture(event.pointerId);
    travelled = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!map) return;
    const before = pointers.get(event.pointerId);
    const now = [event.offsetX, event.offsetY];
    if (!before) return choose(nearest(...now, NEAR));
    const others = [...pointers.entries()].filter(([id]) => id !== event.pointerId);
    pointers.set(event.pointerId, now);
    travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (others.length === 1) {
      const [x, y] = others[0][1];
      const was = Math.hypot(before[0] - x, before[1] - y);
      const is = Math.hypot(now[0] - x, now[1] - y);
      if (was > 0) zoom(is / was, x, y);
    } else {
      left += now[0] - before[0];
      top += now[1] - before[1];
      choose(-1);
    }
  });
  const release = (event) => {
    const wasDown = pointers.delete(event.pointerId);
    if (event.type === "pointerup" && wasDown && travelled < 5 && !pointers.size && map) {
      open(nearest(event.offsetX, event.offsetY, NEAR));
    }
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => !pointers.size && map && choose(-1));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (map) zoom(2 ** (-event.deltaY / (event.deltaMode ? 8 : 300)), event.offsetX, event.offsetY);
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !map) return;
    const actions = {
      ArrowLeft: () => step(-1, 0),
      ArrowRight: () => step(1, 0),
      ArrowUp: () => step(0, -1),
      ArrowDown: () => step(0, 1),
      "+": () => zoomMiddle(1.5),
      "=": () => zoomMiddle(1.5),
      "-": () => zoomMiddle(1 / 1.5),
      0: showAll,
      Enter: () => open(chosen),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });
  box.addEventListener("click", (event) => {
    const way = event.target.dataset.zoom;
    if (way === "all") showAll();
    else if (way) zoomMiddle(way === "in" ? 1.5 : 1 / 1.5);
  });
  groups.addEventListener("change", () => {
    const boxes = [...groups.querySelectorAll("input")];
    off = new Set(boxes.filter((one) => !one.checked).map((one) => Number(one.value)));
    choose(-1);
  });
  document.getElementById("map-find").addEventListener("submit", (event) => {
    const text = event.target.label.value.trim();
    const i = map ? map.references.indexOf(text) : -1;
    if (i < 0) return; // the server finds names, and says what is wrong
    event.preventDefault();
    goTo(i);
    canvas.focus();
  });

  // -- beginning -----------------------------------------------------------------------------

  const begin = async () => {
    const answer = await fetch(`${root}/api/v1/map`);
    if (!answer.ok) return;
    map = await answer.json();
    map.x = Float64Array.from(map.x);
    map.y = Float64Array.from(map.y);
    map.group = Uint8Array.from(map.group);
    box.hidden = groups.hidden = false;
    readColours();
    fit();
    showAll();
    const shown = box.dataset.shown ? map.references.indexOf(box.dataset.shown) : -1;
    if (shown >= 0) goTo(shown);
    new ResizeObserver(() => {
      fit();
      draw();
    }).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      readColours();
      draw();
    });
    box.dataset.ready = "true";
  };
  begin();
})();
