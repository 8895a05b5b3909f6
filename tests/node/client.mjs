// What the OpenAI client for Node gets from a server, as JSON: run by tests/test_server_node.py.
import fs from "node:fs";
import OpenAI from "openai";

const [address, key, picture] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: key, maxRetries: 0 });
const uri = `data:image/png;base64,${fs.readFileSync(picture).toString("base64")}`;

function body(url, more = {}) {
  const content = [{ type: "image_url", image_url: { url } }, { type: "text", text: "Where is billie?" }];
  return { model: "mini", messages: [{ role: "user", content }], max_tokens: 12, ...more };
}

async function failed(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return { kind: error.constructor.name, status: error.status ?? null, code: error.code ?? null, message: error.message };
  }
}

const told = {};
const plain = await client.chat.completions.create(body(uri));
told.plain = plain.choices[0].message.content;

told.streamed = "";
for await (const chunk of await client.chat.completions.create(body(uri, { stream: true }))) {
  told.streamed += chunk.choices[0]?.delta?.content ?? "";
}

const file = await client.files.create({ file: fs.createReadStream(picture), purpose: "vision" });
told.uploaded = (await client.chat.completions.create(body(file.id))).choices[0].message.content;
await client.files.delete(file.id);
told.deleted = await failed(client.chat.completions.create(body(file.id)));

told.wrongKey = await failed(new OpenAI({ baseURL: `${address}/v1`, apiKey: "plvm-no", maxRetries: 0 }).models.list());
told.wrongModel = await failed(client.chat.completions.create({ ...body(uri), model: "gpt-9" }));

const stream = await client.chat.completions.create(body(uri, { stream: true, max_tokens: 400 }));
for await (const chunk of stream) {
  if (chunk.choices[0]?.delta?.content) break; // leaving the loop aborts the request
}
told.late = await failed(client.chat.completions.create(body(uri, { max_tokens: 400 }), { timeout: 300 }));

const many = Array.from({ length: 8 }, () => failed(client.chat.completions.create(body(uri))));
told.busy = (await Promise.all(many)).filter(Boolean);
const patient = new OpenAI({ baseURL: `${address}/v1`, apiKey: key, maxRetries: 12 });
const again = Array.from({ length: 8 }, () => patient.chat.completions.create(body(uri)));
told.patient = (await Promise.all(again)).map((answer) => answer.choices[0].message.content);
console.log(JSON.stringify(told));
