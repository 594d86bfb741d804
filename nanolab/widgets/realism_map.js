// Map of patches: hover or click shows one, a loop drawn with the mouse lists those within it.
const WIDTH = 640, HEIGHT = 520, MARGIN = 16, REACH = 12, LISTED = 200;

function element(parent, tag, className = "") {
  const made = document.createElement(tag);
  made.className = className;
  parent.appendChild(made);
  return made;
}

function canvas(parent, className, width, height) {
  const made = element(parent, "canvas", className);
  made.width = width;
  made.height = height;
  return made;
}

// Places on the canvas, one scale for both axes.
function toCanvas(points) {
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.min((WIDTH - 2 * MARGIN) / (right - left || 1), (HEIGHT - 2 * MARGIN) / (high - low || 1));
  return points.map(([x, y]) => [
    WIDTH / 2 + scale * (x - (left + right) / 2),
    HEIGHT / 2 - scale * (y - (low + high) / 2),
  ]);
}

function drawMarker(context, marker, x, y, size) {
  context.beginPath();
  if (marker === "s") context.rect(x - size, y - size, 2 * size, 2 * size);
  else if (marker === "^") {
    context.moveTo(x, y - 1.3 * size);
    context.lineTo(x + 1.2 * size, y + size);
    context.lineTo(x - 1.2 * size, y + size);
    context.closePath();
  } else context.arc(x, y, 1.1 * size, 0, 2 * Math.PI);
}

function inside(loop, [x, y]) {
  let odd = false;
  for (let i = 0, j = loop.length - 1; i < loop.length; j = i++) {
    const [xi, yi] = loop[i], [xj, yj] = loop[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
}

function drawKey(parent, style) {
  for (const [name, colour] of Object.entries(style.colours)) {
    const mark = element(parent, "span");
    mark.textContent = `\u25CF ${name}`;
    mark.style.color = colour;
  }
  const symbols = { o: "\u25CF", s: "\u25A0", "^": "\u25B2" };
  for (const [kind, marker] of Object.entries(style.markers)) {
    if (kind !== "unknown") element(parent, "span").textContent = `${symbols[marker]} ${kind}`;
  }
}

function render({ model, el }) {
  const points = model.get("points"), texts = model.get("texts"), style = model.get("style");
  const columns = model.get("columns"), side = model.get("thumbnail_px");
  const places = toCanvas(points);
  const root = element(el, "div", "nanolab-map");
  if (model.get("banner")) element(root, "div", "banner").textContent = model.get("banner");
  const views = element(root, "div", "views");
  const left = element(views, "div"), right = element(views, "div", "side");
  const map = canvas(left, "points", WIDTH, HEIGHT), context = map.getContext("2d");
  drawKey(element(left, "div", "key"), style);
  const patch = canvas(right, "", side, side), text = element(right, "div", "text");
  const count = element(root, "div", "count"), chosen = element(root, "div", "chosen");
  text.textContent = "Hover a point to see its patch, click to keep it, draw a loop to list the patches within.";

  const sheet = new Image();
  const view = model.get("sheet");
  const address = URL.createObjectURL(new Blob([view], { type: "image/jpeg" }));
  sheet.src = address;

  let shown = -1, kept = -1, loop = [], drawing = false;

  function show(index, target = patch) {
    const x = (index % columns) * side, y = Math.floor(index / columns) * side;
    target.getContext("2d").drawImage(sheet, x, y, side, side, 0, 0, side, side);
  }

  function draw() {
    const selected = new Set(model.get("selected"));
    context.clearRect(0, 0, WIDTH, HEIGHT);
    points.forEach(([, , name, kind], index) => {
      drawMarker(context, style.markers[kind], ...places[index], 3);
      context.fillStyle = style.colours[name];
      context.globalAlpha = selected.size && !selected.has(index) ? 0.12 : 0.6;
      context.fill();
    });
    context.globalAlpha = 1;
    for (const index of [kept, shown].filter((each) => each >= 0)) {
      drawMarker(context, style.markers[points[index][3]], ...places[index], 6);
      context.strokeStyle = "black";
      context.lineWidth = 2;
      context.stroke();
    }
    if (loop.length > 1) {
      context.beginPath();
      loop.forEach(([x, y], step) => (step ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.setLineDash([4, 3]);
      context.lineWidth = 1;
      context.stroke();
      context.setLineDash([]);
    }
  }

  function look(index) {
    shown = index;
    const seen = index >= 0 ? index : kept;
    if (seen >= 0) {
      show(seen);
      text.textContent = texts[seen];
    }
    draw();
  }

  function list() {
    const selected = model.get("selected");
    chosen.replaceChildren();
    count.textContent = selected.length
      ? `${selected.length} patches selected` + (selected.length > LISTED ? `, the first ${LISTED} shown` : "")
      : "";
    for (const index of selected.slice(0, LISTED)) {
      const thumbnail = canvas(chosen, "", side, side);
      thumbnail.style.borderColor = style.colours[points[index][2]];
      thumbnail.title = texts[index];
      thumbnail.addEventListener("click", () => look((kept = index)));
      show(index, thumbnail);
    }
    draw();
  }

  function place(event) {
    const box = map.getBoundingClientRect();
    return [((event.clientX - box.left) * WIDTH) / box.width, ((event.clientY - box.top) * HEIGHT) / box.height];
  }

  function nearest([x, y]) {
    let best = -1, least = REACH ** 2;
    places.forEach(([px, py], index) => {
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) [best, least] = [index, distance];
    });
    return best;
  }

  map.addEventListener("pointerdown", (event) => {
    map.setPointerCapture(event.pointerId);
    drawing = true;
    loop = [place(event)];
  });
  map.addEventListener("pointermove", (event) => {
    if (!drawing) return look(nearest(place(event)));
    loop.push(place(event));
    draw();
  });
  map.addEventListener("pointerup", (event) => {
    drawing = false;
    const drawn = loop;
    loop = [];
    const across = Math.max(...drawn.map(([x, y]) => Math.hypot(x - drawn[0][0], y - drawn[0][1])));
    if (across < 5) {
      kept = nearest(place(event));
      if (kept < 0) model.set("selected", []);
      look(kept);
    } else {
      const found = places.flatMap((each, index) => (inside(drawn, each) ? [index] : []));
      model.set("selected", found);
    }
    model.save_changes();
    list();
  });
  map.addEventListener("pointerleave", () => drawing || look(-1));
  model.on("change:selected", list);
  sheet.onload = list;
  draw();
  return () => {
    model.off("change:selected", list);
    URL.revokeObjectURL(address);
  };
}

export default { render };
