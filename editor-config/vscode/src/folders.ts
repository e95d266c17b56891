/** Stands for a window without a folder, where the sidecar follows whatever file is opened. */
export const NO_FOLDER = "";

/** The addresses of the folders that are to have a sidecar of their own. */
export function wanted(folders: readonly string[]): readonly string[] {
  return folders.length > 0 ? folders : [NO_FOLDER];
}

/** What has to be done when other folders are open than those that have a session. */
export interface Change {
  readonly ended: readonly string[];
  readonly begun: readonly string[];
  /** Folders around one that came or went: files in it are theirs no more, or theirs again. */
  readonly resized: readonly string[];
}

export function change(had: readonly string[], has: readonly string[]): Change {
  const ended = had.filter((folder) => !has.includes(folder));
  const begun = has.filter((folder) => !had.includes(folder));
  const moved = [...ended, ...begun];
  const kept = had.filter((folder) => has.includes(folder));
  return { ended, begun, resized: kept.filter((folder) => moved.some((one) => holds(folder, one))) };
}

function holds(outer: string, inner: string): boolean {
  return outer !== inner && inner.startsWith(outer.endsWith("/") ? outer : `${outer}/`);
}
