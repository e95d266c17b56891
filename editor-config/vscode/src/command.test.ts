import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, test } from "node:test";

import { findProgram, searchPath } from "./command.ts";

let folder = "";

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "sidecar-command-"));
  mkdirSync(path.join(folder, "bin"));
  writeFileSync(path.join(folder, "bin", "sidecar"), "#!/bin/sh\n");
  writeFileSync(path.join(folder, "bin", "notes"), "text\n");
  chmodSync(path.join(folder, "bin", "sidecar"), 0o755);
});

after(() => rmSync(folder, { recursive: true }));

const where = (value: string) => searchPath({ PATH: value }, process.platform);

test("a bare name is found on PATH", () => {
  const bin = path.join(folder, "bin");
  assert.equal(findProgram("sidecar", where(bin)), path.join(bin, "sidecar"));
});

test("an absolute path is taken as it is, if it can be executed", () => {
  const bin = path.join(folder, "bin");
  assert.equal(findProgram(path.join(bin, "sidecar"), where("")), path.join(bin, "sidecar"));
  assert.equal(findProgram(path.join(bin, "absent"), where("")), undefined);
});

test("nothing is looked up relative to the current folder", () => {
  const previous = process.cwd();
  process.chdir(folder);
  try {
    assert.equal(findProgram("bin/sidecar", where("")), undefined);
    assert.equal(findProgram("./bin/sidecar", where("")), undefined);
    assert.equal(findProgram("sidecar", where("bin")), undefined);
    assert.equal(findProgram("sidecar", where("")), undefined);
  } finally {
    process.chdir(previous);
  }
});

test("a file that cannot be executed, or a folder, is no program", { skip: process.platform === "win32" }, () => {
  assert.equal(findProgram("notes", where(path.join(folder, "bin"))), undefined);
  assert.equal(findProgram("bin", where(folder)), undefined);
});

test("on Windows only endings that need no shell are tried", () => {
  const { extensions } = searchPath({ Path: "", PATHEXT: ".COM;.EXE;.BAT;.CMD" }, "win32");
  assert.deepEqual(extensions, [".COM", ".EXE"]);
});
