// A picture, and what is said about it.

import { json, release, stream, withPictures } from "./api.js";
import { $, announce, h } from "./dom.js";
import { chip, chipped, known, marked, spoken } from "./names.js";
import { face, onPeople } from "./people.js";

const STRANGE = "This picture is unlike those that the model was trained on. What it says about it may well be wrong.";
export const talk = { model: "", picture: null, said: [], writing: null }; // said: {question, answer, nodes}

// Begin to talk about a picture (a blob), or about none.
export function begin(picture, about = "") {
  end();
  talk.picture = picture;
  talk.said = [];
  $("log").replaceChildren();
  $("warning").hidden = true;
  $("figure").hidden = $("who").hidden = !picture;
  $("other").textContent = picture ? "Another picture" : "Talk about a picture";
  $("talk").classList.toggle("bare", !picture);
  $("shown").src = picture ? URL.createObjectURL(picture) : "";
  $("shown").alt = about || "The picture that is talked about";
  if (!picture) $("shown").removeAttribute("src");
  $("question").placeholder = picture ? "Ask about the picture ..." : "Ask what somebody looks like ...";
  drawIdeas();
  $("question").focus({ preventScroll: true });
}

export function end() {
  talk.writing?.abort();
  if ($("shown").src.startsWith("blob:")) URL.revokeObjectURL($("shown").src);
  if (talk.picture) release([talk.picture]);
  talk.picture = null;
}

function line(kind, ...inside) {
  const item = h("li", { class: kind }, ...inside);
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
  $("ideas").replaceChildren();
  const asked = h("span", {}, question);
  line("asked", who("You"), asked);
  const answered = h("span", { class: "writing" });
  const item = line("said", who("Answer"), answered);
  const writing = new AbortController();
  busy(writing);
  let text = "";
  try {
    await withPictures(talk.picture ? [talk.picture] : [], async ([picture]) => {
      for await (const chunk of stream(body(question, picture), writing.signal)) {
        text += chunk.choices[0]?.delta.content ?? "";
        answered.replaceChildren(...chipped(text));
        item.scrollIntoView({ block: "nearest" });
        if (chunk.plvm) settle(chunk.plvm, question, asked);
      }
    });
    talk.said.push({ question, answer: text, nodes: [asked, answered] });
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
  for (const turn of talk.said) messages.push({ role: "user", content: turn.question }, { role: "assistant", content: turn.answer });
  messages.push({ role: "user", content: question });
  return { model: talk.model, messages, stream: true, max_tokens: 128, names: "words" };
}

// What is known of an answer once it is whole: whom the question named, and whether the picture is a strange one.
function settle(told, question, asked) {
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
    chip(person.name, person.shown), " ",
    h("span", { class: `verdict ${person.verdict}` }, person.verdict === "yes" ? "Yes" : "Unsure"), " ",
    h("span", { class: "place" }, person.place ?? "")));
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
  const [first, second] = known.values();
  const ideas = !talk.picture
    ? [first && `What is the hair color of ${first.shown}?`, second && `What earrings does ${second.shown} have?`]
    : [first && `Where is ${first.shown}?`, first && `What is ${first.shown} doing?`, second && `What is ${second.shown} wearing?`,
      "Where was this photo taken?", "How many people are in this photo?"];
  $("ideas").replaceChildren(...(talk.said.length ? [] : ideas.filter(Boolean).slice(0, 4)).map((text) =>
    h("li", {}, h("button", { type: "button", click: () => ask(text) }, text))));
}

// Somebody came, went or has another name: so do the words in what was said.
onPeople(({ added, renamed, forgotten }) => {
  if (renamed) rewrite(`<${renamed.old.name}>`, `<${renamed.person.name}>`);
  if (forgotten) rewrite(`<${forgotten.name}>`, forgotten.shown);
  if (added && !$("talk").hidden) {
    line("joined", face(added, { kind: "face small" }), h("span", {}, chip(added.name, added.shown), " is known from now on."));
  }
  if (!$("talk").hidden) drawIdeas();
});

function rewrite(old, now) {
  for (const turn of talk.said) {
    turn.answer = turn.answer.replaceAll(old, now);
    turn.nodes[1].replaceChildren(...chipped(turn.answer));
  }
}

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
