/** Asking the shop: its API for searches, its pages for what they look like. */

import { text } from "./texts.js";

/** An answer that says why not; its message is a sentence for a person. */
export class Problem extends Error {}

/**
 * Start a search with a form's fields; gives the run as the API describes it.
 * Fields left empty are not sent.
 */
export async function startSearch(form, { api, signal }) {
  const body = new FormData();
  for (const [name, value] of form) {
    if (value !== "" && name !== "csrfmiddlewaretoken") body.append(name, value);
  }
  // A quick search is there at once; of a slow one we want to hear how far it is.
  body.append("wait", "0.5");
  const brief = { ...headers(), Prefer: "return=minimal" }; // the results come as markup
  const response = await ask(api, { method: "POST", body, headers: brief, signal });
  return response.json();
}

/** Ask a run to stop. One that has ended already is no problem. */
export async function stopSearch(api) {
  await fetch(api, { method: "POST", headers: headers() });
}

/** Have a photo's garments looked for. */
export async function findGarments(api, signal) {
  await ask(api, { method: "POST", headers: headers(), signal });
}

/** The markup of the search that a page's address names, as an element. */
export async function searchFragment(address, signal) {
  const { searchParams: view } = new URL(address, location.href);
  const id = view.get("search");
  view.delete("search");
  const response = await ask(`/searches/${encodeURIComponent(id)}/?${view}`, { signal });
  if (response.redirected) location.assign(location.href); // signed out meanwhile
  const markup = new DOMParser().parseFromString(await response.text(), "text/html");
  return document.adoptNode(markup.body.firstElementChild);
}

function headers() {
  const token = document.querySelector("[name=csrfmiddlewaretoken]");
  const told = { Accept: "application/json", "Accept-Language": document.documentElement.lang };
  return { ...told, ...(token && { "X-CSRFToken": token.value }) };
}

async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(text("unreachable"));
  }
  if (!response.ok) throw new Problem(await reason(response));
  return response;
}

async function reason(response) {
  const problem = await response.json().catch(() => ({}));
  return problem.detail || text("failed");
}
