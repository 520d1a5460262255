/**
 * The search page. Forms go to the API instead of the server's page, and the server's markup of
 * the search is put in without loading the page anew. The address names the search.
 */

import { Problem, findGarments, searchFragment, startSearch, stopSearch } from "./api.js";
import { listenForPhotos } from "./intake.js";
import { wirePhoto } from "./photo.js";
import { writePrices } from "./prices.js";

const POLL = { first: 400, growth: 1.3, most: 10_000 }; // milliseconds

const home = document.querySelector("[data-home]");
const intake = home.querySelector("[data-intake]");
const sending = home.querySelector("[data-sending]");
const preview = home.querySelector("[data-preview]");
const problem = home.querySelector("[data-problem]");
const outcome = home.querySelector("[data-outcome]");
const announcer = home.querySelector("[data-announcer]");

let current = new AbortController(); // of what is being asked for now: one thing at a time
let shown = searchInAddress(); // id of the search that the page shows; null at the start

// --- Searching ---------------------------------------------------------------------------

/** Do one thing at a time, and say what went wrong with it. */
async function attempt(work) {
  current.abort();
  const own = (current = new AbortController());
  problem.hidden = true;
  sending.hidden = true;
  outcome.setAttribute("aria-busy", "true");
  try {
    await work(own.signal);
  } catch (error) {
    if (error.name !== "AbortError") tell(error);
  } finally {
    if (own === current) rest(); // what has taken our place looks after the page otherwise
  }
}

function search(form) {
  return attempt(async (signal) => {
    const run = await startSearch(form, { api: intake.dataset.api, signal });
    await show(run.id, signal, (address) => history.pushState(null, "", address));
  });
}

function searchWithPhoto(file) {
  const form = new FormData(intake);
  form.set("image", file, file.name || "photo");
  search(form);
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  sending.hidden = false;
}

/** A form's fields, with the button that was pressed if that stands for something. */
function filledIn(form, button) {
  const fields = new FormData(form);
  if (button?.name) fields.append(button.name, button.value);
  return fields;
}

/** Show a search, and go on until nothing about it changes any more. */
async function show(id, signal, visit = () => {}) {
  const fragment = await searchFragment(id, signal);
  visit(fragment.dataset.address);
  shown = id;
  put(fragment);
  announce();
  await follow(id, fragment, signal);
}

/** Follow a search that is under way, or in whose photo garments are still looked for. */
async function follow(id, fragment, signal) {
  for (let wait = POLL.first; "unsettled" in fragment.dataset; wait = Math.min(wait * POLL.growth, POLL.most)) {
    rest();
    await pause(wait, signal);
    const before = fragment.dataset.state;
    fragment = await searchFragment(id, signal);
    if (before !== "done") put(fragment);
    else if (!("unsettled" in fragment.dataset)) putLook(fragment);
    if (fragment.dataset.state !== before) announce();
  }
}

/** Have the garments of the shown search's photo looked for, and show them. */
function detect(api) {
  return attempt(async (signal) => {
    await findGarments(api, signal);
    await show(shown, signal);
  });
}

function searchInAddress() {
  return new URLSearchParams(location.search).get("search");
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
  keepingSight(fragment, () => outcome.replaceChildren(fragment));
  home.dataset.view = "results";
  intake.elements.text.value = ""; // what is searched with stands beside the results now
  document.title = fragment.dataset.title;
  writePrices(fragment);
  wireLook(fragment.querySelector(".look"));
}

/** Put in its photo alone, with the garments that were found: filters may be being filled in. */
function putLook(fragment) {
  const look = fragment.querySelector(".look");
  keepingSight(look, () => outcome.querySelector(".look").replaceWith(look));
  wireLook(look);
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

function tell(error) {
  if (!(error instanceof Problem)) console.error(error);
  refuse(error instanceof Problem ? error.message : "Something went wrong. Try again in a moment.");
}

function refuse(sentence) {
  problem.textContent = sentence;
  problem.hidden = false;
  problem.scrollIntoView({ block: "nearest" });
}

/** Nothing is on its way any more. */
function rest() {
  sending.hidden = true;
  outcome.removeAttribute("aria-busy");
}

// --- Events ------------------------------------------------------------------------------

outcome.addEventListener("submit", (event) => {
  const form = event.target;
  if ("plain" in form.dataset) return;
  event.preventDefault();
  if ("cancel" in form.dataset) stopSearch(form.dataset.api);
  else if ("detect" in form.dataset) detect(form.dataset.api);
  else search(filledIn(form, event.submitter));
});
intake.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(intake);
  form.delete("image"); // a photo is searched with as soon as it is chosen
  if (form.get("text").trim()) search(form);
  else refuse("Choose a photo first, or say in words what you look for.");
});
home.querySelector("[data-abort]").addEventListener("click", () => current.abort());
listenForPhotos(intake, searchWithPhoto, refuse);

addEventListener("popstate", () => {
  const id = searchInAddress();
  if (id === shown) return; // a jump within the page
  if (id) attempt((signal) => show(id, signal));
  else location.reload();
});

// A page that came with its search has all but the scripts' part.
const given = outcome.firstElementChild;
if (given) {
  writePrices(given);
  wireLook(given.querySelector(".look"));
  attempt((signal) => follow(given.dataset.run, given, signal));
}
