/** The ways a photo comes in: chosen, dropped anywhere on the page, or pasted. */

/** Call `take(file)` with each photo, and `refuse(sentence)` for what cannot be one. */
export function listenForPhotos(form, take, refuse) {
  const input = form.elements.image;
  const limit = Number(form.dataset.maxBytes);

  function consider(file) {
    if (!file) return;
    if (file.type && !file.type.startsWith("image/")) return refuse("This is not a picture. Send a photo.");
    if (file.size > limit) {
      return refuse(`The file is larger than ${Math.floor(limit / 2 ** 20)} MB. Send a smaller one.`);
    }
    take(file);
  }

  input.addEventListener("change", () => {
    consider(input.files[0]);
    input.value = ""; // so that the same photo can be chosen again
  });
  document.addEventListener("paste", (event) => {
    const file = fileOf(event.clipboardData);
    if (file) event.preventDefault();
    consider(file);
  });
  listenForDrops(consider);
}

function listenForDrops(consider) {
  let depth = 0; // dragenter and dragleave come for every element on the way
  const mark = (change) => {
    depth = change ? depth + change : 0;
    document.body.classList.toggle("is-dropping", depth > 0);
  };
  const holdsFile = (event) => event.dataTransfer?.types.includes("Files");

  document.addEventListener("dragenter", (event) => holdsFile(event) && mark(+1));
  document.addEventListener("dragleave", (event) => holdsFile(event) && mark(-1));
  document.addEventListener("dragover", (event) => holdsFile(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    mark(0);
    if (!holdsFile(event)) return;
    event.preventDefault();
    consider(fileOf(event.dataTransfer));
  });
}

/** The first picture of what was dropped or pasted; else its first file. */
function fileOf(transfer) {
  const files = [...(transfer?.files ?? [])];
  return files.find((file) => file.type.startsWith("image/")) ?? files[0];
}
