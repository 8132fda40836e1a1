// bytecode.py in the Python that will run what it makes: node bytecode.mjs PYODIDE
import { readFileSync } from "node:fs";
import { pythonOf } from "./node.mjs";

const runtime = process.argv[2];
const env = {
  PYTHONHASHSEED: "0", // the same bytes each time
  PYTHONNODEBUGRANGES: "1", // a fifth smaller; nobody asks in which column of NumPy's line something went wrong
};
const python = await pythonOf(runtime, { wheels: runtime, env, mounted: [runtime, "/archives"] });
await python.runPythonAsync(readFileSync(new URL("bytecode.py", import.meta.url), "utf-8"));
