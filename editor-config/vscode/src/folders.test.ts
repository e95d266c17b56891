import assert from "node:assert/strict";
import { test } from "node:test";

import { documents } from "./files.ts";
import { change, NO_FOLDER, wanted } from "./folders.ts";
import { combined } from "./state.ts";

test("a window without a folder has one session, others have one for each folder", () => {
  assert.deepEqual(wanted([]), [NO_FOLDER]);
  assert.deepEqual(wanted(["file:///a", "file:///b"]), ["file:///a", "file:///b"]);
});

test("folders that come and go begin and end their own session alone", () => {
  const found = change(["file:///a", "file:///b"], ["file:///b", "file:///bc"]);
  assert.deepEqual(found, { ended: ["file:///a"], begun: ["file:///bc"], resized: [] });
});

test("a folder within another takes its files over when it comes, and gives them back", () => {
  assert.deepEqual(change(["file:///a"], ["file:///a", "file:///a/b/c"]).resized, ["file:///a"]);
  assert.deepEqual(change(["file:///a", "file:///a/b"], ["file:///a"]).resized, ["file:///a"]);
  assert.deepEqual(change(["file:///a/b"], ["file:///a/b", "file:///a"]).resized, []);
  assert.deepEqual(change(["file:///"], ["file:///", "file:///a"]).resized, ["file:///"]);
});

test("the first folder ends the session of a window that had none", () => {
  const found = change(wanted([]), wanted(["file:///a"]));
  assert.deepEqual(found, { ended: [NO_FOLDER], begun: ["file:///a"], resized: [] });
});

test("a folder's sidecar is told of files in that folder alone", () => {
  const folder = "file:///a";
  const patterns = documents(true, folder).map((filter) => (filter as { pattern: unknown }).pattern);
  assert.ok(patterns.length > 2);
  for (const pattern of patterns) {
    assert.equal((pattern as { baseUri: string }).baseUri, folder);
  }
  assert.ok(patterns.some((pattern) => (pattern as { pattern: string }).pattern === "sidecar.toml"));
  assert.equal(documents(true).length, documents(false).length + 1);
});

test("of several sidecars the worst is shown, with each reason once", () => {
  const failed = (reason: string) => ({ kind: "failed", reason }) as const;
  assert.deepEqual(combined([]), { kind: "stopped" });
  assert.deepEqual(combined([{ kind: "stopped" }, { kind: "running" }]), { kind: "running" });
  assert.deepEqual(combined([{ kind: "running" }, { kind: "starting" }]), { kind: "starting" });
  const all = [failed("No program."), { kind: "running" } as const, failed("No program."), failed("Ended.")];
  assert.deepEqual(combined(all), failed("No program.\nEnded."));
});
