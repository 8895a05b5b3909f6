// Elements made of text: nothing that anybody typed is ever read as HTML.

export const $ = (id) => document.getElementById(id);

// h("li", {class: "said"}, "text", node): an element; of `given`, functions are listeners and the rest attributes.
export function h(tag, given = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...inside);
  return made;
}

// Let go of a picture's address, once an image that is just loading it has it.
export const letGo = (address) => setTimeout(() => URL.revokeObjectURL(address), 1000);

// Tell those who listen rather than look.
export function announce(text) {
  $("live").textContent = "";
  setTimeout(() => { $("live").textContent = text; }, 50);
}

let fading = 0;

// A short message at the bottom, for everybody.
export function tell(text) {
  $("toast").textContent = text;
  $("toast").hidePopover?.(); // in browsers that have none it stays where it is
  $("toast").showPopover?.(); // above an open dialog, too
  announce(text);
  clearTimeout(fading);
  fading = setTimeout(() => { $("toast").textContent = ""; }, 5000);
}

// What went wrong, beside where it went wrong; null: nothing any more.
export function complain(id, error) {
  $(id).hidden = !error;
  $(id).textContent = error ? error.message : "";
}

// Files that are dropped on a place go to `take`.
export function droppable(place, take) {
  const over = (event) => { event.preventDefault(); place.classList.add("over"); };
  place.addEventListener("dragenter", over);
  place.addEventListener("dragover", over);
  place.addEventListener("dragleave", (event) => { if (!place.contains(event.relatedTarget)) place.classList.remove("over"); });
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    const files = [...event.dataTransfer.files];
    if (files.length) take(files);
  });
}
