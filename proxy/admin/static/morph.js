// Makes one element read like another, touching only what differs: focus, selection, scroll and what was opened stay.

/** `id` or `data-key` tell which child was which; children without one are taken in order. */
const keyOf = (node) => (node.nodeType === 1 ? node.id || node.dataset.key || null : null);

export function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || keyOf(old) !== keyOf(fresh)) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== 1) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  // A time that says the same moment is kept up to date by times.js.
  if (old.nodeName === "TIME" && old.dateTime && old.dateTime === fresh.dateTime) return;
  // What somebody is typing into is theirs.
  if (old === document.activeElement && "value" in old) return;
  attributes(old, fresh);
  children(old, fresh);
}

function attributes(old, fresh) {
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    // Whether details are open is the reader's choice.
    if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
}

function children(old, fresh) {
  const keyed = new Map();
  for (const child of old.childNodes) {
    const key = keyOf(child);
    if (key) keyed.set(key, child);
  }
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const key = keyOf(child);
    const known = key && keyed.get(key);
    if (known) {
      keyed.delete(key);
      if (known === place) place = place.nextSibling;
      else old.insertBefore(known, place);
      morph(known, child);
    } else if (place && !key && !keyOf(place) && place.nodeType === child.nodeType && place.nodeName === child.nodeName) {
      const next = place.nextSibling;
      morph(place, child);
      place = next;
    } else {
      old.insertBefore(child, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
  for (const child of keyed.values()) child.remove();
}
