// Who is known: the row of faces, and what is done with them.

import { call, json, release, withPictures } from "./api.js";
import { $, announce, complain, droppable, h, letGo, tell } from "./dom.js";
import { dropHue, hueOf, known, renameHue } from "./names.js";

const SHOWN = 200; // faces in the row
const faces = new Map(); // "word/number/size" -> promise of an address
const told = new EventTarget(); // "people": somebody came, went, or has another name

export const onPeople = (listener) => told.addEventListener("people", ({ detail }) => listener(detail));
const changed = (detail) => { draw(); told.dispatchEvent(new CustomEvent("people", { detail })); };

export async function loadPeople() {
  const { data, total } = await json(`/v1/concepts?limit=${SHOWN}`);
  known.clear();
  data.sort((a, b) => a.created.localeCompare(b.created));
  for (const person of data) {
    known.set(person.name, person);
    hueOf(person.name);
  }
  $("people").dataset.total = total;
  changed({});
}

// Whoever is spoken of and was not in the row joins it.
export async function meet(words) {
  for (const word of words.filter((one) => !known.has(one))) {
    known.set(word, await json(`/v1/concepts/${encodeURIComponent(word)}`));
    changed({});
  }
}

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    target.load();
  }
});

// A picture of somebody, fetched with the key when it comes into sight.
export function face(person, { size = 160, number = 0, kind = "face", alt = "" } = {}) {
  const image = h("img", { class: kind, alt, "data-hue": hueOf(person.name), "data-word": person.name });
  const place = `${person.name}/${number}/${size}`;
  image.load = async () => {
    if (!faces.has(place)) {
      const path = `/v1/concepts/${encodeURIComponent(person.name)}/thumbnail?size=${size}&number=${number}`;
      faces.set(place, call(path).then((found) => found.blob()).then((blob) => URL.createObjectURL(blob)));
    }
    try {
      const address = await faces.get(place);
      if (faces.has(place)) image.src = address; // or they were forgotten meanwhile
    } catch {
      faces.delete(place); // somebody whose picture is damaged has a ring and no face
    }
  };
  seen.observe(image);
  return image;
}

function dropFaces(word) {
  for (const [place, address] of faces) {
    if (!place.startsWith(`${word}/`)) continue;
    address.then(letGo, () => {});
    faces.delete(place);
  }
}

function draw() {
  const items = [...known.values()].map((person) =>
    h("li", {}, h("button", { type: "button", click: () => openPerson(person.name), title: person.shown },
      face(person), h("span", { class: "label" }, person.shown))));
  const more = $("people").dataset.total - known.size;
  if (more > 0) items.push(h("li", { class: "quiet" }, `and ${more.toLocaleString("en")} more`));
  const plus = h("button", { type: "button", id: "add-open", click: () => openAdd() },
    h("span", { class: "plus", "aria-hidden": "true" }, "+"), h("span", { class: "label" }, "Add"));
  $("people").replaceChildren(...items, h("li", {}, plus));
}

// Enrol somebody.
export async function addPerson(name, blobs, replace = false) {
  await enrol("/v1/concepts", { name, replace }, blobs, "is known from now on");
}

async function enrol(path, body, blobs, done) {
  const person = await withPictures(blobs, (images) => json(path, { ...body, images }));
  release(blobs);
  dropFaces(person.name);
  const added = known.has(person.name) ? {} : { added: person };
  known.set(person.name, person);
  if (added.added) $("people").dataset.total++;
  const strange = person.unlike?.some((score) => score > 1);
  tell(`${person.shown} ${done}${strange ? ", but a picture is unlike those the model was trained on: do not rely on it" : ""}.`);
  changed(added);
}

// ---- somebody new

let shots = []; // {blob, address}

export function openAdd(files = []) {
  clearShots();
  $("add-name").value = "";
  complain("add-error");
  $("add-go").textContent = "Add";
  $("add").showModal();
  takeShots(files);
}

function takeShots(files) {
  shots.push(...files.map((blob) => ({ blob, address: URL.createObjectURL(blob) })));
  drawShots();
  if (files.length) $("add-name").focus();
}

function drawShots() {
  $("add-shots").replaceChildren(...shots.map((shot, number) => {
    const away = () => {
      letGo(shot.address);
      shots = shots.filter((one) => one !== shot);
      drawShots();
      $("add-files").focus();
    };
    return h("li", {}, h("img", { src: shot.address, alt: `Picture ${number + 1}` }),
      h("button", { type: "button", "aria-label": `Leave picture ${number + 1} out`, click: away }, "×"));
  }));
}

function clearShots() {
  shots.forEach((shot) => letGo(shot.address));
  shots = [];
  drawShots();
}

$("add-files").addEventListener("change", (event) => {
  takeShots([...event.target.files]);
  event.target.value = "";
});
droppable($("add-drop"), takeShots);
$("add").addEventListener("close", clearShots);
$("add-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $("add-name").value.trim();
  const missing = !shots.length ? "Choose a picture first." : !name ? "Type a name first." : "";
  complain("add-error", missing && new Error(missing));
  if (missing) return (shots.length ? $("add-name") : $("add-files")).focus();
  $("add-go").disabled = true;
  try {
    await addPerson(name, shots.map((shot) => shot.blob), $("add-go").dataset.replace === name);
    $("add").close();
  } catch (error) {
    const exists = error.code === "concept_exists";
    complain("add-error", exists ? new Error(`There is a ${name} already. Choose another name, or press Replace.`) : error);
    $("add-go").textContent = exists ? "Replace" : "Add";
    $("add-go").dataset.replace = exists ? name : "";
  } finally {
    $("add-go").disabled = false;
  }
});

// ---- somebody who is known

let open = null; // the word

function openPerson(word) {
  open = word;
  drawPerson();
  $("confirm").hidden = true;
  $("person").showModal();
}

function drawPerson() {
  const person = known.get(open);
  $("person-title").textContent = person.shown;
  $("person-name").value = person.shown;
  const count = person.pictures;
  const since = new Date(person.created);
  const when = Number.isNaN(+since) ? "" : ` Known since ${since.toLocaleDateString("en", { dateStyle: "long" })}.`;
  $("person-about").textContent = `${count} ${count === 1 ? "picture" : "pictures"}.${when} ${person.notes}`.trim();
  $("person-shots").replaceChildren(...Array.from({ length: count }, (_, number) =>
    h("li", {}, face(person, { size: 320, number, kind: "shot", alt: `${person.shown}, picture ${number + 1}` }))));
  complain("person-error", person.usable ? null : new Error("What is stored cannot be used by this model. Add them again."));
}

$("person-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $("person-name").value.trim();
  const old = known.get(open);
  if (!name || name === old.shown) return $("person").close();
  try {
    const person = await json(`/v1/concepts/${encodeURIComponent(old.name)}`, { name }, "PATCH");
    renameHue(old.name, person.name);
    dropFaces(old.name);
    const people = [...known.values()].map((one) => (one === old ? person : one)); // the place in the row stays
    known.clear();
    people.forEach((one) => known.set(one.name, one));
    $("person").close();
    changed({ renamed: { old, person } });
    tell(`${old.shown} is called ${person.shown} now.`);
  } catch (error) {
    complain("person-error", error);
  }
});

async function morePictures(files) {
  const word = open;
  $("person-more").textContent = "Looking ...";
  complain("person-error");
  try {
    await enrol(`/v1/concepts/${encodeURIComponent(word)}/images`, {}, files, "is known from more pictures now");
    if ($("person").open) drawPerson();
  } catch (error) {
    complain("person-error", error);
  } finally {
    $("person-more").textContent = "Add pictures";
  }
}

$("person-files").addEventListener("change", (event) => {
  morePictures([...event.target.files]);
  event.target.value = "";
});
droppable($("person"), morePictures);
$("forget").addEventListener("click", () => {
  const { shown } = known.get(open);
  $("confirm-text").textContent = `Forget ${shown}? Pictures and everything learned from them are erased. There is no way back.`;
  $("confirm").hidden = false;
  announce($("confirm-text").textContent);
  $("keep").focus();
  $("confirm").scrollIntoView({ block: "nearest" });
});
$("keep").addEventListener("click", () => { $("confirm").hidden = true; $("forget").focus(); });
$("forget-yes").addEventListener("click", async () => {
  const person = known.get(open);
  try {
    await call(`/v1/concepts/${encodeURIComponent(person.name)}`, { method: "DELETE" });
    known.delete(person.name);
    $("people").dataset.total--;
    dropFaces(person.name);
    $("person").close();
    changed({ forgotten: person });
    dropHue(person.name);
    tell(`${person.shown} is forgotten.`);
  } catch (error) {
    complain("person-error", error);
  }
});
for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
