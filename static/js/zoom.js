/** A picture in large, in a dialog: as a whole, or at full size where it was pressed. */

/** Let `link`, which leads to a picture, open `dialog` instead, which Escape and its button close. */
export function wireZoom(link, dialog) {
  const picture = dialog.querySelector("[data-zoomed]");
  const closer = dialog.querySelector("[data-closer]");

  function enlarge(on) {
    dialog.classList.toggle("is-full", on);
    closer.setAttribute("aria-pressed", String(on));
  }

  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    picture.src = link.href;
    enlarge(false);
    dialog.showModal();
  });
  closer.addEventListener("click", () => enlarge(!dialog.classList.contains("is-full")));
  picture.addEventListener("click", (event) => {
    const place = placeIn(picture, event);
    enlarge(!dialog.classList.contains("is-full"));
    const pane = picture.parentElement; // what was pressed comes to its middle
    pane.scrollTo(place.x * picture.width - pane.clientWidth / 2, place.y * picture.height - pane.clientHeight / 2);
  });
}

/** Where a picture that is shown as a whole was pressed, as shares of its sides. */
function placeIn({ clientWidth, clientHeight, naturalWidth, naturalHeight }, { offsetX, offsetY }) {
  const scale = Math.min(clientWidth / naturalWidth, clientHeight / naturalHeight);
  const share = (offset, room, side) => (offset - (room - side * scale) / 2) / (side * scale);
  return { x: share(offsetX, clientWidth, naturalWidth), y: share(offsetY, clientHeight, naturalHeight) };
}
