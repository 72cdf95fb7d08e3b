// What components hold: answers of the service, kept up to date while somebody looks.
import { get } from "./api.js";
import { useCallback, useEffect, useRef, useState } from "./view.js";

export const ACTIVE = new Set(["queued", "running"]);
export const isActive = (work) => ACTIVE.has(work.state);

/**
 * The JSON at an address, asked for again every `every(data)` milliseconds (0: never) while the tab is looked at.
 * What was there stays on the page while an answer fails.
 */
export function useAnswer(path, every = () => 0) {
  const [answer, setAnswer] = useState({ data: null, error: null, path: null });
  const [turn, setTurn] = useState(0);
  const period = useRef(every);
  period.current = every;
  useEffect(() => {
    if (!path) return undefined;
    const controller = new AbortController();
    let timer;
    const again = (data) => {
      const wait = period.current(data);
      if (wait) timer = setTimeout(ask, wait);
    };
    async function ask() {
      if (document.hidden) return again(null);
      try {
        const data = await get(path, controller.signal);
        setAnswer({ data, error: null, path });
        return again(data);
      } catch (error) {
        if (controller.signal.aborted) return undefined;
        setAnswer((before) => ({ data: before.path === path ? before.data : null, error, path }));
        return again(null);
      }
    }
    ask();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [path, turn]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  return answer.path === path ? { ...answer, reload } : { data: null, error: null, reload };
}

/** A value that follows another one once it has rested. */
export function useRested(value, milliseconds) {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), milliseconds);
    return () => clearTimeout(timer);
  }, [JSON.stringify(value)]);
  return rested;
}

export function useTitle(title) {
  useEffect(() => {
    document.title = `${title} · OT3L`;
  }, [title]);
}

const theme = matchMedia("(prefers-color-scheme: dark)");

/** Counts up whenever the colours change, for what is painted by hand. */
export function useColours() {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const change = () => setTurn((before) => before + 1);
    theme.addEventListener("change", change);
    addEventListener("ot3l:theme", change);
    return () => {
      theme.removeEventListener("change", change);
      removeEventListener("ot3l:theme", change);
    };
  }, []);
  return turn;
}

const probe = document.createElement("i");
document.head.append(probe);

/** A colour of the style sheet by its name, as a canvas takes it. */
export function colour(name, opacity = 1) {
  probe.style.color = `var(--${name})`;
  const [red, green, blue] = getComputedStyle(probe).color.match(/\d+/g);
  return `rgb(${red} ${green} ${blue} / ${opacity})`;
}
