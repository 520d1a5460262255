/**
 * What is wrong with the look of a page that can be measured: an array of sentences, empty if nothing is.
 * Called with the width of the screen, in pixels.
 */
(width) => {
  const LEAST = 24; // pixels each way that a target has, or has to itself (WCAG 2.2, 2.5.8)
  const SLACK = 1; // pixels that rounding may cost
  const TARGETS = "a[href], button, summary, select, textarea, input:not([type=hidden]), [role=button]";
  const wrong = [];
  const named = (one) => one.outerHTML.replace(/\s+/g, " ").slice(0, 110);
  const around = (one, ok) => {
    for (let up = one.parentElement; up; up = up.parentElement) if (ok(up, getComputedStyle(up))) return up;
    return null;
  };

  const seen = (one) => {
    const { width: w, height: h } = one.getBoundingClientRect();
    if (w <= 1 || h <= 1) return false;
    if (!one.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
    return !around(one, (up, style) => style.clipPath !== "none" && up.clientWidth <= 1);
  };
  const scrolls = (one) => around(one, (up, style) => /auto|scroll/.test(style.overflowX) && up !== document.body);

  // --- Nothing sideways ---
  const wide = document.documentElement.scrollWidth;
  if (wide > width) wrong.push(`the page is ${wide} pixels wide`);

  // --- Texts are there to their end ---
  for (const one of document.body.querySelectorAll("*")) {
    const text = [...one.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!text.length || one.closest("svg, select, .select2, template, noscript") || !seen(one)) continue;
    const style = getComputedStyle(one);
    const hides = /hidden|clip/.test(style.overflowX) && style.textOverflow !== "ellipsis";
    if (hides && one.scrollWidth > one.clientWidth + SLACK) wrong.push(`cut off: ${named(one)}`);
    const out = text.some((node) => {
      const range = document.createRange();
      range.selectNode(node);
      const { left, right } = range.getBoundingClientRect();
      return right > width + SLACK || left < -SLACK;
    });
    if (out && !scrolls(one) && getComputedStyle(one).position !== "absolute") wrong.push(`past the edge: ${named(one)}`);
  }

  // --- Targets can be hit ---
  const inSentence = (one) =>
    getComputedStyle(one).display === "inline" &&
    [...one.parentElement.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const area = (one) => {
    // A card's link covers the card; a tick is hit by its label as well.
    const after = getComputedStyle(one, "::after");
    if (after.content !== "none" && after.position === "absolute") {
      return around(one, (up, style) => style.position !== "static").getBoundingClientRect();
    }
    return (one.matches("input, select, textarea") && one.labels?.[0]?.contains(one) ? one.labels[0] : one).getBoundingClientRect();
  };
  const targets = [...document.body.querySelectorAll(TARGETS)].filter(
    (one) => seen(one) && !one.disabled && !one.closest("svg") && !inSentence(one) && !one.querySelector(TARGETS),
  );
  // A smaller one will do if a circle as wide as that, around its middle, touches no other.
  const rooms = targets.map((one) => {
    const box = area(one);
    const small = box.width < LEAST - SLACK || box.height < LEAST - SLACK;
    return { one, box, small, x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
  });
  const near = (small, other) => {
    if (other.small) return Math.hypot(small.x - other.x, small.y - other.y) < LEAST - SLACK;
    const across = Math.max(other.box.left - small.x, 0, small.x - other.box.right);
    const down = Math.max(other.box.top - small.y, 0, small.y - other.box.bottom);
    return Math.hypot(across, down) < LEAST / 2 - SLACK;
  };
  for (const room of rooms) {
    if (!room.small || !rooms.some((other) => other !== room && near(room, other))) continue;
    wrong.push(`${Math.round(room.box.width)} by ${Math.round(room.box.height)} pixels: ${named(room.one)}`);
  }

  // --- Nothing lies on something else ---
  // What is lifted above the page on purpose (a panel, a card's badge) is compared with its like alone.
  const layer = (one) => around(one, (up, style) => /absolute|fixed|sticky/.test(style.position) || up.matches("dialog"));
  const placed = targets
    .filter((one) => !/absolute|fixed/.test(getComputedStyle(one).position) && !scrolls(one))
    .map((one) => ({ one, layer: layer(one), box: one.getBoundingClientRect() }));
  placed.forEach((a, index) => {
    for (const b of placed.slice(index + 1)) {
      if (a.layer !== b.layer || a.one.labels?.[0] === b.one || b.one.labels?.[0] === a.one) continue;
      const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const down = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      if (across > 2 && down > 2) wrong.push(`overlap: ${named(a.one)} and ${named(b.one)}`);
    }
  });
  return wrong;
}
