// The beginning: what is served, who is known, which picture it shall be about.

import { json } from "./api.js";
import { $, droppable, h, tell } from "./dom.js";
import { known } from "./names.js";
import { addPerson, loadPeople, onPeople, openAdd } from "./people.js";
import { begin, end, talk } from "./talk.js";

const FOLDER = "/page/samples/";
let samples = { people: [], pictures: [] };

function show(view) {
  for (const id of ["start", "talk"]) $(id).hidden = id !== view;
}

function talkAbout(picture, about) {
  show("talk");
  begin(picture, about);
}

function takePicture([file]) {
  if (file) talkAbout(file);
}

async function sample(file) {
  const response = await fetch(FOLDER + file);
  return response.blob();
}

// A press on a sample; while it is worked on it cannot be pressed again.
function pressable(file, label, alt, work) {
  const button = h("button", {
    type: "button",
    click: async () => {
      button.disabled = true;
      try {
        await work(await sample(file));
      } catch (error) {
        tell(error.message);
      } finally {
        button.disabled = false;
      }
    },
  }, h("img", { src: FOLDER + file, alt, width: 112, height: 112 }), label);
  return h("li", {}, button);
}

function drawSamples() {
  const taken = new Set([...known.values()].map((person) => person.shown.toLowerCase()));
  const people = samples.people.filter((person) => !taken.has(person.name.toLowerCase()));
  $("sample-people").hidden = !people.length;
  $("sample-people").querySelector("ul").replaceChildren(...people.map(({ name, file }) =>
    pressable(file, `Add ${name}`, "", (blob) => addPerson(name, [blob]))));
  $("sample-pictures").hidden = !samples.pictures.length;
  $("sample-pictures").querySelector("ul").replaceChildren(...samples.pictures.map(({ about, file }) =>
    pressable(file, "", about, (blob) => talkAbout(blob, about))));
}

$("add-first").addEventListener("click", () => openAdd());
droppable($("drop-person"), (files) => openAdd(files));
droppable($("drop-picture"), takePicture);
droppable($("figure"), takePicture);
$("choose-picture").addEventListener("change", (event) => {
  takePicture([...event.target.files]);
  event.target.value = "";
});
$("no-picture").addEventListener("click", () => talkAbout(null));
$("other").addEventListener("click", () => {
  end();
  show("start");
  $("main").focus({ preventScroll: true });
});
for (const kind of ["dragover", "drop"]) { // beside the places for it a dropped file would replace the page
  window.addEventListener(kind, (event) => event.preventDefault());
}
onPeople(drawSamples);

try {
  const { data: [model] } = await json("/v1/models");
  talk.model = model.id;
  $("model").textContent = model.id;
  $("model").hidden = false;
  const all = await (await fetch(`${FOLDER}samples.json`)).json();
  if (all.model === model.id) samples = all; // another model knows another world
  await loadPeople();
  show("start");
} catch (error) {
  $("main").replaceChildren(h("p", { class: "notice", role: "alert" }, error.message));
}
