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

/** By pattern, not by language: a language of our own would take the files from YAML users. */
export const DOCUMENTS: DocumentFilter[] = PATTERNS.map((pattern) => ({ scheme: "file", pattern }));

/** The files of which the sidecar is told; Python files for those who want lenses above tests. */
export function documents(testLenses: boolean): DocumentFilter[] {
  return testLenses ? [...DOCUMENTS, { scheme: "file", language: "python" }] : DOCUMENTS;
}

/** One of these at the root of a folder makes it an agent's workspace. */
export const WORKSPACE_MARKS = `{${[...AGENT_FILES, ".bob/custom_modes.yaml"].join(",")}}`;
