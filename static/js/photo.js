/**
 * The photo that was searched with. Its marked garments can be pressed, and any part of it chosen by a
 * box that is drawn, moved and resized: with a mouse, a finger, or the keyboard.
 */

import { text } from "./texts.js";

const LEAST = 12; // pixels on the screen: a shorter drag is a press
const STEP = 0.02; // of the photo's longer side: what an arrow key moves
const HANDLE = { shown: 6, held: 15 }; // radii in pixels on the screen: a finger needs more than it sees
const EDGES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const SVG = "http://www.w3.org/2000/svg";

/**
 * Wire the photo inside `look`. Pressing a garment's mark presses its button below; a box that
 * is chosen is given to `onBox` as [left, top, right, bottom] in pixels of the photo.
 */
export function wirePhoto(look, onBox) {
  const svg = look.querySelector("[data-photo]");
  if (!svg) return;
  pairMarksWithButtons(look, svg);
  new Selection(look, svg, onBox);
}

/** Let a box that is not searched with yet outlive new markup of its photo. */
export function keepSelection(before, after) {
  const [old, fresh] = [before, after].map((look) => look?.querySelector("[data-selection]"));
  if (old?.dataset.box && fresh) fresh.dataset.box = old.dataset.box;
}

function pairMarksWithButtons(look, svg) {
  for (const form of look.querySelectorAll("form[data-part]")) {
    const marks = [...svg.querySelectorAll(`[data-part="${form.dataset.part}"]`)];
    const point = (on) => () => {
      for (const element of [form, ...marks]) element.classList.toggle("is-pointed", on);
    };
    for (const element of [form, ...marks]) {
      element.addEventListener("pointerenter", point(true));
      element.addEventListener("pointerleave", point(false));
    }
    for (const mark of marks) mark.addEventListener("click", () => form.requestSubmit());
    form.addEventListener("focusin", point(true));
    form.addEventListener("focusout", point(false));
  }
}

class Selection {
  #offer; // the button that starts it
  #svg;
  #group;
  #frame;
  #shade;
  #status;
  #onBox;
  #box = null;
  #before = null; // what a drag or Escape goes back to
  #drag = null;

  constructor(look, svg, onBox) {
    this.#offer = look.querySelector("[data-select]");
    this.#svg = svg;
    this.#onBox = onBox;
    this.#group = svg.querySelector("[data-selection]");
    this.#shade = svg.querySelector("[data-shade]");
    this.#status = look.querySelector("[data-selection-status]");
    this.#frame = add(this.#group, "rect", { class: "selection-frame" });
    for (const edge of EDGES) {
      add(this.#group, "circle", { class: "grip", "data-edge": edge });
      add(this.#group, "circle", { class: "handle", "data-edge": edge });
    }
    if (this.#group.dataset.box) this.#show(this.#group.dataset.box.split(" ").map(Number));
    this.#before = this.#box;
    new ResizeObserver(() => this.#box && this.#show(this.#box)).observe(svg);
    this.#offer.addEventListener("click", () => this.#start());
    svg.addEventListener("pointerdown", (event) => this.#down(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    svg.addEventListener("pointerup", (event) => this.#up(event));
    svg.addEventListener("pointercancel", () => this.#giveUp());
    this.#group.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Offer a box to those who do not draw one. */
  #start() {
    const [width, height] = this.#size();
    if (!this.#box) this.#show([0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height]);
    this.#group.focus();
    this.#tell();
  }

  // --- By mouse and finger ---

  #down(event) {
    if (!event.isPrimary || event.button !== 0) return;
    const edge = event.target.dataset.edge;
    const how = edge ? "resize" : this.#group.contains(event.target) ? "move" : "draw";
    this.#drag = { how, edge, start: event, from: this.#box, moved: false };
  }

  #move(event) {
    if (!event.buttons) this.#giveUp(); // it was lifted where nobody told us
    const drag = this.#drag;
    if (!drag || (!drag.moved && distance(drag.start, event) < (drag.how === "draw" ? LEAST : 2))) return;
    // Captured only now: a mere press must still reach the mark below it.
    if (!drag.moved) this.#svg.setPointerCapture(event.pointerId);
    drag.moved = true;
    const [at, start] = [this.#place(event), this.#place(drag.start)];
    const by = [at[0] - start[0], at[1] - start[1]];
    if (drag.how === "draw") this.#show(between(start, at));
    else if (drag.how === "move") this.#show(this.#moved(drag.from, by));
    else this.#show(this.#resized(drag.from, drag.edge, by));
  }

  #up(event) {
    const drag = this.#drag;
    this.#drag = null;
    if (drag?.moved) this.#search();
    else if (drag?.how === "move") this.#pressBelow(event);
  }

  #giveUp() {
    if (this.#drag?.moved) this.#show(this.#drag.from);
    this.#drag = null;
  }

  /** A press on the box is one on the garment that it covers. */
  #pressBelow({ clientX, clientY }) {
    const mark = document.elementsFromPoint(clientX, clientY).find((one) => one.matches("[data-part]:not(.is-chosen)"));
    mark?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  }

  // --- By keyboard ---

  #key(event) {
    const step = Math.max(1, STEP * Math.max(...this.#size()));
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (by) this.#show(event.shiftKey ? this.#resized(this.#box, "se", by) : this.#moved(this.#box, by));
    else if (event.key === "Enter" || event.key === " ") this.#search();
    else if (event.key === "Escape") this.#goBack();
    else return;
    event.preventDefault();
    if (by) this.#tell();
  }

  #goBack() {
    this.#show(this.#before);
    if (!this.#before) this.#offer.focus(); // the box had the focus, and is hidden now
  }

  // --- The box ---

  #search() {
    const box = this.#box.map(Math.round);
    if (box[2] > box[0] && box[3] > box[1]) this.#onBox(box);
  }

  #tell() {
    const [width, height] = this.#size();
    const [x0, y0, x1, y1] = this.#box;
    const percent = (part, whole) => `${Math.round((100 * part) / whole)} %`;
    this.#status.textContent = text("box", {
      left: percent(x0, width),
      top: percent(y0, height),
      width: percent(x1 - x0, width),
      height: percent(y1 - y0, height),
    });
  }

  #size() {
    const { width, height } = this.#svg.viewBox.baseVal;
    return [width, height];
  }

  #moved([x0, y0, x1, y1], [dx, dy]) {
    const [width, height] = this.#size();
    const x = clamp(x0 + dx, 0, width - (x1 - x0));
    const y = clamp(y0 + dy, 0, height - (y1 - y0));
    return [x, y, x + x1 - x0, y + y1 - y0];
  }

  #resized(box, edge, [dx, dy]) {
    const [width, height] = this.#size();
    const least = STEP * Math.max(width, height);
    let [x0, y0, x1, y1] = box;
    if (edge.includes("w")) x0 = clamp(x0 + dx, 0, x1 - least);
    if (edge.includes("e")) x1 = clamp(x1 + dx, x0 + least, width);
    if (edge.includes("n")) y0 = clamp(y0 + dy, 0, y1 - least);
    if (edge.includes("s")) y1 = clamp(y1 + dy, y0 + least, height);
    return [x0, y0, x1, y1];
  }

  #show(box) {
    this.#box = box;
    this.#group.toggleAttribute("hidden", !box);
    this.#group.dataset.box = box ? box.join(" ") : "";
    const [width, height] = this.#size();
    const [x0, y0, x1, y1] = box ?? [0, 0, 0, 0];
    set(this.#frame, { x: x0, y: y0, width: x1 - x0, height: y1 - y0 });
    this.#shade.setAttribute("d", box ? `M0 0H${width}V${height}H0Z M${x0} ${y0}H${x1}V${y1}H${x0}Z` : "");
    const pixel = 1 / (this.#svg.getScreenCTM()?.a || 1);
    for (const handle of this.#group.querySelectorAll("circle")) {
      const { edge } = handle.dataset;
      const cx = edge.includes("w") ? x0 : edge.includes("e") ? x1 : (x0 + x1) / 2;
      const cy = edge.includes("n") ? y0 : edge.includes("s") ? y1 : (y0 + y1) / 2;
      const r = pixel * (handle.classList.contains("grip") ? HANDLE.held : HANDLE.shown);
      set(handle, { cx, cy, r });
    }
  }

  /** Where an event took place, in pixels of the photo and inside of it. */
  #place(event) {
    const point = new DOMPoint(event.clientX, event.clientY);
    const { x, y } = point.matrixTransform(this.#svg.getScreenCTM().inverse());
    const [width, height] = this.#size();
    return [clamp(x, 0, width), clamp(y, 0, height)];
  }
}

function distance(one, other) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}

function between([ax, ay], [bx, by]) {
  return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
}

function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

function add(parent, name, attributes) {
  return parent.appendChild(set(document.createElementNS(SVG, name), attributes));
}

function set(shape, attributes) {
  for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
  return shape;
}
