/**
 * In a list that opens to choose from, the box to type into has no name of its own: it gets that of
 * the field. The list is a library's, which tells of its opening by jQuery alone.
 */
window.django?.jQuery?.(document).on("select2:open", ({ target }) => {
  const box = document.querySelector(".select2-dropdown .select2-search__field");
  const [label] = target.labels ?? [];
  if (box && label) box.setAttribute("aria-label", label.textContent.trim().replace(/:$/, ""));
});
