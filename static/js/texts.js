/** What the scripts say, in the page's language: the page brings it along (templates/search/texts.html). */

const texts = new Map();
for (const { dataset, textContent } of document.querySelector("[data-texts]").content.children) {
  texts.set(dataset.text, textContent);
}

/** A text by its name, with each {value} in it filled in. */
export function text(name, values = {}) {
  return texts.get(name).replace(/\{(\w+)\}/g, (_, value) => values[value]);
}
