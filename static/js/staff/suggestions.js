/**
 * Suggestions are put into the form's fields, to be saved with whatever else was typed. Without this
 * script each is a button that saves it at once.
 */
for (const button of document.querySelectorAll("[data-suggestion]")) {
  button.addEventListener("click", (event) => {
    const select = document.getElementById(`id_${button.dataset.suggestion === "tag" ? "tags" : "category"}`);
    const key = button.dataset.key;
    if (!select || !key) return; // a tag that is not there yet is made by the server
    event.preventDefault();
    let option = [...select.options].find(({ value }) => value === key);
    option ??= select.appendChild(new Option(button.dataset.value, key));
    option.selected = true;
    select.dispatchEvent(new Event("change", { bubbles: true }));
    button.disabled = true;
    button.querySelector("[data-state]").textContent = "Put in: save to keep it";
  });
}
