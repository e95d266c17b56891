import { accessSync, constants, statSync } from "node:fs";
import * as path from "node:path";

/** Where programs are looked for: the environment's `PATH`, and on Windows its `PATHEXT`. */
export interface SearchPath {
  readonly directories: readonly string[];
  readonly extensions: readonly string[];
}

export function searchPath(
  environment: NodeJS.ProcessEnv,
  platform: NodeJS.Platform,
): SearchPath {
  const windows = platform === "win32";
  const separator = windows ? ";" : ":";
  const directories = (environment["PATH"] ?? environment["Path"] ?? "").split(separator);
  const extensions = windows ? (environment["PATHEXT"] ?? ".COM;.EXE").split(";") : [""];
  // `.cmd` and `.bat` need a shell, which would read the arguments a second time.
  const startable = extensions.filter((extension) => !/^\.(cmd|bat)$/i.test(extension));
  // A relative entry would mean "whatever lies in the workspace".
  return { directories: directories.filter((entry) => path.isAbsolute(entry)), extensions: startable };
}

/**
 * The absolute path of a program, or undefined when there is none.
 *
 * Looked up here and not by the operating system, because Windows tries the current folder first,
 * and that may be somebody else's clone. A relative path is refused for the same reason.
 */
export function findProgram(name: string, where: SearchPath): string | undefined {
  if (path.isAbsolute(name)) {
    return isProgram(name) ? name : undefined;
  }
  if (name !== path.basename(name)) {
    return undefined;
  }
  for (const directory of where.directories) {
    for (const extension of ["", ...where.extensions]) {
      const candidate = path.join(directory, name + extension);
      if (isProgram(candidate)) {
        return candidate;
      }
    }
  }
  return undefined;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
