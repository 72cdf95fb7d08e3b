// Thumbnails from one sheet of them: a request for a thousand pictures.
import { file } from "../lib/api.js";
import { number, words } from "../lib/format.js";
import { html, useEffect, useMemo, useState } from "../lib/view.js";
import { More, Trouble } from "./basics.js";

/** A work's sheet of thumbnails: { side, columns, images, url }; null while it loads or where there is none. */
export function useSheet(path, artifacts) {
  const [sheet, setSheet] = useState(null);
  const [problem, setProblem] = useState(null);
  const [list, picture] = ["gallery.json", "gallery.webp"].map((name) => artifacts?.find((artifact) => artifact.name === name));
  useEffect(() => {
    if (!list || !picture) return undefined;
    const controller = new AbortController();
    let url;
    (async () => {
      const [described, blob] = await Promise.all([
        file(`${path}/artifacts/gallery.json`, list.sha256, controller.signal),
        file(`${path}/artifacts/gallery.webp`, picture.sha256, controller.signal),
      ]);
      url = URL.createObjectURL(blob);
      setSheet({ ...JSON.parse(await described.text()), url });
    })().catch((error) => controller.signal.aborted || setProblem(error));
    return () => {
      controller.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [path, picture?.sha256]);
  return [sheet, problem];
}

/** One thumbnail of a sheet. */
export function Thumb({ sheet, index, label }) {
  const [column, row] = [index % sheet.columns, Math.floor(index / sheet.columns)];
  const place = {
    width: `${sheet.side}px`,
    height: `${sheet.side}px`,
    backgroundImage: `url("${sheet.url}")`,
    backgroundPosition: `-${column * sheet.side}px -${row * sheet.side}px`,
  };
  return html`<span class="thumb" role="img" aria-label=${label} title=${label} style=${place}></span>`;
}

const scored = (image) => [image.class, image.reason && words(image.reason), image.score != null && `score ${number(image.score)}`, image.id].filter(Boolean).join(", ");

/** All thumbnails by class. */
export function Gallery({ path, artifacts, first = 6 }) {
  const [sheet, problem] = useSheet(path, artifacts);
  const groups = useMemo(() => {
    const found = new Map();
    sheet?.images.forEach((image, index) => {
      const name = image.class ?? "";
      if (!found.has(name)) found.set(name, []);
      found.get(name).push({ ...image, index });
    });
    return [...found];
  }, [sheet]);
  if (problem) return html`<${Trouble} problem=${problem} />`;
  if (!sheet) return null;
  return html`<${More} items=${groups} first=${first} render=${(shown) => html`<div class="gallery">
    ${shown.map(
      ([name, images]) => html`<section key=${name} aria-label=${name || "Images"}>
        <h3>${name || "Without classes"} <span class="quiet">${images.length}</span></h3>
        <ul class="thumbs">${images.map((image) => html`<li key=${image.index}>
          <${Thumb} sheet=${sheet} index=${image.index} label=${scored(image)} />
          ${image.score != null && html`<span class="quiet" aria-hidden="true">${number(image.score, 2)}</span>`}
        </li>`)}</ul>
      </section>`,
    )}</div>`} />`;
}
