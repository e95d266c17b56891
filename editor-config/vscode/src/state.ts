/** How it stands with a sidecar. */
export type State =
  | { readonly kind: "stopped" }
  | { readonly kind: "starting" }
  | { readonly kind: "running" }
  | { readonly kind: "failed"; readonly reason: string };

const BY_WEIGHT = ["failed", "starting", "running", "stopped"] as const;

/** What a person is told of all sidecars of a window at once: the worst, each reason once. */
export function combined(states: readonly State[]): State {
  const kind = BY_WEIGHT.find((one) => states.some((state) => state.kind === one)) ?? "stopped";
  if (kind !== "failed") {
    return { kind };
  }
  const reasons = states.flatMap((state) => (state.kind === "failed" ? [state.reason] : []));
  return { kind, reason: [...new Set(reasons)].join("\n") };
}
