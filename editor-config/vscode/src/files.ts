import type { DocumentFilter } from "vscode-languageclient/node";

/** Files that only an agent's workspace has. */
const AGENT_FILES = [
  ".roomodes",
  ".zoomodes",
  ".kilocodemodes",
  ".bobmodes",
  "custom_modes.yaml",
  ".roo/schedules.json",
  ".zoo/schedules.json",
  "task_timing.tsv",
  "persistent-memory.md",
] as const;

/** All files the sidecar reads, wherever they lie; other tools keep a `TODO.md` too. */
const PATTERNS = [...AGENT_FILES, "TODO.md"].map((name) => `**/${name}`);

/** At the root of a folder, what is said of the sidecar in these is checked too. */
const SETTINGS = ["sidecar.toml", "pyproject.toml"];

/**
 * The files of which a sidecar is told: those of one folder, by its address, else any on the disk.
 *
 * By pattern, not by language: a language of our own would take the files from YAML users. Python
 * files are for those who want lenses above tests.
 */
export function documents(testLenses: boolean, folder?: string): DocumentFilter[] {
  const within = (pattern: string) => (folder === undefined ? pattern : { baseUri: folder, pattern });
  const settings = folder === undefined ? [] : SETTINGS;
  const ours = [...PATTERNS, ...settings].map((pattern) => ({ scheme: "file", pattern: within(pattern) }));
  const python = { scheme: "file", language: "python", pattern: within("**/*") };
  return testLenses ? [...ours, python] : ours;
}

/** One of these at the root of a folder makes it an agent's workspace. */
export const WORKSPACE_MARKS = `{${[...AGENT_FILES, ".bob/custom_modes.yaml"].join(",")}}`;
