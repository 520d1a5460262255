/** Prices as the reader's language writes them. The plain ones are there without this. */

export function writePrices(root) {
  for (const price of root.querySelectorAll("data.price")) {
    const { currency } = price.dataset;
    const format = new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency });
    price.textContent = format.format(price.value);
  }
}
