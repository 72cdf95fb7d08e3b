// Small parts that every page uses.
import { isActive } from "../lib/state.js";
import { percent, words } from "../lib/format.js";
import { html, useEffect, useRef, useState } from "../lib/view.js";

const MARKS = { queued: "◌", running: "◐", succeeded: "✓", failed: "✕", cancelled: "⊘" };

/** State in words and a mark: colour alone says nothing to some. */
export const State = ({ state }) => html`<span class="state ${state}"><span aria-hidden="true">${MARKS[state]}</span> ${state}</span>`;

export function Progress({ work }) {
  if (!isActive(work)) return null;
  const label = work.phase ? words(work.phase) : "waiting for a worker";
  return html`<span class="progress">
    <progress max="1" value=${work.progress} aria-label=${label}></progress>
    <span class="quiet">${label} ${work.phase ? percent(work.progress, 0) : ""}</span>
  </span>`;
}

export const Failure = ({ error }) =>
  error && html`<p class="notice bad" role="alert"><strong>${error.code}</strong> ${error.message} ${error.field && html`<code>${error.field}</code>`}</p>`;

/** What went wrong with a request of the page itself. */
export const Trouble = ({ problem }) =>
  problem &&
  html`<p class="notice bad" role="alert">
    ${problem.message}
    ${problem.requestId && html` <span class="quiet">request <code>${problem.requestId}</code></span>`}
  </p>`;

export const Loading = () => html`<p class="quiet" role="status">Loading …</p>`;

export const Empty = ({ title, children }) => html`<div class="empty"><h2>${title}</h2>${children}</div>`;

export const Head = ({ title, kicker, children }) => html`<header class="head">
  <div>${kicker && html`<p class="kicker">${kicker}</p>`}<h1>${title}</h1></div>
  <div class="actions">${children}</div>
</header>`;

export const Card = ({ title, note, wide, children }) => html`<section class="card ${wide ? "wide" : ""}" aria-label=${title}>
  ${title && html`<h2>${title}</h2>`}
  ${note && html`<p class="quiet">${note}</p>`}
  ${children}
</section>`;

export const Facts = ({ facts }) => html`<dl class="facts">
  ${facts.filter(([, value]) => value != null && value !== "").map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
</dl>`;

const FEW = 4;

/** Whether a part of the page has more in it than fits: only then should the keyboard have to stop there. */
function useOverflow() {
  const place = useRef(null);
  const [isWider, setWider] = useState(false);
  useEffect(() => {
    const box = place.current;
    const observer = new ResizeObserver(() => setWider(box.scrollWidth > box.clientWidth));
    observer.observe(box);
    observer.observe(box.firstElementChild);
    return () => observer.disconnect();
  }, []);
  return [place, isWider];
}

/** A table; one of many columns becomes a list of cards on a phone. Columns: { name, value(row), numeric }. */
export function Table({ columns, rows, caption, keyOf }) {
  const [place, isWider] = useOverflow();
  return html`<div class="scroll" ref=${place} tabindex=${isWider ? 0 : undefined} role=${isWider ? "region" : undefined} aria-label=${isWider ? caption || "Table" : undefined}><table class=${columns.length > FEW ? "wide" : ""}>
    ${caption && html`<caption>${caption}</caption>`}
    <thead><tr>${columns.map((column) => html`<th key=${column.name} scope="col" class=${column.numeric ? "numeric" : ""}>${column.name}</th>`)}</tr></thead>
    <tbody>${rows.map(
      (row, index) => html`<tr key=${keyOf ? keyOf(row) : index} class=${row.mark || ""}>
        ${columns.map((column) => html`<td key=${column.name} data-label=${column.name} class=${column.numeric ? "numeric" : ""}><div>${column.value(row)}</div></td>`)}
      </tr>`,
    )}</tbody>
  </table></div>`;
}

/** A button whose press takes a while; it tells what went wrong beside it. */
export function Action({ label, run, kind = "", confirm }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const [asking, setAsking] = useState(false);
  const press = async () => {
    if (confirm && !asking) return setAsking(true);
    setAsking(false);
    setBusy(true);
    setProblem(null);
    try {
      await run();
    } catch (error) {
      setProblem(error);
    }
    return setBusy(false);
  };
  return html`<span class="action">
    <button type="button" class=${asking ? "danger" : kind} disabled=${busy} onClick=${press}>${asking ? confirm : label}</button>
    ${asking && html`<button type="button" onClick=${() => setAsking(false)}>Keep it</button>`}
    ${problem && html`<span class="bad" role="alert">${problem.message}</span>`}
  </span>`;
}

/** Rows of a list of which most are hidden at first. */
export function More({ items, first = 12, render }) {
  const [all, setAll] = useState(false);
  return html`${render(all ? items : items.slice(0, first))}
    ${items.length > first && html`<button type="button" class="link" onClick=${() => setAll(!all)} aria-expanded=${all}>
      ${all ? "Show fewer" : `Show all ${items.length}`}</button>`}`;
}

/** The number of pixels that a part of the page is wide, kept up to date. */
export function useWidth() {
  const place = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  return [place, width];
}
