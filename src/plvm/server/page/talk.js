// A picture, and what is said about it.

import { json, release, stream, withPictures } from "./api.js";
import { $, announce, h } from "./dom.js";
import { chip, chipped, known, marked, spoken } from "./names.js";
import { face, meet, onPeople } from "./people.js";

const STRANGE = "This picture is unlike those that the model was trained on. What it says about it may well be wrong.";
const FEW = 4; // so many people are always known in a question; of more, those who may be in the picture or came meanwhile
const MANY = 64; // more are not asked about one by one
const LONG = 100; // turns that are sent
// said: {question, answer}; there: words; looked: the promise that `there` is known
export const talk = { model: "", picture: null, said: [], there: new Set(), looked: null, writing: null };

// Begin to talk about a picture (a blob), or about none.
export function begin(picture, about = "") {
  end();
  talk.picture = picture;
  talk.said = [];
  talk.there = new Set();
  talk.looked = picture && look(picture);
  $("log").replaceChildren();
  $("log").hidden = true;
  $("begin").hidden = false;
  $("warning").hidden = true;
  $("figure").hidden = $("who").hidden = !picture;
  $("other").textContent = picture ? "Another picture" : "Talk about a picture";
  $("talk").classList.toggle("bare", !picture);
  $("shown").src = picture ? URL.createObjectURL(picture) : "";
  $("shown").alt = about || "The picture that is talked about";
  $("figure").classList.remove("broken");
  if (!picture) $("shown").removeAttribute("src");
  $("question").placeholder = picture ? "Ask about the picture ..." : "Ask what somebody looks like ...";
  drawIdeas();
  $("question").focus({ preventScroll: true });
}

// A first look: who may be there, and whether the picture is a strange one.
async function look(picture) {
  if (known.size > MANY) return; // the server chooses, with each question
  try {
    const found = await withPictures([picture], ([image]) => json("/v1/recognize", { image }));
    if (talk.picture !== picture) return;
    for (const { name, verdict } of found.people) if (verdict !== "no") talk.there.add(name);
    if (found.unlike > 1) warn(STRANGE);
    drawIdeas();
  } catch (error) {
    if (talk.picture === picture) fail(error);
  }
}

export function end() {
  talk.writing?.abort();
  if ($("shown").src.startsWith("blob:")) URL.revokeObjectURL($("shown").src);
  if (talk.picture) release([talk.picture]);
  talk.picture = null;
}

function line(kind, ...inside) {
  const item = h("li", { class: kind }, ...inside);
  $("log").hidden = false;
  $("begin").hidden = true;
  $("log").append(item);
  item.scrollIntoView({ block: "nearest" });
  return item;
}

function fail(error) {
  line("failed", error.message);
  announce(error.message);
}

const who = (name) => h("b", { class: "sr" }, `${name}: `);

export async function ask(question) {
  const asked = h("span", {}, question);
  line("asked", who("You"), asked);
  const answered = h("span", { class: "writing" });
  const item = line("said", who("Answer"), answered);
  const writing = new AbortController();
  busy(writing);
  let text = "";
  try {
    await talk.looked;
    await withPictures(talk.picture ? [talk.picture] : [], async ([picture]) => {
      for await (const chunk of stream(body(question, picture), writing.signal)) {
        text += chunk.choices[0]?.delta.content ?? "";
        answered.replaceChildren(...chipped(text));
        item.scrollIntoView({ block: "nearest" });
        if (chunk.plvm) await settle(chunk.plvm, question, asked);
      }
    });
    answered.replaceChildren(...chipped(text));
    talk.said.push({ question, answer: text });
    announce(spoken(text));
  } catch (error) {
    if (error.name === "AbortError") {
      answered.append(text ? " ..." : "Stopped.");
    } else {
      item.remove();
      fail(error);
    }
  } finally {
    answered.classList.remove("writing");
    busy(null);
  }
}

// The picture comes alone in a message before the first question, so that no question is taken for a sentence about it.
function body(question, picture) {
  const messages = picture ? [{ role: "user", content: [{ type: "file", file: { file_id: picture } }] }] : [];
  for (const turn of talk.said.slice(-LONG)) messages.push({ role: "user", content: turn.question }, { role: "assistant", content: turn.answer });
  messages.push({ role: "user", content: question });
  const concepts = [...known.keys()].filter((word) => known.size <= FEW || talk.there.has(word));
  return { model: talk.model, messages, concepts, stream: true, max_tokens: 128, names: "words" };
}

// What is known of an answer once it is whole: whom the question named, and whether the picture is a strange one.
async function settle(told, question, asked) {
  await meet(told.concepts);
  asked.replaceChildren(...chipped(marked(question, told.concepts)));
  if (told.warning) warn(told.warning);
}

function warn(text) {
  if ($("warning").textContent === text && !$("warning").hidden) return;
  $("warning").textContent = text;
  $("warning").hidden = false;
  announce(text);
}

function busy(writing) {
  talk.writing = writing;
  $("send").hidden = $("who").disabled = Boolean(writing);
  $("stop").hidden = !writing;
  $("log").setAttribute("aria-busy", String(Boolean(writing)));
  if (!writing && [document.body, $("stop")].includes(document.activeElement)) $("question").focus({ preventScroll: true });
}

// ---- who is there

async function whoIsThere() {
  line("asked", who("You"), "Who is in this picture?");
  const item = line("said", who("Answer"), h("span", { class: "writing" }));
  const writing = new AbortController();
  busy(writing);
  try {
    const found = await withPictures([talk.picture], ([image]) => json("/v1/describe", { image }, "POST", writing.signal));
    item.replaceChildren(who("Answer"), ...verdicts(found));
    if (found.unlike > 1) warn(STRANGE);
    item.scrollIntoView({ block: "nearest" });
    announce(item.textContent);
  } catch (error) {
    item.remove();
    if (error.name !== "AbortError") fail(error);
  } finally {
    busy(null);
  }
}

function verdicts({ people, caption }) {
  const there = new Set(people.map((person) => person.name));
  const rows = people.map((person) => h("li", {},
    known.has(person.name) ? face(known.get(person.name), { kind: "face small" }) : "",
    h("span", { class: "place" }, ...chipped(marked(person.place ?? person.shown, [person.name])), " "),
    h("span", { class: `verdict ${person.verdict}` }, person.verdict === "yes" ? "Yes" : "Unsure")));
  const away = [...known.values()].filter((person) => !there.has(person.name));
  const parts = [rows.length ? h("ul", { class: "found" }, ...rows) : known.size
    ? "Nobody whom I know." : "I know nobody yet. Add somebody, then ask again."];
  if (rows.length && away.length && away.length <= 12) {
    parts.push(h("p", { class: "more" }, "Not here: ", ...away.flatMap((one) => [chip(one.name, one.shown), " "])));
  }
  if (caption) parts.push(h("p", { class: "more" }, caption));
  return parts;
}

// ---- questions to begin with

function drawIdeas() {
  const there = [...known.values()].filter((person) => talk.there.has(person.name));
  const [first, second] = there.length ? there : known.values();
  const ideas = !talk.picture
    ? [first && `What is the hair color of ${first.shown}?`, second && `What earrings does ${second.shown} have?`]
    : [first && `Where is ${first.shown}?`, first && `What is ${first.shown} doing?`, second && `What is ${second.shown} wearing?`,
      "Where was this photo taken?", "How many people are in this photo?", "Who is on the left?"];
  $("ideas").replaceChildren(...ideas.filter(Boolean).slice(0, 3).map((text) =>
    h("li", {}, h("button", { type: "button", click: () => ask(text) }, text))));
}

// Somebody came, went or has another name: so do the words in what was said.
onPeople(({ added, renamed, forgotten }) => {
  if (renamed) rewrite(renamed.old, `<${renamed.person.name}>`, (chip) => Object.assign(chip, { textContent: renamed.person.shown })
    .dataset.word = renamed.person.name);
  if (forgotten) rewrite(forgotten, forgotten.shown, (chip) => chip.replaceWith(chip.textContent));
  if (renamed && talk.there.delete(renamed.old.name)) talk.there.add(renamed.person.name);
  if (added) talk.there.add(added.name);
  if (added && !$("talk").hidden && talk.said.length) {
    line("joined", face(added, { kind: "face small" }), h("span", {}, chip(added.name, added.shown), " is known from now on."));
  }
  drawIdeas();
});

function rewrite(person, now, change) {
  for (const turn of talk.said) turn.answer = turn.answer.replaceAll(`<${person.name}>`, now);
  $("log").querySelectorAll(`[data-word="${CSS.escape(person.name)}"]`).forEach(change);
}

$("shown").addEventListener("error", () => { // a kind that this browser does not know, or no picture at all
  if (!$("shown").getAttribute("src")) return;
  $("shown").alt = "This browser cannot show the picture.";
  $("figure").classList.add("broken");
});
$("who").addEventListener("click", whoIsThere);
$("stop").addEventListener("click", () => talk.writing?.abort());
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question || talk.writing) return;
  $("question").value = "";
  ask(question);
});
$("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("ask").requestSubmit();
});
