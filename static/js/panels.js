/** The filters' panels, which the browser opens and closes: Escape and a press elsewhere close them, too. */

/** Wire all panels that are or come inside `root`; gives a function that closes them. */
export function wirePanels(root) {
  /** With `focus`, what is typed next goes to the button of the one that was open. */
  function close({ focus = false } = {}) {
    for (const panel of root.querySelectorAll("details.facet[open]")) {
      if (focus && panel.contains(document.activeElement)) panel.querySelector("summary").focus();
      panel.open = false;
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close({ focus: true });
  });
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("details.facet[open]")) close();
  });
  return close;
}
