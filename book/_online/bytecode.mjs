// The bytecode of what a session loads (session.py), by the Python that will run it: node bytecode.mjs PYODIDE FOLDER
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [runtime, folder] = process.argv.slice(2).map((name) => path.resolve(name));
const { loadPyodide } = await import(pathToFileURL(path.join(runtime, "pyodide.mjs")));
const python = await loadPyodide({
  indexURL: runtime + path.sep,
  env: {
    HOME: "/home/pyodide",
    MPLBACKEND: "agg",
    PYTHONHASHSEED: "0", // the same bytes each time
    PYTHONNODEBUGRANGES: "1", // a fifth smaller; nobody asks in which column of NumPy's line something went wrong
  },
});
const wheels = readdirSync(runtime).filter((name) => name.endsWith(".whl"));
await python.loadPackage(wheels.map((name) => path.join(runtime, name)), { messageCallback() {} });
python.FS.mkdirTree("/bytecode");
python.mountNodeFS("/bytecode", folder);
await python.runPythonAsync(readFileSync(new URL("session.py", import.meta.url), "utf-8"));
