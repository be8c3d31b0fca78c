// Keys: `g` and a letter goes somewhere, `/` goes to the filter, `?` shows them all.
const PLACES = { d: "/", f: "/findings", t: "/traces", l: "/live", g: "/decisions" };
const WAIT = 1500; // milliseconds for the second key
let began = 0;

const dialog = document.getElementById("keys");
document.getElementById("keys-button")?.addEventListener("click", () => dialog?.showModal());

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]")) return;
  const second = Date.now() - began < WAIT;
  began = 0;
  if (second && Object.hasOwn(PLACES, event.key)) {
    event.preventDefault();
    location.assign(PLACES[event.key]);
  } else if (event.key === "g") {
    began = Date.now();
  } else if (event.key === "/") {
    const filter = document.querySelector("[data-filter]");
    if (!filter) return;
    event.preventDefault();
    filter.focus();
    filter.select?.();
  } else if (event.key === "?") {
    event.preventDefault();
    dialog?.showModal();
  }
});
