// The site's Python without a browser, with the wheels of a folder installed and a folder of this machine in it.
import { readdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

export async function pythonOf(runtime, { packages = [], wheels, env, mounted: [folder, name] }) {
  const { loadPyodide } = await import(pathToFileURL(path.resolve(runtime, "pyodide.mjs")));
  const python = await loadPyodide({
    indexURL: path.resolve(runtime) + path.sep,
    env: { HOME: "/home/pyodide", MPLBACKEND: "agg", ...env },
    packages,
  });
  const files = readdirSync(wheels).filter((file) => file.endsWith(".whl"));
  await python.loadPackage(files.map((file) => path.resolve(wheels, file)), { messageCallback() {} });
  python.FS.mkdirTree(name);
  python.mountNodeFS(name, path.resolve(folder));
  return python;
}
