// The dashboard: an address after # names the page; everything on it comes from the API.
import { get, hasKey, setKey } from "./lib/api.js";
import { html, render, useEffect, useRef, useState } from "./lib/view.js";
import { Dataset, Datasets, NewDataset } from "./pages/datasets.js";
import { Distance, Distances, NewDistance } from "./pages/distances.js";
import { Job } from "./pages/job.js";
import { Jobs } from "./pages/jobs.js";
import { NewJob } from "./pages/new_job.js";
import { NewSelection, Selection, Selections } from "./pages/selections.js";

const ROUTES = [
  [/^\/$/, Jobs],
  [/^\/new$/, NewJob],
  [/^\/jobs\/([^/]+)$/, Job],
  [/^\/datasets$/, Datasets],
  [/^\/datasets\/new$/, NewDataset],
  [/^\/datasets\/([^/]+)$/, Dataset],
  [/^\/distances$/, Distances],
  [/^\/distances\/new$/, NewDistance],
  [/^\/distances\/([^/]+)$/, Distance],
  [/^\/selections$/, Selections],
  [/^\/selections\/new$/, NewSelection],
  [/^\/selections\/([^/]+)$/, Selection],
];
const PAGES = [["#/", "Jobs"], ["#/datasets", "Datasets"], ["#/distances", "Distances"], ["#/selections", "Selections"]];
const THEME = "ot3l-theme";

const go = (address) => {
  location.hash = address.slice(1);
};

function read(address) {
  const [path, query = ""] = (address.slice(1) || "/").split("?");
  for (const [pattern, Page] of ROUTES) {
    const found = pattern.exec(path);
    if (found) return { path, Page, id: found[1] && decodeURIComponent(found[1]), query: new URLSearchParams(query) };
  }
  return { path, Page: Lost, query: new URLSearchParams() };
}

const Lost = () => html`<h1>There is no such page</h1><p><a href="#/">All jobs</a></p>`;

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem(THEME, name);
  dispatchEvent(new Event("ot3l:theme"));
}

function ThemeSwitch() {
  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const [on, setOn] = useState(dark());
  return html`<button type="button" class="plain" aria-pressed=${on} onClick=${() => (setTheme(on ? "light" : "dark"), setOn(!on))}>
    <span aria-hidden="true">${on ? "☾" : "☀"}</span><span class="hidden">Dark colours</span></button>`;
}

/** Asks for a key when the service does. */
function KeyDialog({ why, onClose }) {
  const dialog = useRef(null);
  const [secret, setSecret] = useState("");
  useEffect(() => dialog.current.showModal(), []);
  const submit = (event) => {
    event.preventDefault();
    setKey(secret.trim());
    onClose();
  };
  return html`<dialog ref=${dialog} onClose=${onClose} aria-labelledby="key-title"><form onSubmit=${submit}>
    <h2 id="key-title">The service asks for a key</h2>
    <p>${why}</p>
    <div class="field"><label for="key">Key</label><input id="key" name="key" type="password" autocomplete="off" required value=${secret} onInput=${(event) => setSecret(event.target.value)} placeholder="ot3l_..." />
      <p class="quiet">Kept in this tab until it is closed.</p></div>
    <p><button class="primary">Use this key</button> <button type="button" onClick=${() => dialog.current.close()}>Not now</button></p>
  </form></dialog>`;
}

function KeyButton({ onAsk }) {
  return html`<button type="button" class="plain" onClick=${() => (hasKey() ? setKey(null) : onAsk("Whoever runs the service, or an owner's administrator, makes keys."))}>${hasKey() ? "Forget the key" : "Key"}</button>`;
}

function useVersion() {
  const [version, setVersion] = useState("");
  useEffect(() => {
    get("/openapi.json").then((document) => setVersion(document.info.version), () => {});
  }, []);
  return version;
}

function Shell() {
  const [address, setAddress] = useState(location.hash);
  const [asking, setAsking] = useState(null);
  const [turn, setTurn] = useState(0);
  const content = useRef(null);
  const version = useVersion();
  useEffect(() => {
    const change = () => {
      setAddress(location.hash);
      // As a browser does on a new page: to its top, and the keyboard with it.
      scrollTo(0, 0);
      content.current?.focus({ preventScroll: true });
    };
    const renew = () => setTurn((before) => before + 1);
    const ask = (event) => setAsking(event.detail);
    addEventListener("hashchange", change);
    addEventListener("ot3l:key", renew);
    addEventListener("ot3l:unauthorized", ask);
    return () => {
      removeEventListener("hashchange", change);
      removeEventListener("ot3l:key", renew);
      removeEventListener("ot3l:unauthorized", ask);
    };
  }, []);
  const { path, Page, id, query } = read(address);
  const section = PAGES.find(([target]) => target.slice(1) !== "/" && path.startsWith(target.slice(1)))?.[0] ?? "#/";
  return html`<a class="skip" href="#content" onClick=${(event) => (event.preventDefault(), content.current.focus())}>Skip to the page</a>
    <header class="top">
      <a class="brand" href="#/"><img src="web/icon.svg" alt="" width="28" height="28" />OT3L</a>
      <nav aria-label="Main">${PAGES.map(([target, title]) => html`<a key=${target} href=${target} aria-current=${section === target ? "page" : undefined}>${title}</a>`)}</nav>
      <span class="tools"><${KeyButton} onAsk=${setAsking} /><${ThemeSwitch} /></span>
    </header>
    <main id="content" ref=${content} tabindex="-1"><${Page} key=${`${path} ${turn}`} id=${id} query=${query} go=${go} /></main>
    <footer class="quiet"><span>OT3L ${version}</span> <a href="docs">API</a></footer>
    ${asking && html`<${KeyDialog} why=${asking} onClose=${() => setAsking(null)} />`}`;
}

const chosen = localStorage.getItem(THEME);
if (chosen) document.documentElement.dataset.theme = chosen;
document.getElementById("page").replaceChildren();
render(html`<${Shell} />`, document.getElementById("page"));
