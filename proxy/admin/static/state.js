// Whether the page is kept up to date, in the head of every page. A module without effects of its own: it is imported by
// its plain name, and a script that is also loaded by its hashed one would run twice.
const state = document.getElementById("live-state");

export function show(name, text) {
  if (!state || (state.dataset.state === name && state.textContent === text)) return;
  state.hidden = false;
  state.dataset.state = name;
  state.textContent = text;
}
