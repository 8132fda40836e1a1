// Python for the cells of one page (run.js), in a thread of its own: a loop without end leaves the page alone.
//
// In: the code of a cell.  Out, as JSON (page_kernel.py): {kind: "ready"} once; then for each
// cell any number of {kind: "stream", name, text} and {kind: "display", html, text}, perhaps an {kind: "error", text},
// and at last {kind: "done", failed}.  {kind: "broken", text} at any time: no more will come.

import { loadPyodide } from "./pyodide.mjs";

const say = (message) => postMessage(JSON.stringify(message));

async function start() {
  const [python, source] = await Promise.all([
    loadPyodide({
      packages: ["markdown-it-py", "minigrad-course", "pyodide-kernel"],
      env: { HOME: "/home/pyodide", MINIGRAD_STATIC: "1" }, // flipbooks as on the page, not with widgets
    }),
    fetch(new URL("page_kernel.py", import.meta.url)).then((answer) => answer.text()),
  ]);
  const globals = python.toPy({ __name__: "page_kernel" }); // the cells have a namespace of their own
  python.runPython(source, { globals });
  return globals.get("runner")((text) => postMessage(text));
}

const started = start();
started.then(
  () => say({ kind: "ready" }),
  (error) => say({ kind: "broken", text: String(error) }),
);
onmessage = async ({ data }) => {
  const run = await started;
  await run(data).catch((error) => say({ kind: "broken", text: String(error) })); // the interpreter itself
};
