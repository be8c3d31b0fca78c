// The page of one trace: folds open in place, and keys step from difference to difference.
// Every row comes from the server; without this script the same links open folds by loading the page anew.
const table = document.getElementById("tree");
const told = document.getElementById("step");
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Everything that can be stepped to, in the order of the page: header fields and status first, then the bodies. */
const stops = () => [...document.querySelectorAll("tr[data-diff]")].filter((row) => !row.hidden && row.offsetParent !== null);
let now = null;

function go(row) {
  now?.classList.remove("now");
  now = row;
  row.classList.add("now");
  row.tabIndex = -1;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "center", behavior: calm.matches ? "auto" : "smooth" });
  tell();
}

function tell() {
  if (!told) return;
  const all = stops();
  const total = Math.max(all.length, Number(told.dataset.total));
  const at = all.indexOf(now);
  told.textContent = at < 0 ? `${total} to step through` : `${at + 1} of ${total}`;
}

function step(by) {
  const all = stops();
  if (!all.length) return;
  const at = all.indexOf(now);
  if (at < 0) return go(by > 0 ? firstInView(all) : all.at(-1));
  go(all[(at + by + all.length) % all.length]);
}

/** From where the reader is, not from the top. */
const firstInView = (all) => all.find((row) => row.getBoundingClientRect().top > 60) ?? all[0];

document.getElementById("step-on")?.addEventListener("click", () => step(1));
document.getElementById("step-back")?.addEventListener("click", () => step(-1));
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]")) return;
  const by = { n: 1, j: 1, p: -1, k: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  step(by);
});

const rowOf = (number) =>
  [...document.querySelectorAll("tr[data-diff]")].find((row) => row.dataset.diff.split(" ").includes(number));

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-go]");
  const row = link && rowOf(link.dataset.go);
  if (!row) return;
  event.preventDefault();
  history.replaceState(null, "", `#d${link.dataset.go}`);
  reveal(row);
  go(row);
});

// --- folds ---

const within = (at, row) => (at === "" ? row.dataset.at !== "" || row.classList.contains("fold") : row.dataset.at.startsWith(`${at}.`) || (row.classList.contains("fold") && row.dataset.at === at));

/** The rows that stand below an open one. */
function below(row) {
  const found = [];
  for (let next = row.nextElementSibling; next && within(row.dataset.at, next); next = next.nextElementSibling) found.push(next);
  return found;
}

/** Opens what hides a row. */
function reveal(row) {
  if (!row.hidden) return;
  const parts = row.dataset.at.split(".");
  for (let depth = 0; depth < parts.length; depth += 1) {
    const above = document.getElementById(`r${parts.slice(0, depth).join(".")}`);
    const twist = above?.querySelector("a[data-twist]");
    if (twist?.getAttribute("aria-expanded") === "false" && !twist.dataset.rows) toggle(twist, above);
  }
}

/** Closes or opens again what is on the page already; what was closed inside stays closed. */
function toggle(link, row) {
  const open = link.getAttribute("aria-expanded") === "true";
  link.setAttribute("aria-expanded", String(!open));
  let closed = null;
  for (const one of below(row)) {
    if (closed && within(closed.dataset.at, one)) continue;
    closed = null;
    one.hidden = open;
    const inner = one.querySelector("a[data-twist]");
    if (!open && inner?.getAttribute("aria-expanded") === "false") closed = one;
  }
  tell();
}

async function rowsOf(link) {
  const answer = await fetch(link.dataset.rows, { headers: { Accept: "text/html" } });
  if (answer.redirected) return location.assign(answer.url);
  if (!answer.ok) throw new Error(`the proxy answered ${answer.status}`);
  // Rows are parsed only where they may stand: inside a table.
  const parsed = new DOMParser().parseFromString(`<table><tbody>${await answer.text()}</tbody></table>`, "text/html");
  return [...parsed.querySelectorAll("tbody > tr")].map((row) => document.adoptNode(row));
}

async function open(link) {
  const row = link.closest("tr");
  link.setAttribute("aria-busy", "true");
  try {
    const rows = await rowsOf(link);
    if (!rows) return;
    row.after(...rows);
    if (row.classList.contains("fold")) {
      row.remove();
      rows[0]?.querySelector("a")?.focus();
      if (rows[0] && document.activeElement === document.body) {
        rows[0].tabIndex = -1;
        rows[0].focus({ preventScroll: true });
      }
    } else {
      delete link.dataset.rows;
      link.setAttribute("aria-expanded", "true");
    }
    tell();
  } catch {
    // The link leads to the same without this script.
    location.assign(link.href);
  } finally {
    link.removeAttribute("aria-busy");
  }
}

table?.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const link = event.target.closest("a");
  if (!link || !table.contains(link) || link.getAttribute("aria-busy")) return;
  if (link.dataset.rows) {
    event.preventDefault();
    open(link);
  } else if ("twist" in link.dataset) {
    event.preventDefault();
    toggle(link, link.closest("tr"));
  }
});

const wanted = /^#d(\d+)$/.exec(location.hash);
const first = wanted && rowOf(wanted[1]);
if (first) go(first);
else tell();
