/**
 * <similar-items product="REF" key="fsk_…">: what the shop has that looks like one of its products,
 * on any site. Needs no other file, and nothing of the page's: its styles and markup are its own.
 * docs/drop-in.md describes its attributes and what a page can style.
 */

const SHOP = new URL(import.meta.url).origin;

const WORDS = {
  en: { heading: "You may also like", sale: "Sale" },
  fr: { heading: "Vous aimerez aussi", sale: "Soldes" },
  es: { heading: "También te puede gustar", sale: "Rebajas" },
  de: { heading: "Das könnte Ihnen auch gefallen", sale: "Reduziert" },
  zh: { heading: "猜你喜欢", sale: "特价" },
  ja: { heading: "おすすめの類似商品", sale: "セール" },
};

const USUAL = 6;

const STYLES = `
  :host { display: block; container-type: inline-size; font: inherit; color: var(--similar-items-ink, inherit); }
  :host([hidden]) { display: none; }
  * { box-sizing: border-box; }
  h2 { margin: 0 0 1rem; font: inherit; font-size: 1.3em; font-weight: 600; line-height: 1.25; }
  ul { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.25rem 0.9rem; margin: 0; padding: 0; list-style: none; }
  @container (min-width: 34rem) { ul { grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); } }
  a { display: grid; gap: 0.2rem; color: inherit; text-decoration: none; border-radius: 8px; }
  a:hover .name { text-decoration: underline; text-underline-offset: 0.2em; }
  a:focus-visible { outline: 2px solid var(--similar-items-accent, currentcolor); outline-offset: 4px; }
  .picture { position: relative; margin-bottom: 0.4rem; aspect-ratio: 3 / 4; overflow: hidden; border-radius: var(--similar-items-radius, 8px); background: color-mix(in srgb, currentcolor 7%, transparent); }
  img { display: block; width: 100%; height: 100%; object-fit: cover; }
  .brand { font-size: 0.75em; letter-spacing: 0.06em; text-transform: uppercase; opacity: 0.75; }
  .name { font-size: 0.95em; line-height: 1.35; }
  .price { font-size: 0.95em; font-variant-numeric: tabular-nums; }
  .badge { position: absolute; left: 0.5rem; top: 0.5rem; padding: 0.15rem 0.6rem; border-radius: 999px; background: var(--similar-items-badge, #fff); color: var(--similar-items-badge-ink, #1f1c19); font-size: 0.75em; font-weight: 600; }
`;

// --- What is done with what is shown, told to the shop ---------------------------------------

const PAUSE = 2000; // milliseconds after which what has gathered is sent
const MOST = 100; // events at a time: what is sent while a page goes away has to be small

const isAsked = !navigator.globalPrivacyControl && navigator.doNotTrack !== "1";
const waiting = new Map(); // by API key
let timer = null;

function tell(key, event) {
  // Sent again it would be known by its id; only secure pages can make one.
  if (crypto.randomUUID) event.id = crypto.randomUUID();
  waiting.set(key, [...(waiting.get(key) ?? []), event]);
  if (waiting.get(key).length >= MOST) send();
  else timer ??= setTimeout(send, PAUSE);
}

function send() {
  clearTimeout(timer);
  timer = null;
  for (const [key, events] of waiting) {
    const headers = { "Content-Type": "application/json", ...proof(key) };
    const body = JSON.stringify({ events });
    // It goes on when the page has gone; what fails is lost, and nobody is bothered.
    fetch(new URL("/api/v1/events/", SHOP), { method: "POST", headers, body, credentials: "omit", keepalive: true, priority: "low" }).catch(() => {});
  }
  waiting.clear();
}

addEventListener("visibilitychange", () => document.visibilityState === "hidden" && send());
addEventListener("pagehide", send);

function proof(key) {
  return key ? { Authorization: `Api-Key ${key}` } : {};
}

// --- The element ------------------------------------------------------------------------------

class SimilarItems extends HTMLElement {
  static observedAttributes = ["product", "key", "limit", "heading", "lang"];

  #root = this.attachShadow({ mode: "open" });
  #asked = new AbortController();
  #isAboutToAsk = false;
  #told = new Set(); // what has come into sight, so that the same again is told once
  #unseen = new WeakMap(); // what to do when a link does
  #sight = new IntersectionObserver((entries) => this.#seen(entries), { threshold: 0.5 });

  constructor() {
    super();
    const styles = new CSSStyleSheet(); // unlike a <style>, it is no concern of a page's policy
    styles.replaceSync(STYLES);
    this.#root.adoptedStyleSheets = [styles];
  }

  connectedCallback() {
    this.#askSoon();
  }

  disconnectedCallback() {
    this.#asked.abort();
    this.#sight.disconnect();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#askSoon();
  }

  /** Several attributes that change at once are one question. */
  #askSoon() {
    if (this.#isAboutToAsk) return;
    this.#isAboutToAsk = true;
    queueMicrotask(() => {
      this.#isAboutToAsk = false;
      if (this.isConnected) this.#show();
    });
  }

  async #show() {
    this.#asked.abort();
    const { signal } = (this.#asked = new AbortController());
    const product = this.getAttribute("product");
    try {
      const { id, results, events } = product ? await this.#ask(product, signal) : { results: [] };
      this.#fill(results);
      if (events && isAsked && this.getAttribute("events") !== "off") this.#watch(product, id, results);
      this.dispatchEvent(new CustomEvent("similar-items", { detail: { count: results.length } }));
    } catch (error) {
      if (signal.aborted) return;
      this.#fill([]); // a page is better off without than with an excuse
      console.warn(`similar-items: ${error.message}`);
      this.dispatchEvent(new CustomEvent("similar-items", { detail: { count: 0, error } }));
    }
  }

  async #ask(product, signal) {
    const url = new URL(`/api/v1/products/${encodeURIComponent(product)}/similar/`, SHOP);
    url.searchParams.set("limit", Number.parseInt(this.getAttribute("limit"), 10) || USUAL);
    url.searchParams.set("in_stock", "true");
    const key = this.getAttribute("key");
    const response = await fetch(url, { headers: proof(key), signal, credentials: "omit" });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.detail ?? `The shop answered ${response.status}.`);
    const results = answer.results.filter((result) => result.product !== null);
    return { ...answer, results };
  }

  /** Have the shop told of what comes into sight and of what is opened. */
  #watch(beside, answer, results) {
    const key = this.getAttribute("key");
    this.#root.querySelectorAll("a").forEach((link, position) => {
      const event = { product: results[position].product.reference, position, beside, answer };
      const name = [beside, event.product, position].join("\n");
      if (!this.#told.has(name)) this.#unseen.set(link, () => this.#told.add(name) && tell(key, { kind: "impression", ...event }));
      this.#sight.observe(link);
      link.addEventListener("click", () => {
        tell(key, { kind: "click", ...event });
        send(); // while this page is there
      });
    });
  }

  #seen(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.#sight.unobserve(target);
      this.#unseen.get(target)?.();
    }
  }

  #fill(results) {
    this.#sight.disconnect();
    if (results.length === 0) return this.#root.replaceChildren();
    const language = (this.closest("[lang]")?.lang || "en").replaceAll("_", "-"); // some write de_DE
    const words = WORDS[language.split("-")[0].toLowerCase()] ?? WORDS.en;
    const title = element("h2", { part: "heading", id: "title" }, this.getAttribute("heading") ?? words.heading);
    const list = element("ul", { part: "list", "aria-labelledby": "title" });
    list.append(...results.map((result) => element("li", {}, card(result, words, language))));
    this.#root.replaceChildren(title, list);
  }
}

function card({ crop, segment, product }, words, language) {
  const picture = element("div", { class: "picture", part: "picture" });
  const at = (width) => `${crop}?width=${width}`;
  picture.append(
    element("img", { src: at(320), srcset: `${at(160)} 160w, ${at(320)} 320w, ${at(640)} 640w`, sizes: "12rem", alt: "", loading: "lazy", decoding: "async" }),
  );
  if (product.sale_status === "sale") picture.append(element("span", { class: "badge", part: "badge" }, words.sale));
  const link = element("a", { href: address(product, segment), part: "item" }, picture);
  if (product.brand) link.append(element("span", { class: "brand", part: "brand" }, product.brand));
  link.append(element("span", { class: "name", part: "name" }, product.name));
  if (product.price !== null) link.append(element("span", { class: "price", part: "price" }, amount(product, language)));
  return link;
}

/** The product's page in the shop; what it is at ours if it has none. */
function address(product, segment) {
  if (/^https?:\/\//i.test(product.url)) return product.url;
  return new URL(`/garments/${encodeURIComponent(segment)}/`, SHOP).href;
}

/** A price as its language writes it; plainly where the language or the currency is none. */
function amount({ price, currency }, language) {
  try {
    return new Intl.NumberFormat(language, { style: "currency", currency }).format(price);
  } catch {
    return `${price} ${currency}`;
  }
}

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

customElements.define("similar-items", SimilarItems);
