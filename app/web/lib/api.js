// The service's API as the dashboard speaks it: the public one, and nothing beside it.
import { createParser } from "eventsource-parser";

const KEY = "ot3l-key";
const RETRY_MS = 2000;

/** An answer that is no success: an RFC 9457 problem, or what stands for one. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The service answered ${status}.`);
    this.status = status;
    this.code = body.type || "unknown";
    this.fields = body.errors || [];
    this.requestId = body.request_id;
  }
}

// For the life of the tab and no longer: whoever opens the browser next should not find a key in it.
export const hasKey = () => Boolean(sessionStorage.getItem(KEY));
export function setKey(secret) {
  if (secret) sessionStorage.setItem(KEY, secret);
  else sessionStorage.removeItem(KEY);
  dispatchEvent(new Event("ot3l:key"));
}

function withKey(headers = {}) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
}

async function send(method, path, { body, headers, signal } = {}) {
  let reply;
  try {
    reply = await fetch(path, { method, body, headers: withKey(headers), signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { type: "unreachable", detail: "The service does not answer. Is it still running?" });
  }
  if (reply.ok) return reply;
  const isProblem = (reply.headers.get("content-type") || "").includes("json");
  const problem = new Problem(reply.status, isProblem ? await reply.json() : { detail: await reply.text() });
  if (reply.status === 401) dispatchEvent(new CustomEvent("ot3l:unauthorized", { detail: problem.message }));
  throw problem;
}

export async function get(path, signal) {
  return (await send("GET", path, { signal })).json();
}

export async function text(path, signal) {
  return (await send("GET", path, { signal })).text();
}

// crypto.randomUUID is there on https and loopback only; the numbers are there always.
const unique = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export async function post(path, body, signal) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": unique() };
  const reply = await send("POST", path, { body: body && JSON.stringify(body), headers, signal });
  return reply.status === 204 ? null : reply.json();
}

export async function remove(path) {
  await send("DELETE", path);
}

/** Send one part of an upload; the service compares it with what it says of itself. */
export async function putPart(path, blob, signal) {
  return (await send("PUT", path, { body: blob, headers: { "Content-Type": "application/octet-stream" }, signal })).json();
}

/** A file of a piece of work as a Blob. If-Match keeps it with the service, where it would be elsewhere otherwise. */
export async function file(path, sha256, signal) {
  return (await send("GET", path, { headers: { "If-Match": `"${sha256}"` }, signal })).blob();
}

/** Give a file to the user: by address where that is enough, as a Blob where it takes a key. */
export async function download(path, name, sha256) {
  const link = document.createElement("a");
  link.download = name;
  link.href = hasKey() ? URL.createObjectURL(await file(path, sha256)) : path;
  link.click();
  if (hasKey()) setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Every event of a piece of work from the first one, until it has ended; connections that break are taken up again. */
export async function follow(path, onEvent, signal) {
  let last = 0;
  while (!signal.aborted) {
    try {
      const reply = await send("GET", path, { headers: { "Last-Event-ID": String(last) }, signal });
      if (reply.status === 204) return;
      const parser = createParser({
        onEvent: (event) => {
          last = Number(event.id);
          onEvent(JSON.parse(event.data));
        },
      });
      const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) parser.feed(part.value);
    } catch (error) {
      // What is gone, or not ours, does not come back.
      if (signal.aborted || (error instanceof Problem && error.status >= 400 && error.status < 429)) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
