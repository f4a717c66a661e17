// The result: an image or a video with its map, boxes above a threshold, what the model said over time.
// Run by gradio's HTML component with `element`, `props`, `watch` and `trigger`. Text is only ever set as text, never as HTML.

const room = element.querySelector(".player");
const SVG = "http://www.w3.org/2000/svg";
const DECIMALS = 2;
const FLAT = 1e-3; // of its size: what differs by less is rounding
const TALLEST = 62; // per cent of the window's height that a video takes
let threshold = props.threshold;

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function draw(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// --- states ---------------------------------------------------------------------------------------------------------

function show() {
  const value = props.value || { state: "empty" };
  if (value.state === "working" && room.dataset.state === "working") return work(value);
  room.dataset.state = value.state;
  room.replaceChildren(...STATES[value.state](value));
  if (value.state === "working" || value.state === "refused") intoView();
}

function intoView() {
  const { top } = room.getBoundingClientRect();
  if (top > window.innerHeight - 120 || top < 0) room.scrollIntoView({ block: "start", behavior: "smooth" });
}

const STATES = {
  empty: () => [make("p", { class: "empty" }, props.empty)],
  stopped: (value) => [make("p", { class: "empty", role: "status" }, value.said)],
  refused: (value) => [make("p", { class: "refused", role: "alert" }, value.said)],
  working: (value) => {
    const bar = make("progress", { max: 1, "aria-label": "progress" });
    queueMicrotask(() => work(value));
    return [make("div", { class: "working", role: "status" }, make("span", {}, ""), bar, stop())];
  },
  video: (value) => video(value),
  image: (value) => images(value),
};

function stop() {
  const button = make("button", { type: "button", class: "stop" }, "Stop");
  button.addEventListener("click", () => {
    button.disabled = true;
    button.textContent = "Stopping";
    trigger("stop");
  });
  return button;
}

function work(value) {
  const [said, bar] = room.querySelector(".working").children;
  said.textContent = value.said;
  if (value.share === null) bar.removeAttribute("value");
  else bar.value = value.share;
}

// --- boxes ----------------------------------------------------------------------------------------------------------

function overlay() {
  return draw("svg", { class: "boxes", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
}

function outline(layer, boxes) {
  const drawn = (boxes[threshold.toFixed(DECIMALS)] || []).map(([x1, y1, x2, y2]) =>
    draw("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 }));
  layer.replaceChildren(...drawn);
}

function slider(redraw) {
  const number = make("output", {}, "");
  const { lowest, highest, step } = props.thresholds;
  const input = make("input", { type: "range", min: lowest, max: highest, step, value: threshold });
  const said = () => { number.textContent = `${Math.round(100 * threshold)} %`; };
  input.addEventListener("input", () => { threshold = Number(input.value); said(); redraw(); });
  said();
  return make("label", { class: "threshold" }, make("span", {}, "Boxes where the map is above ", number), input);
}

// --- a video --------------------------------------------------------------------------------------------------------

function video(value) {
  const stages = value.runs.map((run, number) => stage(run, number, value.runs.length > 1));
  const players = stages.map((each) => each.player);
  const plots = [loudness(value), places(value)];
  const redraw = () => {
    const now = players[0].currentTime;
    stages.forEach(({ layer, run }) => outline(layer, run.boxes[before(run.times, now)] || {}));
    plots.forEach((each) => each.cursor(now));
  };
  together(players, redraw);
  plots.forEach((each) => each.seek((seconds) => { players[0].currentTime = seconds; }));
  redraw();
  return [
    ...warnings(value.runs),
    make("div", { class: `stages of-${stages.length}` }, ...stages.map((each) => each.figure)),
    slider(redraw),
    ...plots.map((each) => each.figure),
    make("p", { class: "downloads" }, ...value.runs.flatMap((run) => downloads(run, value.runs.length > 1))),
  ];
}

function warnings(runs) {
  const [first] = runs;
  const common = runs.every((run) => run.warnings.join() === first.warnings.join()); // of the video, not of a model
  const all = common ? first.warnings : runs.flatMap((run) => run.warnings.map((said) => `${run.name}: ${said}`));
  return all.map((said) => make("p", { class: "warning" }, said));
}

function stage(run, number, titled) {
  const player = make("video", { src: run.video, controls: "", playsinline: "", preload: "auto" });
  player.muted = number > 0; // both have the same sound
  const layer = overlay();
  const place = make("div", { class: "stage" }, player, layer);
  player.addEventListener("loadedmetadata", () => { // as wide as there is room, but never higher than the window
    place.style.width = `min(100%, ${TALLEST * player.videoWidth / player.videoHeight}vh)`;
  });
  const figure = make("figure", { class: `run-${number}` }, place);
  if (titled) figure.prepend(make("figcaption", {}, run.name));
  return { run, player, layer, figure };
}

function downloads(run, named) {
  const of = named ? ` of ${run.name}` : "";
  return [
    make("a", { href: run.video, download: run.file }, `Download the video${of}`),
    make("a", { href: run.peaks, download: run.file.replace(/\.[^.]*$/, ".json") }, `Download the numbers${of}`),
  ];
}

function together(players, redraw) {
  const [first, ...others] = players;
  const follow = () => others.forEach((other) => {
    if (Math.abs(other.currentTime - first.currentTime) > 0.1) other.currentTime = first.currentTime;
  });
  const tick = () => {
    redraw();
    if (!first.paused && !first.ended && first.isConnected) requestAnimationFrame(tick);
  };
  first.addEventListener("play", () => { follow(); others.forEach((other) => other.play()); tick(); });
  first.addEventListener("pause", () => { others.forEach((other) => other.pause()); follow(); });
  for (const event of ["seeked", "timeupdate"]) first.addEventListener(event, () => { follow(); redraw(); });
  others.forEach((other) => { other.controls = false; });
}

function before(times, now) {
  let found = 0;
  while (found + 1 < times.length && times[found + 1] <= now + 1e-3) found += 1;
  return found;
}

// --- plots ----------------------------------------------------------------------------------------------------------

function loudness(value) {
  const all = value.runs.flatMap((run) => run.confidences);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const span = high - low;
  const isFlat = span <= FLAT * Math.max(Math.abs(high), Math.abs(low));
  const height = (each) => (isFlat ? 0.5 : (each - low) / span);
  const digits = [2, 3].find((count) => high.toPrecision(count) !== low.toPrecision(count)) || 4;
  const scale = isFlat ? ["", high.toPrecision(2), ""] : [high.toPrecision(digits), low.toPrecision(digits)];
  const lines = value.runs.map((run, number) => line(run.times, run.confidences.map(height), number));
  const title = "How sure the model is that it sees what it hears";
  return plot(value, title, scale, lines, names(value.runs));
}

function places(value) {
  const lines = value.runs.flatMap((run, number) => [
    line(run.times, run.places.map(([x]) => x), number),
    line(run.times, run.places.map(([, y]) => 1 - y), number, "dashed"),
  ]);
  const legend = [["across", "key"], ["up and down", "key dashed"]];
  return plot(value, "Where the map is highest", ["right, top", "left, bottom"], lines, legend);
}

function names(runs) {
  return runs.length > 1 ? runs.map((run, number) => [run.name, `key run-${number}`]) : [];
}

function line(times, values, number, kind = "") {
  return (x) => draw("polyline", {
    class: `run-${number} ${kind}`,
    points: times.map((seconds, at) => `${x(seconds)},${1 - values[at]}`).join(" "),
  });
}

function plot(value, title, marks, lines, legend) {
  const duration = value.duration || 1;
  const x = (seconds) => (seconds / duration).toFixed(4);
  const cursor = draw("line", { class: "cursor", y1: 0, y2: 1 });
  const area = draw("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", role: "img", "aria-label": title },
    ...silences(value.runs[0], duration), ...lines.map((each) => each(x)), cursor);
  const keys = legend.map(([said, kind]) => make("span", { class: kind }, said));
  const caption = make("figcaption", {}, make("span", {}, title), ...keys);
  const scale = make("div", { class: "scale" }, ...marks.map((mark) => make("span", {}, mark)));
  const axis = make("div", { class: "axis" }, make("span", {}, "0 s"), make("span", {}, `${duration.toFixed(1)} s`));
  return {
    figure: make("figure", { class: "plot" }, caption, scale, area, axis),
    cursor: (now) => { for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(Math.min(now, duration))); },
    seek: (go) => area.addEventListener("click", (event) => {
      const { left, width } = area.getBoundingClientRect();
      go(duration * (event.clientX - left) / width);
    }),
  };
}

function silences(run, duration) {
  const step = run.times.length > 1 ? run.times[1] - run.times[0] : duration;
  return run.times.filter((_, at) => run.silent[at]).map((seconds) => {
    const [begin, end] = [Math.max(0, seconds - step / 2), Math.min(duration, seconds + step / 2)];
    return draw("rect", { class: "silence", x: begin / duration, y: 0, width: (end - begin) / duration, height: 1 });
  });
}

// --- images ---------------------------------------------------------------------------------------------------------

function images(value) {
  const cards = value.answers.map(card);
  const redraw = () => cards.forEach(({ layer, answer }) => outline(layer, answer.boxes));
  redraw();
  return [make("div", { class: "cards" }, ...cards.map((each) => each.figure)), slider(redraw)];
}

function card(answer) {
  const layer = overlay();
  const stage = make("div", { class: "stage" }, make("img", { src: answer.image, alt: `the map with ${answer.audio}` }), layer);
  const sure = `confidence ${answer.confidence.toPrecision(2)}`;
  const caption = make("figcaption", {}, make("strong", {}, answer.audio), make("span", {}, sure));
  const said = answer.warnings.map((each) => make("p", { class: "warning" }, each));
  return { answer, layer, figure: make("figure", { class: "card" }, stage, caption, ...said) };
}

watch("value", show);
show();
