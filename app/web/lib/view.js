// Preact with htm in place of JSX: components without a build step, and without eval, which the page's policy forbids.
import { Fragment, h, render } from "preact";
import htm from "htm";

export const html = htm.bind(h);
export { Fragment, render };
export { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
