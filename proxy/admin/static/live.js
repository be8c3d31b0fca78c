// Keeps the page as the server would show it now. The server says that something changed; the page's own address is
// asked again, and every element with `data-live` takes over what differs. Nothing is worked out here.
import { tick } from "./ages.js";
import { morph } from "./morph.js";
import { show } from "./state.js";

const LEAST = 2000; // milliseconds between two looks
const RETRY = 5000; // milliseconds until the next one when a look failed
const { domain = "", address = "" } = document.getElementById("main")?.dataset ?? {};
// A form that was refused shows its page at the form's own address, which only takes what is posted.
const page = address || location.href;
let source = null;
let timer = 0;
let lastLook = 0;
let looking = false;
let again = false;

async function look() {
  if (looking) {
    again = true;
    return;
  }
  looking = true;
  lastLook = Date.now();
  try {
    const answer = await fetch(page, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (answer.redirected) return location.assign(answer.url);
    if (!answer.ok) return failed(`the proxy answered ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const focused = document.activeElement;
    for (const element of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(element.id);
      if (other) morph(element, document.adoptNode(other));
    }
    // A row that has moved up or down has lost the focus on its way.
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
    tick();
    if (source?.readyState === EventSource.OPEN) show("live", "live");
  } catch {
    failed("connection lost");
  } finally {
    looking = false;
    if (again) {
      again = false;
      soon();
    }
  }
}

// What is on the page is old then, and nothing may change any more that would have it looked at again.
function failed(text) {
  show("lost", text);
  setTimeout(() => source && soon(), RETRY);
}

function soon() {
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    look();
  }, Math.max(0, lastLook + LEAST - Date.now()));
}

function concerns(event) {
  if (!domain) return true;
  try {
    const domains = JSON.parse(event.data).domains;
    return !Array.isArray(domains) || domains.includes(domain);
  } catch {
    return true;
  }
}

function listen() {
  source = new EventSource("/api/v1/events");
  let broken = false;
  source.addEventListener("open", () => {
    show("live", "live");
    if (broken) soon(); // what happened meanwhile was not heard
    broken = false;
  });
  source.addEventListener("changed", (event) => concerns(event) && soon());
  source.addEventListener("error", () => {
    broken = true;
    show("lost", source.readyState === EventSource.CLOSED ? "not live: reload" : "reconnecting");
  });
}

function stop() {
  source?.close();
  source = null;
}

// A browser has few connections to one host: a page that nobody sees takes none of them.
if (document.querySelector("[data-live]")) {
  if (!document.hidden) listen();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return stop();
    if (source === null) {
      listen();
      soon();
    }
  });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => event.persisted && source === null && listen());
}
