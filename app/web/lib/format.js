// Numbers as people read them.

export const percent = (share, digits = 1) => (share == null ? "–" : `${(100 * share).toFixed(digits)}%`);
export const count = (number) => (number == null ? "–" : number.toLocaleString("en"));
export const short = (id) => id.slice(-8);

/** A figure over seeds: mean and the half-width of its 95% interval. */
export const spread = (figure, digits = 1) =>
  figure == null
    ? "–"
    : `${(100 * figure.mean).toFixed(digits)}${figure.interval == null ? "" : ` ± ${(100 * figure.interval).toFixed(digits)}`}`;

export function number(value, digits = 3) {
  if (value == null) return "–";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : value.toFixed(digits);
}

export function duration(seconds) {
  if (seconds == null) return "–";
  if (seconds < 1) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function bytes(size) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; size >= 1000 && unit < units.length - 1; unit++) size /= 1000;
  return `${unit && size < 100 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

export function ago(moment, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(moment)) / 1000);
  const steps = [[60, "s", 1], [3600, "min", 60], [86400, "h", 3600], [Infinity, "d", 86400]];
  const [, unit, size] = steps.find(([limit]) => seconds < limit);
  return seconds < 5 ? "just now" : `${Math.floor(seconds / size)} ${unit} ago`;
}

export const words = (name) => name.replace(/_/g, " ");

/** How long a piece of work ran, or has been running. */
export function runTime(work) {
  if (!work.started_at) return null;
  return (new Date(work.finished_at || Date.now()) - new Date(work.started_at)) / 1000;
}
