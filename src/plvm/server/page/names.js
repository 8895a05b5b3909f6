// Names as coloured chips. Whoever is known keeps a colour for as long as the page is open, also under another name.

import { h } from "./dom.js";

const HUES = 8;
const hues = new Map(); // word -> number of the colour
export const known = new Map(); // word -> concept, as the API lists it

export function hueOf(word) {
  if (!hues.has(word)) {
    const used = [...hues.values()];
    const counts = Array.from({ length: HUES }, (_, hue) => used.filter((one) => one === hue).length);
    hues.set(word, counts.indexOf(Math.min(...counts)));
  }
  return hues.get(word);
}

export function renameHue(old, word) {
  if (old === word) return;
  hues.set(word, hueOf(old));
  hues.delete(old);
}

export const dropHue = (word) => hues.delete(word);

export const chip = (word, shown) => h("span", { class: "chip", "data-hue": hueOf(word), "data-word": word }, shown);

// A text as nodes: every <word> of somebody who is known is a chip with what they are called.
export function chipped(text) {
  return text.split(/(<[^<>\s]+>)/).map((piece) => {
    const person = piece.startsWith("<") ? known.get(piece.slice(1, -1)) : undefined;
    return person ? chip(person.name, person.shown) : piece;
  });
}

// A text for those who listen.
export const spoken = (text) => text.replace(/<([^<>\s]+)>/g, (all, word) => known.get(word)?.shown ?? all);

// A question in which those of `words` who are called as they are written become <word>s.
export function marked(text, words) {
  const people = words.map((word) => known.get(word)).filter(Boolean);
  for (const { name, shown } of people.sort((a, b) => b.shown.length - a.shown.length)) {
    const plain = shown.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    text = text.replace(new RegExp(`(?<![\\p{L}\\p{N}<-])${plain}(?![\\p{L}\\p{N}>-])`, "giu"), `<${name}>`);
  }
  return text;
}
