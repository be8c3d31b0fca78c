// Runs before the first paint, so that what needs scripts does not appear late.
document.documentElement.classList.add("js");
