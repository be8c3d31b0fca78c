// How long ago things were, in the words of the server (pages/words.py: age). A module without effects of its own.
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];
// The proxy's clock counts, not this machine's: the page says what it was when it was made.
const skew = document.body.dataset.now ? Date.parse(document.body.dataset.now) - Date.now() : 0;

function inOneUnit(past) {
  for (const [size, unit] of UNITS) if (past >= size) return `${Math.floor(past / size)} ${unit}`;
  return `${Math.floor(past)} s`;
}

function age(at) {
  const past = (Date.now() + skew - at) / 1000;
  if (past < 0) return past > -60 ? "just now" : `in ${inOneUnit(-past)}`;
  return past < 1 ? "just now" : `${inOneUnit(past)} ago`;
}

export function tick() {
  for (const element of document.querySelectorAll("time[data-age]")) {
    const at = Date.parse(element.dateTime);
    if (Number.isNaN(at)) continue;
    const text = age(at);
    if (element.textContent !== text) element.textContent = text;
  }
}
