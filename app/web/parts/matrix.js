// A table of numbers as colours. One pixel a cell, scaled when it is painted: 1000 x 100 cells cost one image.
import { number } from "../lib/format.js";
import { colour, useColours } from "../lib/state.js";
import { html, useEffect, useMemo, useRef, useState } from "../lib/view.js";
import { useWidth } from "./basics.js";

const RAMP = [[238, 245, 251], [166, 206, 227], [74, 150, 196], [22, 92, 140], [6, 36, 62]];
const MOST_ZOOM = 64;
const LABEL_ROOM = 9;

/** Colour of a share in [0, 1]: light to dark, so that it also reads in grey. */
function tint(share) {
  const place = Math.min(1, Math.max(0, share)) * (RAMP.length - 1);
  const low = Math.min(RAMP.length - 2, Math.floor(place));
  return RAMP[low].map((from, channel) => Math.round(from + (place - low) * (RAMP[low + 1][channel] - from)));
}

function paintCells(values, low, high) {
  const cells = new OffscreenCanvas(values[0].length, values.length);
  const context = cells.getContext("2d");
  const image = context.createImageData(cells.width, cells.height);
  let at = 0;
  for (const row of values) {
    for (const value of row) {
      image.data.set([...tint(high > low ? (value - low) / (high - low) : 0), 255], at);
      at += 4;
    }
  }
  context.putImageData(image, 0, 0);
  return cells;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Where the view lies: the cell at its corner and how many cells it shows each way. */
function viewOf(zoom, centre, rows, columns) {
  const width = columns / Math.min(zoom, columns);
  const height = rows / Math.min(zoom, rows);
  return {
    width,
    height,
    left: clamp(centre.column - width / 2, 0, columns - width),
    top: clamp(centre.row - height / 2, 0, rows - height),
  };
}

function clip(context, label, room) {
  if (context.measureText(label).width <= room) return label;
  let end = label.length;
  while (end > 1 && context.measureText(`${label.slice(0, end)}…`).width > room) end--;
  return `${label.slice(0, end)}…`;
}

function paint(canvas, cells, view, { rows, columns, values, size, cursor, show, margin, range }) {
  const ratio = devicePixelRatio || 1;
  canvas.width = size.width * ratio;
  canvas.height = size.height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.clearRect(0, 0, size.width, size.height);
  const area = { left: margin.left, top: margin.top, width: size.width - margin.left, height: size.height - margin.top };
  context.imageSmoothingEnabled = view.width > area.width;
  context.drawImage(cells, view.left, view.top, view.width, view.height, area.left, area.top, area.width, area.height);
  const cell = { width: area.width / view.width, height: area.height / view.height };
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = colour("text");
  context.textBaseline = "middle";
  if (cell.height >= LABEL_ROOM && margin.left) {
    context.textAlign = "right";
    for (let row = Math.floor(view.top); row < Math.min(rows.length, view.top + view.height); row++) {
      const y = area.top + (row + 0.5 - view.top) * cell.height;
      if (y > area.top) context.fillText(clip(context, rows[row], margin.left - 8), margin.left - 6, y);
    }
  }
  if (cell.width >= LABEL_ROOM && margin.top) {
    context.textAlign = "left";
    for (let column = Math.floor(view.left); column < Math.min(columns.length, view.left + view.width); column++) {
      const x = area.left + (column + 0.5 - view.left) * cell.width;
      if (x < area.left) continue;
      context.save();
      context.translate(x, margin.top - 6);
      context.rotate(-Math.PI / 2);
      context.fillText(clip(context, columns[column], margin.top - 8), 0, 0);
      context.restore();
    }
  }
  if (cell.width >= 30 && cell.height >= 16) {
    context.textAlign = "center";
    for (let row = Math.ceil(view.top); row < Math.min(rows.length, view.top + view.height); row++) {
      for (let column = Math.ceil(view.left); column < Math.min(columns.length, view.left + view.width); column++) {
        const share = range.high > range.low ? (values[row][column] - range.low) / (range.high - range.low) : 0;
        context.fillStyle = share > 0.45 ? "#fff" : "#0b2233";
        context.fillText(show(values[row][column]), area.left + (column + 0.5 - view.left) * cell.width, area.top + (row + 0.5 - view.top) * cell.height);
      }
    }
  }
  if (cursor) {
    context.strokeStyle = colour("accent-2");
    context.lineWidth = 2;
    context.strokeRect(area.left + (cursor.column - view.left) * cell.width, area.top + (cursor.row - view.top) * cell.height, Math.max(2, cell.width), Math.max(2, cell.height));
  }
}

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/**
 * Rows and columns of names, and a number for each pair. Drag to move, wheel or buttons to zoom, arrow keys to walk.
 */
export function Matrix({ title, rows, columns, values, rowName, columnName, show = (value) => number(value, 2) }) {
  const [place, width] = useWidth();
  const canvas = useRef(null);
  const drag = useRef(null);
  useColours();
  const [zoom, setZoom] = useState(1);
  const [centre, setCentre] = useState({ row: rows.length / 2, column: columns.length / 2 });
  const [cursor, setCursor] = useState(null);
  const range = useMemo(() => {
    let [low, high] = [Infinity, -Infinity];
    for (const row of values) for (const value of row) [low, high] = [Math.min(low, value), Math.max(high, value)];
    return { low, high };
  }, [values]);
  const cells = useMemo(() => paintCells(values, range.low, range.high), [values]);
  const view = viewOf(zoom, centre, rows.length, columns.length);
  const longest = (names) => Math.min(110, 16 + 7 * Math.max(...names.slice(0, 400).map((name) => name.length)));
  const margin = { left: width < 480 ? Math.min(64, longest(rows)) : longest(rows), top: longest(columns) };
  const wanted = rows.length * clamp((width - margin.left) / columns.length, 3, 44);
  const size = { width, height: margin.top + clamp(wanted, 120, 560) };
  useEffect(() => {
    if (width) paint(canvas.current, cells, view, { rows, columns, values, size, cursor, show, margin, range });
  });
  useEffect(() => {
    // Wheels scroll the page unless a modifier says that zooming is meant: passive listeners could not stop that.
    const wheel = (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      setZoom((before) => clamp(before * (event.deltaY < 0 ? 1.25 : 0.8), 1, MOST_ZOOM));
    };
    const target = canvas.current;
    target.addEventListener("wheel", wheel, { passive: false });
    return () => target.removeEventListener("wheel", wheel);
  }, []);

  const cellAt = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const column = Math.floor(view.left + ((event.clientX - box.left - margin.left) / (size.width - margin.left)) * view.width);
    const row = Math.floor(view.top + ((event.clientY - box.top - margin.top) / (size.height - margin.top)) * view.height);
    const inside = event.clientX - box.left >= margin.left && event.clientY - box.top >= margin.top;
    return inside && rows[row] != null && columns[column] != null ? { row, column } : null;
  };
  const move = (event) => {
    if (!drag.current) return setCursor(cellAt(event));
    const step = { column: ((drag.current.x - event.clientX) / (size.width - margin.left)) * view.width, row: ((drag.current.y - event.clientY) / (size.height - margin.top)) * view.height };
    return setCentre({ row: drag.current.row + step.row, column: drag.current.column + step.column });
  };
  const walk = (event) => {
    if (event.key === "+" || event.key === "-") return setZoom(clamp(event.key === "+" ? zoom * 2 : zoom / 2, 1, MOST_ZOOM));
    const step = MOVES[event.key];
    if (!step) return undefined;
    event.preventDefault();
    const at = cursor || { row: Math.floor(centre.row), column: Math.floor(centre.column) };
    const next = { row: clamp(at.row + step[0], 0, rows.length - 1), column: clamp(at.column + step[1], 0, columns.length - 1) };
    setCursor(next);
    return zoom > 1 && setCentre({ row: next.row, column: next.column });
  };
  const told = cursor ? `${rowName} ${rows[cursor.row]}, ${columnName} ${columns[cursor.column]}: ${show(values[cursor.row][cursor.column])}` : "";
  return html`<figure class="matrix">
    <figcaption>${title}</figcaption>
    <div class="tools">
      <span class="scale"><span>${show(range.low)}</span><span class="ramp" aria-hidden="true"></span><span>${show(range.high)}</span></span>
      <span class="zoom">
        <button type="button" onClick=${() => setZoom(clamp(zoom / 2, 1, MOST_ZOOM))} disabled=${zoom <= 1} aria-label="Zoom out">−</button>
        <button type="button" onClick=${() => setZoom(clamp(zoom * 2, 1, MOST_ZOOM))} aria-label="Zoom in">+</button>
        <button type="button" onClick=${() => setZoom(1)} disabled=${zoom === 1}>Whole</button>
      </span>
    </div>
    <p class="axes quiet"><span>Rows: ${rowName} (${rows.length})</span> <span>Columns: ${columnName} (${columns.length})</span></p>
    <div ref=${place}>
      <canvas ref=${canvas} class=${zoom > 1 ? "movable" : ""} style=${{ width: "100%", height: `${size.height}px` }}
        tabindex="0" role="application" aria-label=${`${title}. Arrow keys walk over the cells, plus and minus zoom.`}
        onPointerMove=${move} onPointerLeave=${() => setCursor(null)} onKeyDown=${walk}
        onPointerDown=${(event) => {
          if (zoom > 1) drag.current = { x: event.clientX, y: event.clientY, ...centre };
        }}
        onPointerUp=${() => {
          drag.current = null;
        }}></canvas>
    </div>
    <p class="told" role="status">${told || "Point at a cell, or walk with the arrow keys."}</p>
  </figure>`;
}
