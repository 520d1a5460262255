/** The ways a photo comes in: chosen, taken, dropped anywhere on the page, or pasted; or a link to one. */

import { text } from "./texts.js";

const LINK = /^https?:\/\/\S+$/i;

/** The address of a picture, if that is what was typed. */
export function linkIn(typed) {
  const trimmed = typed.trim();
  return LINK.test(trimmed) ? trimmed : null;
}

/**
 * Call `take(file)` with each photo, and `refuse(sentence)` for what cannot be one; `follow(link)`
 * with each link that is dropped or pasted, where the shop takes links.
 */
export function listenForPhotos(form, { take, follow, refuse }) {
  const limit = Number(form.dataset.maxBytes);

  function consider(file) {
    if (!file) return;
    if (file.type && !file.type.startsWith("image/")) return refuse(text("no-picture"));
    if (file.size > limit) return refuse(text("too-large", { megabytes: Math.floor(limit / 2 ** 20) }));
    take(file);
  }

  /** Take what was dropped or pasted; gives whether it was anything for us. */
  function receive(transfer) {
    const file = fileOf(transfer);
    const link = "links" in form.dataset && linkIn(transfer?.getData("text/uri-list") || transfer?.getData("text") || "");
    if (file) consider(file);
    else if (link) follow(link);
    return Boolean(file || link);
  }

  for (const input of form.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      consider(input.files[0]);
      input.value = ""; // so that the same photo can be chosen again
    });
  }
  document.addEventListener("paste", (event) => {
    const isTyping = event.target.matches?.("input, textarea");
    if ((!isTyping || fileOf(event.clipboardData)) && receive(event.clipboardData)) event.preventDefault();
  });
  listenForDrops(receive);
}

function listenForDrops(receive) {
  let depth = 0; // dragenter and dragleave come for every element on the way
  const mark = (change) => {
    depth = change ? depth + change : 0;
    document.body.classList.toggle("is-dropping", depth > 0);
  };
  const holdsFile = (event) => event.dataTransfer?.types.some((type) => type === "Files" || type === "text/uri-list");

  document.addEventListener("dragenter", (event) => holdsFile(event) && mark(+1));
  document.addEventListener("dragleave", (event) => holdsFile(event) && mark(-1));
  document.addEventListener("dragover", (event) => holdsFile(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    mark(0);
    if (!holdsFile(event)) return;
    event.preventDefault();
    receive(event.dataTransfer);
  });
}

/** The first picture of what was dropped or pasted; else its first file. */
function fileOf(transfer) {
  const files = [...(transfer?.files ?? [])];
  return files.find((file) => file.type.startsWith("image/")) ?? files[0];
}
