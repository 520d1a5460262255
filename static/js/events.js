/**
 * What is done with results, told to the shop: which came into sight, which were opened. It waits
 * for an idle moment, holds nothing up, and says nothing if the browser asks not to be followed.
 */

const PAUSE = 2000; // milliseconds after which what has gathered is sent
const MOST = 100; // events at a time: what is sent while a page goes away has to be small

const address = document.body.dataset.events;
const told = new Set();
let waiting = [];
let timer = null;

const sight = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      sight.unobserve(target);
      note("impression", target);
    }
  },
  { threshold: 0.5 },
);

function note(kind, card) {
  const event = { kind, product: card.dataset.product, ...place(card) };
  const name = [kind, event.product, event.search, event.position].join();
  if (kind === "impression" && told.has(name)) return; // put in anew with the page's markup
  told.add(name);
  add(event);
}

/** Where a card stands: among which search's results, and how far down. */
function place(card) {
  const search = card.closest("[data-run]")?.dataset.run;
  const position = [...card.closest(".grid").querySelectorAll(".card")].indexOf(card);
  return { ...(search && { search }), position };
}

function add(event) {
  // Sent again it would be known by its id; only secure pages can make one.
  if (crypto.randomUUID) event.id = crypto.randomUUID();
  waiting.push(event);
  if (waiting.length >= MOST) send();
  else timer ??= setTimeout(send, PAUSE);
}

function send() {
  clearTimeout(timer);
  timer = null;
  if (!waiting.length) return;
  const body = JSON.stringify({ events: waiting });
  waiting = [];
  const token = document.querySelector("[name=csrfmiddlewaretoken]");
  const headers = { "Content-Type": "application/json", ...(token && { "X-CSRFToken": token.value }) };
  // It goes on when the page has gone; what fails is lost, and nobody is bothered.
  fetch(address, { method: "POST", body, headers, keepalive: true, priority: "low" }).catch(() => {});
}

function watch(root) {
  for (const card of root.querySelectorAll(".card[data-product]")) sight.observe(card);
}

if (!navigator.globalPrivacyControl && navigator.doNotTrack !== "1") {
  const main = document.getElementById("main");
  watch(main);
  const page = main.querySelector("[data-viewed]");
  if (page) add({ kind: "view", product: page.dataset.viewed });
  new MutationObserver(() => watch(main)).observe(main, { childList: true, subtree: true });
  main.addEventListener("click", (event) => {
    const card = event.target.closest("a[href]")?.closest(".card[data-product]");
    if (!card) return;
    note("click", card);
    send(); // while this page is there
  });
  addEventListener("visibilitychange", () => document.visibilityState === "hidden" && send());
  addEventListener("pagehide", send);
}
