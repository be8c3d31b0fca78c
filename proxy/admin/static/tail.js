// The live page: what ends is put on top, in rows cut from the page's own template. Everything is set as text.
import { show } from "./state.js";

const table = document.getElementById("tail");
const body = table.tBodies[0];
const rowTemplate = document.getElementById("tail-row");
const note = document.getElementById("tail-note");
const pause = document.getElementById("pause");
const empty = document.getElementById("tail-empty");
const MOST = Number(table.dataset.most);
const LOOKS = {
  match: "good", diff: "bad", shadow_error: "bad", lost: "bad", transient: "warn", unstable: "warn", primary_error: "warn",
};
// As `shown` in pages/words.py: what cannot be seen is spelled out.
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\uffff]/g;
let since = table.dataset.since;
let source = null;
let paused = false;
let waiting = [];
let missed = 0;

const shown = (text) =>
  String(text ?? "").slice(0, 300).replace(UNSEEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

const millis = (seconds) => {
  if (seconds === null || seconds === undefined) return "";
  const ms = seconds * 1000;
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms).toLocaleString("en")} ms`;
};

function row(one) {
  const made = rowTemplate.content.cloneNode(true).firstElementChild;
  const slot = (name) => made.querySelector(`[data-slot="${name}"]`);
  const time = slot("at");
  time.dateTime = one.at;
  time.title = `${new Date(one.at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
  time.textContent = new Date(one.at).toISOString().slice(11, 19);
  slot("verdict").textContent = shown(one.verdict);
  if (LOOKS[one.verdict]) slot("verdict").classList.add(LOOKS[one.verdict]);
  slot("domain").textContent = shown(one.domain);
  slot("domain").href = `/domains/${encodeURIComponent(one.domain)}`;
  slot("route").textContent = shown(one.route);
  slot("differences").textContent = one.differences ? one.differences.toLocaleString("en") : "";
  slot("primary").textContent = millis(one.primary_seconds);
  slot("shadow").textContent = millis(one.shadow_seconds);
  if (one.trace) {
    const link = document.createElement("a");
    link.href = `/traces/${encodeURIComponent(one.trace)}`;
    link.textContent = "see why";
    slot("trace").append(link);
  }
  if (one.verdict !== "match") made.classList.add("fresh");
  return made;
}

function put(ended) {
  if (!ended.length) return;
  empty.hidden = true;
  const made = document.createDocumentFragment();
  for (const one of ended.slice(-MOST).reverse()) made.append(row(one));
  body.prepend(made);
  while (body.rows.length > MOST) body.deleteRow(-1);
}

function tell() {
  const parts = [];
  if (paused) parts.push(waiting.length >= MOST ? `paused, more than ${MOST} waiting` : `paused, ${waiting.length} waiting`);
  if (missed) parts.push(`${missed.toLocaleString("en")} went by unseen`);
  note.textContent = parts.join("; ");
}

function hear(event) {
  const told = JSON.parse(event.data);
  // The place in the tail, and behind its last hyphen a version that only the server knows to read.
  if (event.lastEventId) since = event.lastEventId.slice(0, event.lastEventId.lastIndexOf("-"));
  missed += told.missed ?? 0;
  if (paused) waiting = [...waiting, ...told.ended].slice(-MOST);
  else put(told.ended);
  tell();
}

function listen() {
  const query = new URLSearchParams(table.dataset.query);
  query.set("tail", "1");
  if (since) query.set("since", since);
  source = new EventSource(`/api/v1/events?${query}`);
  source.addEventListener("open", () => show("live", "live"));
  source.addEventListener("verdicts", hear);
  source.addEventListener("error", () =>
    show("lost", source.readyState === EventSource.CLOSED ? "not live: reload" : "reconnecting"),
  );
}

function stop() {
  source?.close();
  source = null;
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
  if (!paused) {
    put(waiting);
    waiting = [];
  }
  tell();
});

if (!document.hidden) listen();
document.addEventListener("visibilitychange", () => {
  if (document.hidden) stop();
  else if (source === null) listen();
});
addEventListener("pagehide", stop);
addEventListener("pageshow", (event) => event.persisted && source === null && listen());
