/** The photo that was searched with: its marked garments can be pressed, and a box drawn. */

const LEAST = 12; // pixels on the screen: a shorter drag is a press

/**
 * Wire the photo inside `look`. Pressing a garment's mark presses its button below; a box that
 * is drawn is given to `onBox` as [left, top, right, bottom] in pixels of the photo.
 */
export function wirePhoto(look, onBox) {
  const svg = look.querySelector("[data-photo]");
  if (!svg) return;
  pairMarksWithButtons(look, svg);
  letDraw(svg, onBox);
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

function letDraw(svg, onBox) {
  const drawn = svg.querySelector("[data-drawn]");
  let start = null; // where the pointer went down
  let box = null; // drawn so far; none before the pointer has moved far enough

  svg.addEventListener("pointerdown", (event) => {
    if (event.isPrimary && event.button === 0) start = event;
  });
  svg.addEventListener("pointermove", (event) => {
    if (!start || (!box && distance(start, event) < LEAST)) return;
    // Captured only now: a mere press must still reach the mark below it.
    if (!box) svg.setPointerCapture(event.pointerId);
    box = boxBetween(place(svg, start), place(svg, event));
    show(drawn, box);
  });
  svg.addEventListener("pointerup", () => {
    if (box && box[2] > box[0] && box[3] > box[1]) onBox(box);
    start = box = null;
  });
  svg.addEventListener("pointercancel", () => {
    start = box = null;
    show(drawn, [0, 0, 0, 0]);
  });
}

function distance(one, other) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}

/** Where an event took place, in pixels of the photo and inside of it. */
function place(svg, event) {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const { width, height } = svg.viewBox.baseVal;
  const inside = (value, most) => Math.min(Math.max(value, 0), most);
  return [inside(x, width), inside(y, height)];
}

function boxBetween([ax, ay], [bx, by]) {
  return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)].map(Math.round);
}

function show(rect, [x0, y0, x1, y1]) {
  const sides = { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
  for (const [name, value] of Object.entries(sides)) rect.setAttribute(name, value);
}
