// The view: panels with one zoom, a slider, thumbnails, picks and notes. It uses `load` of epoch_frames.js.
const MOST_PANELS = 4, THUMBNAIL_PX = 84, SOON = 400; // ms after which a note being typed is sent
const SHOWS = { contours: "Contours", particles: "Particles", probability: "Probability", difference: "Difference" };
const KEYS = "Keys: ← → step, Home/End, P pick, 1–4 side by side, B before/after, G annotation, + − 0 zoom, Shift+arrows pan";
let made = 0;

function element(parent, tag, className = "", text = "") {
  const one = document.createElement(tag);
  if (className) one.className = className;
  one.textContent = text;
  parent.appendChild(one);
  return one;
}

function button(parent, className, text, label, act) {
  const one = element(parent, "button", className, text);
  one.type = "button";
  if (label) one.setAttribute("aria-label", label);
  one.addEventListener("click", act);
  return one;
}

function roundLength(longest) {
  const power = 10 ** Math.floor(Math.log10(longest));
  return power * [5, 2, 1].find((step) => step * power <= longest);
}

function drawScaleBar(context, canvas, scale, pixelSize) {
  const length = roundLength((canvas.width * 0.28 * pixelSize) / scale), long = (length / pixelSize) * scale;
  const text = length >= 1000 ? `${length / 1000} µm` : `${length} nm`;
  const x = canvas.width - long - 14, y = canvas.height - 14;
  context.font = "bold 13px system-ui, sans-serif";
  context.fillStyle = "rgba(0,0,0,0.65)";
  context.fillRect(x - 8, y - 22, long + 16, 32);
  context.fillStyle = "white";
  context.fillRect(x, y, long, 4);
  context.fillText(text, x + long / 2 - context.measureText(text).width / 2, y - 6);
}

async function render({ model, el }) {
  const names = model.get("names"), blind = model.get("blind"), most = model.get("most"), last = names.length - 1;
  const plain = blind ? "candidate" : "epoch";
  const root = element(el, "div", "nanolab-epochs");
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves the keys to us
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", `Choose the best ${plain}s`);
  const loading = element(root, "div", "message", "Loading …");
  const frames = await load(model);
  loading.remove();

  const picks = () => model.get("picks"), notes = () => model.get("notes");
  const state = { show: "contours", post: true, truth: false, panels: [picks()[0] ?? (blind ? 0 : last)], active: 0 };
  const view = { zoom: 1, row: frames.height / 2, col: frames.width / 2 };
  const current = () => state.panels[state.active];

  if (model.get("banner")) element(root, "div", "banner", model.get("banner"));
  const bar = element(root, "div", "bar");
  const group = (label) => {
    const one = element(bar, "span", "group");
    one.setAttribute("role", "group");
    one.setAttribute("aria-label", label);
    return one;
  };
  const shows = group("Show");
  for (const [show, text] of Object.entries(SHOWS)) {
    if (show === "difference" && blind) continue; // in random order there is no epoch before
    button(shows, `show ${show}`, text, "", () => change({ show }));
  }
  const post = button(group("Post-processing"), "post", "Post-processed", "", () => change({ post: !state.post }));
  post.title = "Touching particles separated and small ones dropped, or the probability cut at the threshold";
  const truth = frames.hasTruth && button(group("Annotation"), "truth", "Annotation", "", () => change({ truth: !state.truth }));
  const sides = group("Side by side");
  for (let count = 1; count <= Math.min(MOST_PANELS, names.length); count++) {
    button(sides, "side", `${count}`, `${count} side by side`, () => beside(count));
  }
  const zooms = group("Zoom");
  button(zooms, "zoom-out", "−", "Zoom out", () => zoomBy(1 / 1.5));
  button(zooms, "zoom-in", "+", "Zoom in", () => zoomBy(1.5));
  button(zooms, "fit", "Fit", "Show the whole image", () => zoomBy(0));

  const panels = element(root, "div", "panels"), key = element(root, "div", "key");
  const steps = element(root, "div", "steps");
  button(steps, "previous", "◀", `Previous ${plain}`, () => go(current() - 1));
  const slider = element(steps, "input", "slider");
  Object.assign(slider, { type: "range", min: 0, max: last, step: 1 });
  slider.setAttribute("aria-label", blind ? "Candidate" : "Epoch");
  slider.addEventListener("input", () => go(Number(slider.value)));
  button(steps, "next", "▶", `Next ${plain}`, () => go(current() + 1));
  const pick = button(steps, "pick", "", "", () => togglePick(current()));
  const strip = element(root, "div", "strip");
  strip.setAttribute("role", "group");
  strip.setAttribute("aria-label", `All ${plain}s`);
  const bottom = element(root, "div", "bottom"), chosen = element(bottom, "div", "chosen");
  const noting = element(bottom, "label", "noting"), noteName = element(noting, "span");
  const note = element(noting, "input", "note");
  note.type = "text";
  note.id = `nanolab-note-${made++}`;
  noting.htmlFor = note.id;
  const message = element(root, "div", "message");
  message.setAttribute("role", "status");
  element(root, "div", "help", KEYS);

  // --- acting -----------------------------------------------------------------------------------------------------

  function change(changes) {
    Object.assign(state, changes);
    update();
  }

  function go(position) {
    state.panels[state.active] = Math.max(0, Math.min(last, position));
    update();
  }

  // A new panel begins with a pick that is not shown yet, else with a neighbour.
  function beside(count) {
    while (state.panels.length > count) state.panels.pop();
    while (state.panels.length < count) {
      const free = (at) => !state.panels.includes(at);
      const near = names.map((_, at) => at).sort((a, b) => Math.abs(a - current()) - Math.abs(b - current()));
      state.panels.push(picks().find(free) ?? near.find(free));
    }
    change({ active: Math.min(state.active, count - 1) });
  }

  function save(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  function togglePick(position) {
    const had = picks();
    if (had.includes(position)) save("picks", had.filter((one) => one !== position));
    else if (had.length < most) save("picks", [...had, position]);
    else message.textContent = `There are ${most} picks already: take one back first.`;
    update();
  }

  function promote(position) {
    save("picks", [position, ...picks().filter((one) => one !== position)]);
    update();
  }

  let typing = null;
  function sendNote() {
    if (!typing) return;
    clearTimeout(typing.timer);
    const { position } = typing, others = { ...notes() };
    typing = null;
    delete others[position];
    save("notes", note.value.trim() ? { ...others, [position]: note.value.trim() } : others);
  }
  note.addEventListener("input", () => {
    if (typing) clearTimeout(typing.timer);
    typing = { position: current(), timer: setTimeout(sendNote, SOON) };
  });
  note.addEventListener("blur", sendNote);

  // --- zooming ----------------------------------------------------------------------------------------------------

  const fitting = (canvas) => Math.min(canvas.width / frames.width, canvas.height / frames.height);

  function zoomBy(factor, row = view.row, col = view.col) {
    const zoom = factor ? Math.max(1, Math.min(40, view.zoom * factor)) : 1;
    const kept = view.zoom / zoom; // the place under the mouse stays where it is
    moveTo(row + (view.row - row) * kept, col + (view.col - col) * kept, zoom);
  }

  function moveTo(row, col, zoom = view.zoom) {
    const half = 0.5 / zoom, clamp = (at, length) => Math.max(half * length, Math.min((1 - half) * length, at));
    Object.assign(view, { zoom, row: clamp(row, frames.height), col: clamp(col, frames.width) });
    drawPanels();
  }

  function place(canvas, event) {
    const box = canvas.getBoundingClientRect(), scale = fitting(canvas) * view.zoom;
    const x = ((event.clientX - box.left) * canvas.width) / box.width - canvas.width / 2;
    const y = ((event.clientY - box.top) * canvas.height) / box.height - canvas.height / 2;
    return [view.row + y / scale, view.col + x / scale];
  }

  function listen(canvas, index) {
    let held = null;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoomBy(event.deltaY < 0 ? 1.25 : 0.8, ...place(canvas, event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      held = place(canvas, event);
      if (state.active !== index) change({ active: index });
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return;
      const [row, col] = place(canvas, event);
      moveTo(view.row + held[0] - row, view.col + held[1] - col);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = null; });
    canvas.addEventListener("focus", () => { if (state.active !== index) change({ active: index }); });
  }

  // --- showing ----------------------------------------------------------------------------------------------------

  let drawn = [];
  function layOut() {
    panels.replaceChildren();
    drawn = state.panels.map((_, index) => {
      const panel = element(panels, "div", "panel"), caption = element(panel, "div", "caption");
      const canvas = element(panel, "canvas", "view");
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "img");
      listen(canvas, index);
      return { panel, caption, canvas, picture: null };
    });
    resize();
  }

  function resize() {
    const count = drawn.length, columns = count > 2 ? 2 : count;
    const scale = Math.min(
      (Math.floor((root.clientWidth || 960) / columns) - 8) / frames.width, (count > 2 ? 225 : 430) / frames.height,
    );
    const width = Math.round(scale * frames.width), height = Math.round(scale * frames.height);
    for (const { canvas } of drawn) Object.assign(canvas, { width, height });
    drawPanels();
  }

  function drawPanels() {
    for (const { canvas, picture } of drawn) {
      const context = canvas.getContext("2d"), scale = fitting(canvas) * view.zoom;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.fillStyle = "#111";
      context.fillRect(0, 0, canvas.width, canvas.height);
      if (!picture) continue;
      context.imageSmoothingEnabled = scale < 2;
      context.setTransform(scale, 0, 0, scale, canvas.width / 2 - view.col * scale, canvas.height / 2 - view.row * scale);
      context.drawImage(picture, 0, 0);
      context.setTransform(1, 0, 0, 1, 0, 0);
      if (model.get("pixel_size_nm") > 0) drawScaleBar(context, canvas, scale, model.get("pixel_size_nm"));
    }
  }

  let asked = 0;
  async function paintPanels() {
    const turn = ++asked;
    const what = (position, canvas) =>
      frames.picture(position, state.show, state.post, state.truth, fitting(canvas) * view.zoom < 0.8 ? 2 : 1);
    const pictures = await Promise.all(drawn.map(({ canvas }, index) => what(state.panels[index], canvas)));
    if (turn !== asked) return; // something else was asked for meanwhile
    pictures.forEach((picture, index) => { drawn[index].picture = picture; });
    drawPanels();
    root.dataset.shown = state.panels.map((at) => names[at]).join(", ");
    for (const near of [current() + 1, current() - 1]) {
      if (turn === asked && near >= 0 && near <= last) await what(near, drawn[state.active].canvas);
    }
  }

  function drawKey() {
    const entries = {
      contours: [["found", "found"]], particles: [], probability: [],
      difference: [["gained", "new since the epoch before"], ["lost", "gone since then"]],
    }[state.show];
    key.replaceChildren();
    for (const [name, text] of [...entries, ...(state.truth ? [["annotated", "annotated"]] : [])]) {
      element(key, "span", name, `■ ${text}`);
    }
    if (state.show === "probability") element(key, "span", "", "black: surely ground, white: surely particle");
    if (state.show === "particles") {
      element(key, "span", "", state.post ? "a colour for each particle" : "before post-processing: whatever is particle");
    }
    if (state.show === "difference" && current() === 0) element(key, "span", "", "no epoch before the first");
  }

  function drawPicks() {
    chosen.replaceChildren();
    element(chosen, "span", "count", `Picks (${picks().length} of ${most}):`);
    picks().forEach((position, rank) => {
      const chip = element(chosen, "span", "chip");
      button(chip, "go", names[position], `Show ${names[position]}`, () => go(position));
      if (rank) button(chip, "promote", "↑ best", `Make ${names[position]} the best`, () => promote(position));
      button(chip, "remove", "×", `Take back ${names[position]}`, () => togglePick(position));
    });
    if (!picks().length) element(chosen, "span", "none", "none yet; the first one counts as the best");
  }

  function press(one, on) {
    one.setAttribute("aria-pressed", on);
  }

  function update() {
    if (typing && typing.position !== current()) sendNote();
    if (drawn.length !== state.panels.length) layOut();
    const position = current(), picked = picks().includes(position);
    for (const one of shows.children) press(one, one.classList.contains(state.show));
    press(post, state.post);
    if (truth) press(truth, state.truth);
    [...sides.children].forEach((one, index) => press(one, index + 1 === state.panels.length));
    drawn.forEach(({ panel, caption, canvas }, index) => {
      const at = state.panels[index], text = `${names[at]}${picks().includes(at) ? " ★ picked" : ""}`;
      panel.classList.toggle("active", index === state.active && drawn.length > 1);
      caption.textContent = text;
      canvas.setAttribute("aria-label", `${text}, ${SHOWS[state.show]}`);
    });
    slider.value = position;
    slider.setAttribute("aria-valuetext", names[position]);
    pick.textContent = picked ? `★ Take back ${names[position]}` : `☆ Pick ${names[position]}`;
    press(pick, picked);
    [...strip.children].forEach((one, at) => {
      press(one, picks().includes(at));
      one.classList.toggle("current", at === position);
      one.setAttribute("aria-label", `${names[at]}${picks().includes(at) ? ", picked" : ""}${notes()[at] ? ", with a note" : ""}`);
    });
    const thumbnail = strip.children[position];
    strip.scrollLeft = thumbnail.offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + thumbnail.clientWidth / 2;
    noteName.textContent = `Note on ${names[position]}`;
    if (!typing) note.value = notes()[position] ?? "";
    drawKey();
    drawPicks();
    paintPanels();
  }

  // --- keys -------------------------------------------------------------------------------------------------------

  const pan = (rows, cols) => moveTo(view.row + (rows * frames.height) / view.zoom / 8, view.col + (cols * frames.width) / view.zoom / 8);
  const actions = {
    ArrowLeft: () => go(current() - 1), ArrowRight: () => go(current() + 1), Home: () => go(0), End: () => go(last),
    p: () => togglePick(current()), b: () => change({ post: !state.post }),
    g: () => truth && change({ truth: !state.truth }),
    "+": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: () => zoomBy(0),
    ShiftArrowLeft: () => pan(0, -1), ShiftArrowRight: () => pan(0, 1), ShiftArrowUp: () => pan(-1, 0), ShiftArrowDown: () => pan(1, 0),
  };
  for (let count = 1; count <= sides.children.length; count++) actions[count] = () => beside(count);
  root.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.target === note || event.ctrlKey || event.metaKey || event.altKey) return;
    const name = event.shiftKey && event.key.startsWith("Arrow") ? `Shift${event.key}` : event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!actions[name]) return;
    event.preventDefault();
    actions[name]();
  });

  // --- beginning --------------------------------------------------------------------------------------------------

  const ratio = frames.height / frames.width;
  const thumbnails = names.map((name, at) => {
    const one = button(strip, "thumbnail", "", "", () => go(at));
    const canvas = element(one, "canvas");
    Object.assign(canvas, { width: THUMBNAIL_PX, height: Math.round(THUMBNAIL_PX * ratio) });
    element(one, "span", "", blind ? `${at + 1}` : name.replace("epoch ", ""));
    return canvas;
  });
  const heard = () => update(), told = () => { message.textContent = model.get("message"); };
  model.on("change:picks change:notes", heard);
  model.on("change:message", told);
  const watcher = new ResizeObserver(() => { if (drawn.length && root.clientWidth) resize(); });
  watcher.observe(root);
  update();
  told();
  let gone = false;
  async function drawThumbnail(at) {
    const context = thumbnails[at].getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(await frames.small(at), 0, 0, thumbnails[at].width, thumbnails[at].height);
  }
  const seen = new IntersectionObserver((entries) => {
    for (const { target } of entries.filter((each) => each.isIntersecting)) {
      seen.unobserve(target);
      drawThumbnail(thumbnails.indexOf(target));
    }
  });
  (async () => {
    if (frames.onDemand) thumbnails.forEach((each) => seen.observe(each));
    else for (let at = 0; at <= last && !gone; at++) await drawThumbnail(at);
    root.dataset.ready = "true";
  })();
  return () => {
    gone = true;
    sendNote();
    watcher.disconnect();
    seen.disconnect();
    frames.stop();
    model.off("change:picks change:notes", heard);
    model.off("change:message", told);
  };
}

export default { render };
