// The public API of this server, as any other program uses it. A key is kept in this tab alone.

import { $, complain } from "./dom.js";

const KEPT = "plvm-key";
const PATIENCE = 3; // times that a busy server is asked again

export class Failed extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// A response that is fine. Asks for a key where one is needed, and again where the server is busy; throws Failed with the
// server's own sentence.
export async function call(path, given = {}) {
  for (let busy = 0; ;) {
    const key = sessionStorage.getItem(KEPT);
    const headers = { ...given.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    let response;
    try {
      response = await fetch(path, { ...given, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Failed(0, "away", "The server does not answer. Is it still running?");
    }
    if (response.ok) return response;
    const told = await response.json().catch(() => ({}));
    const failed = new Failed(response.status, told.error?.code, told.error?.message ?? `The server says ${response.status}.`);
    if (response.status === 401) {
      await askForKey(key ? failed : null);
    } else if (response.status === 429 && busy++ < PATIENCE) {
      await new Promise((later) => setTimeout(later, 1000 * Math.min(Number(response.headers.get("Retry-After")) || 1, 60)));
    } else {
      throw failed;
    }
  }
}

export async function json(path, body, method = body ? "POST" : "GET", signal = undefined) {
  const given = { method, signal };
  if (body) Object.assign(given, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  return (await call(path, given)).json();
}

// Files that were uploaded already: blob -> id.
const uploaded = new WeakMap();

// The id of a picture, uploaded once.
export async function upload(blob) {
  if (!uploaded.has(blob)) {
    const body = new FormData();
    body.append("file", blob, blob.name ?? "picture");
    uploaded.set(blob, (await (await call("/v1/files", { method: "POST", body })).json()).id);
  }
  return uploaded.get(blob);
}

// What `use` makes of the ids of pictures; the server holds them for a while only, so they may have to be uploaded again.
export async function withPictures(blobs, use) {
  const ids = async () => Promise.all(blobs.map(upload));
  try {
    return await use(await ids());
  } catch (error) {
    if (error.code !== "file_not_found") throw error;
    blobs.forEach((blob) => uploaded.delete(blob));
    return use(await ids());
  }
}

// Let the server forget uploads that are no longer needed; it would by itself, later.
export function release(blobs) {
  for (const blob of blobs) {
    const id = uploaded.get(blob);
    uploaded.delete(blob);
    if (id) call(`/v1/files/${id}`, { method: "DELETE" }).catch(() => {});
  }
}

// The chunks of a streamed answer.
export async function* stream(body, signal) {
  const headers = { "Content-Type": "application/json" };
  const response = await call("/v1/chat/completions", { method: "POST", headers, body: JSON.stringify(body), signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let kept = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Failed(0, "away", "The answer broke off. Ask again.");
    const events = (kept + value).split("\n\n");
    kept = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Failed(0, chunk.error.code, chunk.error.message);
      yield chunk;
    }
  }
}

let asking = null;

function askForKey(failed) {
  asking ??= new Promise((found) => {
    complain("key-error", failed);
    $("key-text").value = "";
    $("key").showModal();
    $("key-form").onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEPT, $("key-text").value.trim());
      $("key-text").value = "";
      $("key").close();
      asking = null;
      found();
    };
  });
  return asking;
}

$("key").addEventListener("cancel", (event) => event.preventDefault()); // without a key there is nothing to see
