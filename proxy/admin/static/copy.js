// Buttons with `data-copy="ID"` copy the text of that element. Without scripts they are not shown.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy)?.textContent ?? "";
  const before = button.dataset.label ?? button.textContent;
  button.dataset.label = before;
  let told = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS on another host than this one, browsers keep the clipboard shut.
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    told = "Selected";
  }
  button.textContent = told;
  setTimeout(() => (button.textContent = before), 1500);
});
