/** The box editor: what is drawn on the picture is written into the form's fields, and saved by it. */

const SVG = "http://www.w3.org/2000/svg";
const EDGES = ["x0", "y0", "x1", "y1"];
const CORNERS = [[0, 1], [2, 1], [0, 3], [2, 3]]; // which edges each corner moves
const GRIP = 9; // half a corner's side, in pixels of the screen
const LEAST_DRAG = 6; // pixels of the screen: a shorter drag is a press

const form = document.querySelector("[data-boxes]");
const svg = form.querySelector("[data-canvas]");
const layer = form.querySelector("[data-layer]");
const list = form.querySelector("[data-list]");
const says = form.querySelector("[data-says]");
const smallest = Number(form.dataset.smallest);
const { width, height } = svg.viewBox.baseVal;
const total = form.querySelector('[name$="-TOTAL_FORMS"]');
const grips = CORNERS.map((edges) => {
  const grip = svg.appendChild(document.createElementNS(SVG, "rect"));
  grip.classList.add("grip");
  grip.addEventListener("pointerdown", (event) => selected.resize(event, edges));
  return grip;
});
let selected = null;
let unsaved = false;

class Garment {
  constructor(item) {
    this.item = item;
    this.field = (name) => item.querySelector(`[name$="-${name}"]`);
    this.group = layer.appendChild(document.createElementNS(SVG, "g"));
    this.group.setAttribute("tabindex", "0");
    this.group.setAttribute("role", "button");
    this.group.classList.add("garment");
    this.rect = this.group.appendChild(document.createElementNS(SVG, "rect"));
    this.name = this.group.appendChild(document.createElementNS(SVG, "text"));
    this.group.addEventListener("keydown", (event) => this.key(event));
    this.group.addEventListener("focus", () => select(this));
    item.addEventListener("focusin", () => select(this));
    item.addEventListener("input", () => { touched(); this.draw(); });
    item.addEventListener("change", () => { touched(); drawAll(); });
    item.classList.remove("boxes-extra");
    this.draw();
  }

  get box() { return EDGES.map((edge) => Number(this.field(edge).value)); }

  set box(box) {
    EDGES.forEach((edge, index) => { this.field(edge).value = Math.round(box[index]); });
    touched();
    this.draw();
  }

  get isDeleted() { return this.field("DELETE").checked; }
  get isMain() { return this.item.querySelector('[name="main"]').checked; }
  get label() { return this.field("label").value || "unnamed"; }

  draw() {
    const [x0, y0, x1, y1] = this.box;
    const unit = perPixel();
    place(this.rect, x0, y0, Math.max(0, x1 - x0), Math.max(0, y1 - y0));
    if (this === selected) drawGrips();
    this.name.textContent = this.isMain ? `★ ${this.label}` : this.label;
    this.name.setAttribute("x", x0 + 6 * unit);
    this.name.setAttribute("y", y0 + 18 * unit);
    this.name.setAttribute("font-size", 14 * unit);
    this.group.classList.toggle("is-main", this.isMain);
    this.group.classList.toggle("is-deleted", this.isDeleted);
    this.group.setAttribute("tabindex", this.isDeleted ? "-1" : "0");
    this.item.classList.toggle("is-deleted", this.isDeleted);
    this.group.setAttribute("aria-label", `${this.label}${this.isMain ? ", main garment" : ""}: from ${x0}, ${y0} to ${x1}, ${y1}`);
  }

  move(event) {
    const before = this.box;
    drag(event, this, (dx, dy) => { this.box = moved(before, dx, dy); });
  }

  resize(event, edges) {
    const before = this.box;
    drag(event, this, (dx, dy) => { this.box = resized(before, edges, dx, dy); });
  }

  key(event) {
    const step = event.altKey ? 1 : Math.max(1, Math.round(Math.max(width, height) / 100));
    const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [0, 0];
    if (dx || dy) {
      this.box = event.shiftKey ? resized(this.box, [2, 3], dx, dy) : moved(this.box, dx, dy);
      says.textContent = this.group.getAttribute("aria-label");
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.delete();
    } else if (event.key === "m") {
      this.item.querySelector('[name="main"]').click();
      says.textContent = `${this.label} is the main garment.`;
    } else if (event.key === "Enter") {
      this.field("label").focus();
    } else {
      return;
    }
    event.preventDefault();
  }

  delete() {
    this.field("DELETE").checked = true;
    touched();
    says.textContent = `${this.label} is taken away when you save.`;
    this.draw();
    this.field("DELETE").focus();
  }
}

function place(rect, x, y, w, h) {
  for (const [name, value] of Object.entries({ x, y, width: w, height: h })) rect.setAttribute(name, value);
}

/** Pixels of the picture in a pixel of the screen. */
function perPixel() { return 1 / (svg.getScreenCTM()?.a || 1); }

function where(event) {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [x, y];
}

function clamp(value, least, most) { return Math.min(Math.max(value, least), most); }

function moved([x0, y0, x1, y1], dx, dy) {
  const right = clamp(dx, -x0, width - x1);
  const down = clamp(dy, -y0, height - y1);
  return [x0 + right, y0 + down, x1 + right, y1 + down];
}

function resized(before, [across, down], dx, dy) {
  const box = [...before];
  box[across] = across === 0 ? clamp(box[0] + dx, 0, box[2] - smallest) : clamp(box[2] + dx, box[0] + smallest, width);
  box[down] = down === 1 ? clamp(box[1] + dy, 0, box[3] - smallest) : clamp(box[3] + dy, box[1] + smallest, height);
  return box;
}

/** Follow a pointer until it is lifted; `act` gets how far it has come. */
function drag(event, garment, act, done = () => {}) {
  if (!event.isPrimary || event.button !== 0) return;
  event.preventDefault();
  event.stopPropagation();
  garment?.group.focus({ preventScroll: true });
  const [x, y] = where(event);
  svg.setPointerCapture(event.pointerId);
  const follow = (next) => { const [nx, ny] = where(next); act(nx - x, ny - y); };
  const listening = new AbortController();
  const { signal } = listening;
  const stop = () => {
    listening.abort();
    done();
  };
  svg.addEventListener("pointermove", follow, { signal });
  svg.addEventListener("pointerup", stop, { signal });
  svg.addEventListener("pointercancel", stop, { signal });
}

function select(garment) {
  selected = garment;
  for (const other of garments) {
    other.group.classList.toggle("is-selected", other === garment);
    other.item.classList.toggle("is-selected", other === garment);
  }
  drawGrips();
}

/** The corners of the selected garment, above all boxes. */
function drawGrips() {
  const side = 2 * GRIP * perPixel();
  CORNERS.forEach(([across, down], index) => {
    grips[index].classList.toggle("is-shown", Boolean(selected) && !selected.isDeleted);
    if (selected) place(grips[index], selected.box[across] - side / 2, selected.box[down] - side / 2, side, side);
  });
}

/** The smallest garment at a place: one that lies within another can be reached. */
function garmentAt(x, y) {
  const area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
  return garments
    .filter(({ isDeleted, box: [x0, y0, x1, y1] }) => !isDeleted && x0 <= x && x <= x1 && y0 <= y && y <= y1)
    .sort((one, other) => area(one.box) - area(other.box))[0];
}

function touched() { unsaved = true; }

function drawAll() { for (const garment of garments) garment.draw(); }

function add(box) {
  const number = Number(total.value);
  const blank = form.querySelector("[data-blank]").innerHTML.replaceAll("__prefix__", number);
  list.insertAdjacentHTML("beforeend", blank);
  total.value = number + 1;
  const garment = new Garment(list.lastElementChild);
  garments.push(garment);
  garment.box = box;
  return garment;
}

// The form's empty rows are for those without a script.
for (const extra of list.querySelectorAll(".boxes-extra")) extra.remove();
total.value = list.children.length;
const garments = [...list.children].map((item) => new Garment(item));
for (const element of form.querySelectorAll("[data-with-script], [data-add]")) element.hidden = false;
form.classList.add("is-drawable");

svg.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  const [x, y] = where(event).map((value, index) => clamp(value, 0, index ? height : width));
  const there = garmentAt(x, y);
  if (there) {
    there.move(event);
    return;
  }
  let garment = null;
  drag(event, null, (dx, dy) => {
    if (!garment && Math.hypot(dx, dy) < LEAST_DRAG * perPixel()) return;
    garment ??= add([x, y, x, y]);
    const [tx, ty] = [clamp(x + dx, 0, width), clamp(y + dy, 0, height)];
    garment.box = [Math.min(x, tx), Math.min(y, ty), Math.max(x, tx), Math.max(y, ty)];
  }, () => {
    if (!garment) return;
    garment.box = resized(garment.box, [2, 3], 0, 0); // no smaller than may be
    select(garment);
    garment.field("label").focus();
  });
});

form.querySelector("[data-add]").addEventListener("click", () => {
  const garment = add([width / 4, height / 4, (3 * width) / 4, (3 * height) / 4]);
  select(garment);
  garment.group.focus();
  says.textContent = "A garment is added in the middle. Arrows move it; Enter names it.";
});

form.querySelector('.boxes-none input').addEventListener("change", drawAll);
form.addEventListener("submit", () => { unsaved = false; });
window.addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
new ResizeObserver(drawAll).observe(svg);
