// A folder, an archive or a file of the user's, sent in parts; a folder is packed on the way without being compressed.
import { post, putPart } from "../lib/api.js";
import { bytes } from "../lib/format.js";
import { html, useRef, useState } from "../lib/view.js";
import { Zip, ZipPassThrough } from "fflate";

const PICTURES = /\.(jpe?g|png|webp|bmp|gif|tiff?|ppm)$/i;
const FORMATS = [[/\.parquet$/i, "parquet"], [/\.npz$/i, "npz"], [/\.(zip|tar|tgz|tbz2|txz|gz|bz2|xz)$/i, "image_folder"]];
const ATTEMPTS = 3;

/** The format that a file's name tells. */
export const formatOf = (name) => FORMATS.find(([pattern]) => pattern.test(name))?.[1] ?? "image_folder";

/** A name that the service takes, from that of a folder or file. */
export const nameFrom = (name) => name.replace(/(\.tar)?\.\w+$/, "").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "") || "images";

/** The files of a folder as one Blob; pictures are compressed already. */
async function pack(files, onProgress) {
  const parts = [];
  const archive = new Zip((error, part) => {
    if (error) throw error;
    parts.push(new Blob([part]));
  });
  for (const [index, file] of files.entries()) {
    const entry = new ZipPassThrough(file.webkitRelativePath);
    archive.add(entry);
    entry.push(new Uint8Array(await file.arrayBuffer()), true);
    onProgress((index + 1) / files.length);
  }
  archive.end();
  return new Blob(parts, { type: "application/zip" });
}

async function sendPart(id, number, blob) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await putPart(`/uploads/${id}/parts/${number}`, blob);
    } catch (error) {
      if (attempt === ATTEMPTS || (error.status >= 400 && error.status < 500)) throw error;
    }
  }
}

/** Send a Blob; returns the upload's id. */
export async function upload(blob, filename, onProgress) {
  const begun = await post("/uploads", { filename, size: blob.size });
  for (let number = 1; number <= begun.n_parts; number++) {
    const start = (number - 1) * begun.part_size;
    await sendPart(begun.id, number, blob.slice(start, start + begun.part_size));
    onProgress(number / begun.n_parts);
  }
  await post(`/uploads/${begun.id}/complete`);
  return begun.id;
}

/** Lets the user pick a folder or a file; tells `onPicked` of { blob(), filename, name, format, told }. */
export function Picker({ onPicked }) {
  const [over, setOver] = useState(false);
  const [told, setTold] = useState("");
  const [folder, archive] = [useRef(null), useRef(null)];
  const takeFile = (file) => {
    if (!file) return;
    setTold(`${file.name}, ${bytes(file.size)}`);
    onPicked({ blob: async () => file, filename: file.name, name: nameFrom(file.name), format: formatOf(file.name) });
  };
  const takeFolder = (list) => {
    const files = [...list].filter((file) => PICTURES.test(file.name) && !file.webkitRelativePath.split("/").some((part) => part.startsWith(".")));
    if (!files.length) return setTold("There is no picture in this folder.");
    const name = nameFrom(`${files[0].webkitRelativePath.split("/")[0]}.x`);
    const size = files.reduce((sum, file) => sum + file.size, 0);
    const classes = new Set(files.map((file) => file.webkitRelativePath.split("/").at(-2)));
    setTold(`${name}: ${files.length} pictures in ${classes.size} folders, ${bytes(size)}`);
    return onPicked({ blob: (onProgress) => pack(files, onProgress), filename: `${name}.zip`, name, format: "image_folder" });
  };
  return html`<div class=${`drop ${over ? "over" : ""}`}
    onDragOver=${(event) => (event.preventDefault(), setOver(true))} onDragLeave=${() => setOver(false)}
    onDrop=${(event) => (event.preventDefault(), setOver(false), takeFile(event.dataTransfer.files[0]))}>
    <p><button type="button" onClick=${() => folder.current.click()}>Choose a folder</button>
      <button type="button" onClick=${() => archive.current.click()}>Choose an archive</button></p>
    <p class="quiet">A folder with one folder of pictures for each class, or a zip, tar, parquet or npz of them: an archive may be dropped here.</p>
    <p role="status"><strong>${told}</strong></p>
    <input ref=${folder} type="file" webkitdirectory multiple hidden aria-label="Folder of pictures" onChange=${(event) => takeFolder(event.target.files)} />
    <input ref=${archive} type="file" hidden aria-label="Archive of pictures" onChange=${(event) => takeFile(event.target.files[0])} />
  </div>`;
}
