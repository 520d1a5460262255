/**
 * The search page. Forms go to the API instead of the server's page, and the server's markup of
 * the search is put in without loading the page anew. The address names the search.
 */

import { Problem, findGarments, searchFragment, startSearch, stopSearch } from "./api.js";
import { linkIn, listenForPhotos } from "./intake.js";
import { wirePanels } from "./panels.js";
import { keepSelection, wirePhoto } from "./photo.js";
import { writePrices } from "./prices.js";
import { text } from "./texts.js";

const POLL = { first: 400, growth: 1.3, most: 10_000 }; // milliseconds
const TRIES = 10; // to show what is there: 13 seconds, in which a shop is restarted

const home = document.querySelector("[data-home]");
const intake = home.querySelector("[data-intake]");
const sending = home.querySelector("[data-sending]");
const preview = home.querySelector("[data-preview]");
const problem = home.querySelector("[data-problem]");
const outcome = home.querySelector("[data-outcome]");
const announcer = home.querySelector("[data-announcer]");

let current = new AbortController(); // of what is being asked for now: one thing at a time
let shown = searchInAddress(); // address of what the page shows; null at the start

// --- Searching ---------------------------------------------------------------------------

/** Do one thing at a time, and say what went wrong with it. */
async function attempt(work) {
  home.dataset.view = "results"; // there is room for them now: nothing moves when they come
  current.abort();
  const own = (current = new AbortController());
  problem.hidden = true;
  sending.hidden = true;
  outcome.setAttribute("aria-busy", "true");
  try {
    await work(own.signal);
  } catch (error) {
    tell(error);
  } finally {
    if (own === current) rest(); // what has taken our place looks after the page otherwise
  }
}

function search(form) {
  return attempt(async (signal) => {
    const run = await startSearch(form, { api: intake.dataset.api, signal });
    const sort = form.get("sort");
    await show(`?search=${run.id}${sort ? `&sort=${sort}` : ""}`, signal, push);
  });
}

function push(address) {
  history.pushState(null, "", address);
}

function sortAs(form) {
  attempt((signal) => show(`?${new URLSearchParams(new FormData(form))}`, signal, push));
}

function searchWithPhoto(file) {
  const form = new FormData(intake);
  form.set("image", file, file.name || "photo");
  search(form);
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.hidden = false;
  sending.hidden = false;
}

/** Have the shop fetch the picture behind a link, and search with that. */
function searchWithLink(link) {
  const form = new FormData(intake);
  form.delete("image");
  form.delete("text");
  form.set("image_url", link);
  preview.hidden = true;
  search(form);
  sending.hidden = false;
}

function searchWithExample(address) {
  return attempt(async (signal) => {
    const photo = await (await fetch(address, { signal })).blob();
    searchWithPhoto(new File([photo], "example.jpg", { type: photo.type }));
  });
}

/** A form's fields, with the button that was pressed if that stands for something. */
function filledIn(form, button) {
  const fields = new FormData(form);
  if (button?.name) fields.append(button.name, button.value);
  return fields;
}

/** Show a search, and go on until nothing about it changes any more. */
async function show(address, signal, visit = () => {}) {
  const fragment = await obtain(address, signal);
  visit(fragment.dataset.address);
  shown = fragment.dataset.address;
  put(fragment);
  intake.elements.text.value = ""; // what is searched with stands beside the results now
  announce();
  await follow(fragment, signal);
}

/** Add what comes next to what is shown: nothing that is there moves. */
async function showMore(link) {
  nearing.disconnect(); // once is enough
  link.setAttribute("aria-disabled", "true");
  try {
    const fragment = await searchFragment(link.href);
    if (!link.isConnected) return; // another search has taken its place
    const before = outcome.querySelectorAll(".found .grid > li");
    const fresh = [...fragment.querySelectorAll(".found .grid > li")].slice(before.length);
    const focused = document.activeElement === link;
    writePrices(fragment);
    before[before.length - 1].after(...fresh);
    outcome.querySelector("#found-title").replaceWith(fragment.querySelector("#found-title"));
    replaceMore(fragment.querySelector("[data-more]"));
    if (focused) fresh[0]?.querySelector("a").focus();
    shown = fragment.dataset.address;
    history.replaceState(history.state, "", shown);
    announce();
  } catch (error) {
    link.removeAttribute("aria-disabled");
    tell(error);
  }
}

function replaceMore(next) {
  const more = outcome.querySelector("[data-more]");
  if (next) more.replaceWith(next);
  else more.remove();
  watchMore();
}

const nearing = new IntersectionObserver(
  (seen) => seen.some((one) => one.isIntersecting) && showMore(outcome.querySelector("#more")),
  { rootMargin: "0px 0px 400px" },
);

function watchMore() {
  nearing.disconnect();
  const more = outcome.querySelector("[data-more]");
  if (more) nearing.observe(more);
}

/** The markup of a search; asked for some TRIES while what is in the way may pass. */
async function obtain(address, signal) {
  for (let tries = 1, wait = POLL.first; tries < TRIES; tries += 1, wait = longer(wait)) {
    const fragment = await reach(address, signal);
    if (fragment) return fragment;
    await pause(wait, signal);
  }
  return searchFragment(address, signal);
}

/** Follow a search that is under way, or in whose photo garments are still looked for. */
async function follow(fragment, signal) {
  for (let wait = POLL.first; "unsettled" in fragment.dataset; wait = longer(wait)) {
    rest();
    await pause(wait, signal);
    const fresh = await reach(shown, signal);
    if (!fresh) continue;
    fragment = fresh;
    update(fragment);
  }
}

/** The markup of a search; null where what is in the way may pass, and is told until it has. */
async function reach(address, signal) {
  try {
    const fragment = await searchFragment(address, signal);
    if ("passing" in problem.dataset) problem.hidden = true;
    return fragment;
  } catch (error) {
    if (!error.isPassing) throw error;
    if (problem.hidden) refuse(error.message, { isPassing: true });
    return null;
  }
}

function longer(wait) {
  return Math.min(wait * POLL.growth, POLL.most);
}

/** Stop the shown search, and show at once what that has made of it. */
function stop(api) {
  return attempt(async (signal) => {
    await stopSearch(api, signal).catch(tell);
    await show(shown, signal);
  });
}

/** Have the garments of the shown search's photo looked for, and show them. */
function detect(api) {
  return attempt(async (signal) => {
    await findGarments(api, signal);
    await show(shown, signal);
  });
}

function searchInAddress() {
  return new URLSearchParams(location.search).has("search") ? location.pathname + location.search : null;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

// --- The page ----------------------------------------------------------------------------

/** Put a search's markup into the page. */
function put(fragment) {
  keepingSight(fragment, () => {
    outcome.replaceChildren(fragment);
    wireLook(fragment.querySelector(".look"));
  });
  settle(fragment);
}

function settle(fragment) {
  document.title = fragment.dataset.title;
  writePrices(outcome);
  watchMore();
}

/**
 * Bring what is shown of the same search up to date. What has not changed stays untouched: a button
 * may be being pressed, a box drawn, a filter filled in.
 */
function update(fragment) {
  outcome.querySelector(".search").dataset.state = fragment.dataset.state;
  if (outcome.querySelector(".looking") && !fragment.querySelector(".looking")) putLook(fragment);
  const [before, progress] = [outcome, fragment].map((root) => root.querySelector(".progress"));
  if (before && progress) putProgress(before, progress);
  else if (before || progress) putFound(fragment);
}

function putProgress(before, progress) {
  const [step, fresh] = [before, progress].map((root) => root.querySelector("#step"));
  if (step.textContent !== fresh.textContent) step.textContent = fresh.textContent;
  before.querySelector("progress").value = progress.querySelector("progress").value;
  if (!progress.querySelector("form")) before.querySelector("form")?.remove(); // it is being stopped
}

/** Put in what has come of it. */
function putFound(fragment) {
  outcome.querySelector(".found").replaceWith(fragment.querySelector(".found"));
  settle(fragment);
  announce();
}

/** Put in its photo alone, with the garments that were found. */
function putLook(fragment) {
  const look = fragment.querySelector(".look");
  const before = outcome.querySelector(".look");
  keepSelection(before, look);
  keepingSight(look, () => {
    before.replaceWith(look);
    wireLook(look);
  });
}

/** Put new markup in the place of old, keeping what the eye and the keyboard are on. */
function keepingSight(fresh, replace) {
  const focused = outcome.contains(document.activeElement) && document.activeElement.id;
  keepPictures(fresh);
  replace();
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

/** Move pictures that are shown already: they would flicker if they were loaded anew. */
function keepPictures(fragment) {
  const address = (picture) => picture.getAttribute("src") ?? picture.getAttribute("href");
  const pictures = (root) => [...root.querySelectorAll("img, image")];
  const shown = new Map(pictures(outcome).map((picture) => [address(picture), picture]));
  for (const picture of pictures(fragment)) {
    const same = shown.get(address(picture));
    if (same) picture.replaceWith(same);
  }
}

function wireLook(look) {
  wirePhoto(look, (box) => {
    const form = new FormData(look.querySelector("[data-whole]"));
    for (const edge of box) form.append("box", edge);
    search(form);
  });
}

function announce() {
  announcer.textContent = outcome.querySelector("h2")?.textContent ?? "";
}

/** Say what went wrong; what was given up was given up on purpose. */
function tell(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Problem)) console.error(error);
  refuse(error instanceof Problem ? error.message : text("failed"));
}

function refuse(sentence, { isPassing = false } = {}) {
  problem.textContent = sentence;
  problem.toggleAttribute("data-passing", isPassing); // hidden again when it has passed
  problem.hidden = false;
  problem.scrollIntoView({ block: "nearest" });
}

/** Nothing is on its way any more. */
function rest() {
  if (!shown) home.dataset.view = "start"; // it came to nothing
  sending.hidden = true;
  outcome.removeAttribute("aria-busy");
}

// --- Events ------------------------------------------------------------------------------

outcome.addEventListener("submit", (event) => {
  const form = event.target;
  if ("plain" in form.dataset) return;
  event.preventDefault();
  closePanels({ focus: true });
  if ("sort" in form.dataset) sortAs(form);
  else if ("cancel" in form.dataset) stop(form.dataset.api);
  else if ("detect" in form.dataset) detect(form.dataset.api);
  else search(filledIn(form, event.submitter));
});
outcome.addEventListener("change", (event) => {
  if (event.target.id === "sort") sortAs(event.target.form);
});
outcome.addEventListener("click", (event) => {
  const link = event.target.closest("#more");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (!link.hasAttribute("aria-disabled")) showMore(link);
});
const closePanels = wirePanels(outcome);
intake.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(intake);
  form.delete("image"); // a photo is searched with as soon as it is chosen
  const link = linkIn(form.get("text"));
  if (link) searchWithLink(link);
  else if (form.get("text").trim()) search(form);
  else refuse(text("nothing"));
});
home.querySelector("[data-abort]").addEventListener("click", () => current.abort());
listenForPhotos(intake, { take: searchWithPhoto, follow: searchWithLink, refuse });
preview.addEventListener("error", () => (preview.hidden = true)); // a HEIC that this browser cannot show
home.querySelector("[data-examples]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  searchWithExample(event.submitter.dataset.file);
});

addEventListener("popstate", () => {
  const address = searchInAddress();
  if (address === shown) return; // a jump within the page
  if (address) attempt((signal) => show(address, signal));
  else location.reload();
});

// A page that came with its search has all but the scripts' part.
const given = outcome.firstElementChild;
writePrices(document);
if (given) {
  wireLook(given.querySelector(".look"));
  watchMore();
  attempt((signal) => follow(given, signal));
}
