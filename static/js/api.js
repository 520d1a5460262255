/** Asking the shop: its API for searches, its pages for what they look like. */

import { text } from "./texts.js";

/** An answer that says why not, or that there was none; its message is a sentence for a person. */
export class Problem extends Error {
  /** `status` is that of the answer, 0 for none. */
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }

  /** Whether the same, asked again later, may well be answered. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

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
  return ask(api, { method: "POST", body, headers: brief, signal }, (response) => response.json());
}

/** Ask a run to stop. One that has ended, or gone, already is no problem. */
export async function stopSearch(api, signal) {
  try {
    await ask(api, { method: "POST", headers: headers(), signal });
  } catch (error) {
    if (error.status !== 404 && error.status !== 409) throw error;
  }
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
  const answer = await ask(`/searches/${encodeURIComponent(id)}/?${view}`, { signal }, (response) => {
    if (response.redirected) location.assign(location.href); // signed out meanwhile
    return response.text();
  });
  const markup = new DOMParser().parseFromString(answer, "text/html");
  return document.adoptNode(markup.body.firstElementChild);
}

function headers() {
  const token = document.querySelector("[name=csrfmiddlewaretoken]");
  const told = { Accept: "application/json", "Accept-Language": document.documentElement.lang };
  return { ...told, ...(token && { "X-CSRFToken": token.value }) };
}

/** What `read` makes of a good answer. Where there is none, or it breaks off, fetch throws a TypeError. */
async function ask(url, options, read = () => {}) {
  try {
    const response = await fetch(url, options);
    if (!response.ok) throw new Problem(await reason(response), response.status);
    return await read(response);
  } catch (error) {
    throw error instanceof TypeError ? new Problem(text("unreachable")) : error;
  }
}

async function reason(response) {
  const problem = await response.json().catch(() => ({}));
  return problem.detail || text("failed");
}
