// One scenario in a real VS Code: `drive.mjs PLAN.json`; prints one line a step, exits 1 on failure.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { Agent } from "./agent.mjs";
import { eventually, Workbench } from "./workbench.mjs";

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { chromium } = createRequire(plan.modules)("playwright-core");
const started = performance.now();

function step(text) {
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${text}`);
}

function total(counts) {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function differences(expected, found) {
  const keys = new Set([...Object.keys(expected), ...Object.keys(found)]);
  const wrong = [...keys].filter((key) => (expected[key] ?? 0) !== (found[key] ?? 0));
  return wrong.length === 0
    ? undefined
    : wrong.map((key) => `${key}: ${found[key] ?? 0} shown, ${expected[key] ?? 0} expected`).join("; ");
}

async function showFindings(window) {
  for (const file of plan.open) {
    await window.openFile(file);
    step(`${file} is open, ${await window.squiggles()} squiggles on the screen`);
  }
  await window.showProblems();
  let counts = {};
  await eventually("Problems", async () => {
    counts = await window.problemCounts();
    return differences(plan.problems, counts);
  });
  step(`Problems: ${Object.entries(counts).map(([file, count]) => `${file} ${count}`).join(", ")}`);
}

async function checkPlaces(window) {
  const labels = await window.problemRows(2);
  const missing = plan.labels.filter(
    (wanted) => !labels.some((label) => wanted.every((part) => label.includes(part))),
  );
  if (missing.length > 0) {
    throw new Error(`not shown: ${JSON.stringify(missing)}\nshown: ${labels.join("\n")}`);
  }
  step(`${plan.labels.length} of ${plan.labels.length} problems have their text and place`);
}

async function repair(window) {
  const { file, message, title, after, problems } = plan.fix;
  await window.openFile(plan.fix.path);
  await window.picture("problems");
  await window.goToProblem(message);
  await window.quickFix(title);
  await window.save();
  await eventually("file after the quick fix", async () =>
    readFileSync(file, "utf8") === after ? undefined : readFileSync(file, "utf8"),
  );
  step(`quick fix "${title}" applied and saved: ${plan.fix.path} is as expected`);
  await eventually("Problems", async () => differences(problems, await window.problemCounts()));
  step(`Problems after it: ${total(problems)}`);
  await window.picture("fixed");
}

async function breakJson(window) {
  await window.openFile(".roo/schedules.json");
  await window.typeAtEnd(",");
  await eventually("VS Code's own JSON error", async () => {
    const texts = await window.problemTexts();
    return texts.some((text) => text.includes("End of file expected")) ? undefined : texts.join("\n");
  });
  await window.page.waitForTimeout(plan.settle);
  const ours = (await window.problemTexts()).filter((text) => text.includes("SC003"));
  if (ours.length > 0) {
    throw new Error(`the same JSON error twice: ${ours.join("; ")}`);
  }
  step("a JSON syntax error is listed once, by VS Code");
  writeFileSync(plan.machineSettings, JSON.stringify({ "sidecar.reportJsonSyntax": true }));
  await eventually("our JSON error", async () =>
    (await window.problemTexts()).some((text) => text.includes("SC003")) ? undefined : "not listed",
  );
  step("and by the sidecar too where the user wants it");
  await window.undo();
}

async function loseAndFindProgram(window) {
  writeFileSync(plan.machineSettings, JSON.stringify({ "sidecar.command": ["no-such-sidecar"] }));
  await window.notification("`no-such-sidecar` is not on PATH").waitFor();
  await window.page.waitForTimeout(1000); // it slides in
  await window.picture("missing-program");
  step("a missing program is said");
  writeFileSync(plan.machineSettings, "{}");
  await eventually("status bar", async () => {
    const text = await window.statusText();
    return text.includes("The sidecar finds") ? undefined : text;
  });
  step("and found again without a reload");
}

function executions() {
  return existsSync(plan.canary) ? readdirSync(plan.canary) : [];
}

function expect(holds, what) {
  if (!holds) {
    throw new Error(what);
  }
}

async function seenText(agent) {
  const read = await agent.call("read_project_file", { file_path: plan.path });
  return read.content;
}

async function toSee(agent, text) {
  await eventually("what the agent reads", async () => {
    const seen = await seenText(agent);
    return seen === text ? undefined : seen;
  });
}

/** Types a mistake and does not save it; what is in the editor then. */
async function typeMistake(window, agent) {
  await window.openFile(plan.path);
  await window.goToEndOfLine(plan.typeAt.line, plan.typeAt.back);
  await window.page.keyboard.type(plan.typeAt.text);
  await window.showProblems();
  await eventually("the mistake in Problems", async () =>
    (await window.problemTexts()).some((text) => text.includes(plan.mistake)) ? undefined : "not there",
  );
  await toSee(agent, plan.typed);
  const status = await agent.call("get_schedule_status", { schedule_id: plan.schedule });
  expect(status.source === "editor", `the agent was told of the ${status.source}`);
  expect(status.schedules[0].mode === plan.mistake, `the agent sees ${status.schedules[0].mode}`);
  step(`typed, not saved: Problems and the agent both see the mode "${plan.mistake}"`);
}

async function changeByAgent(window, agent) {
  await window.picture("agent-before");
  const done = await agent.call("manage_schedules", plan.change);
  expect(done.stored === "editor", `the change was not made in the editor: ${JSON.stringify(done)}`);
  await eventually("the change in the editor", async () => {
    const text = await window.shownText();
    return text.includes(plan.changedLine) ? undefined : text;
  });
  expect(await window.isDirty(), "the editor has saved by itself");
  expect(readFileSync(plan.file, "utf8") === plan.saved, "the file on the disk was changed");
  await toSee(agent, plan.changed);
  await window.page.waitForTimeout(500); // the findings settle
  await window.picture("agent-change");
  step(`the agent's change is shown, is not saved, and the disk is as it was`);
}

async function undoAgent(window, agent) {
  await window.page.keyboard.press("Control+Z");
  await toSee(agent, plan.typed);
  expect(await window.isDirty(), "one undo took more than the agent's change back");
  step("Ctrl+Z takes the agent's change back and nothing else");
  await window.picture("agent-undone");
}

/** A person types while the agent changes the same file: both are kept, or the agent is refused. */
async function typeAtOnce(window, agent) {
  const rounds = plan.race.length;
  const made = { editor: 0, refused: 0 };
  let typed = "";
  let latest;
  for (const [round, text] of plan.race.entries()) {
    await window.goToEndOfLine(plan.typeAt.line, plan.typeAt.back);
    const value = String(31 + round);
    const change = { ...plan.change, update_fields: { timeInterval: value } };
    const calling = agent.call("manage_schedules", change);
    await window.page.keyboard.type(text, { delay: 15 });
    const done = await calling;
    typed += text;
    expect(done.stored === "editor" || done.error_code === "E_CONFLICT", JSON.stringify(done));
    if (done.stored === "editor") {
      made.editor += 1;
      latest = value;
    } else {
      made.refused += 1;
    }
    await toSee(agent, plan.raced.replace("TYPED", typed).replace("INTERVAL", latest ?? "10"));
  }
  expect(readFileSync(plan.file, "utf8") === plan.saved, "the file on the disk was changed");
  step(`typed during ${rounds} of ${rounds} changes: ${made.editor} made, ${made.refused} refused, nothing lost`);
}

async function byName(window) {
  const found = {};
  for (const [file, count] of Object.entries(await window.problemCounts())) {
    found[path.basename(file)] = (found[path.basename(file)] ?? 0) + count;
  }
  return found;
}

/** Each file's problems once, whichever folders are open. */
async function listedOnce(window, expected, when) {
  await eventually(`Problems ${when}`, async () => differences(expected, await byName(window)));
  await window.page.waitForTimeout(plan.settle);
  const wrong = differences(expected, await byName(window));
  expect(wrong === undefined, `Problems ${when}: ${wrong}`);
  step(`${when}: ${Object.entries(expected).map(([file, count]) => `${file} ${count}`).join(", ")}`);
}

async function toReadUnsaved(agent, file, text) {
  await eventually(`what the agent reads in ${file}`, async () => {
    const read = await agent.call("read_project_file", { file_path: file });
    return read.source === "editor" && read.content === text ? undefined : JSON.stringify(read);
  });
}

async function typeInSecondFolder(window, agents) {
  const { modes, problems } = plan;
  await window.openFile("second/.roomodes");
  await window.goToEndOfLine(modes.line, 0);
  await window.page.keyboard.type(modes.text);
  await listedOnce(window, problems.typed, "with a mistake typed in the second folder");
  expect((await window.problemTexts()).some((text) => text.includes(modes.mistake)), "the mistake");
  await toReadUnsaved(agents.second, ".roomodes", modes.typed);
  const other = await agents.first.call("read_project_file", { file_path: "task_timing.tsv" });
  expect(other.source === "disk", "the first folder's agent was told of an editor");
  await window.picture("folders");
  step("the second folder's agent sees what is typed there");
}

async function openFolderWithin(window, agents) {
  const { plan: todo, problems } = plan;
  await window.openFile("second/inner/TODO.md");
  await listedOnce(window, problems.inner, "with a file in a folder within open");
  writeFileSync(plan.folder, JSON.stringify({ folders: plan.more }));
  await window.goToEndOfLine(todo.line, 0);
  await window.page.keyboard.type(todo.text);
  await toReadUnsaved(agents.inner, "TODO.md", todo.typed);
  await listedOnce(window, problems.inner, "with that folder opened as one of its own");
  writeFileSync(plan.folder, JSON.stringify({ folders: plan.folders }));
  await toReadUnsaved(agents.second, "inner/TODO.md", todo.typed);
  await listedOnce(window, problems.inner, "with it closed again");
}

/** The sidecars' command is one for all folders; the file's own sidecar executes it. */
async function runTestOfSecondFolder(window) {
  writeFileSync(plan.machineSettings, JSON.stringify({ "sidecar.testLenses": true }));
  await window.openFile("second/test_one.py");
  await window.lens("run").click();
  await window.notification("sidecar trust").waitFor();
  await window.picture("folders-lens");
  step("a test of the second folder is asked for by its lens, and needs consent there");
}

const SCENARIOS = {
  async folders(window) {
    const agents = {};
    for (const [name, folder] of Object.entries(plan.agents)) {
      agents[name] = await Agent.start(folder);
    }
    await window.openFile("first/task_timing.tsv");
    await window.squiggles();
    await window.showProblems();
    await listedOnce(window, plan.problems.saved, "with two folders open");
    await typeInSecondFolder(window, agents);
    await runTestOfSecondFolder(window);
    await openFolderWithin(window, agents);
    await window.picture("folder-within");
    Object.values(agents).forEach((agent) => agent.end());
  },

  async unsaved(window) {
    const agent = await Agent.start(plan.folder);
    await typeMistake(window, agent);
    await changeByAgent(window, agent);
    await undoAgent(window, agent);
    await typeAtOnce(window, agent);
    agent.end();
  },

  async diagnose(window) {
    await showFindings(window);
    await checkPlaces(window);
    await eventually("status bar", async () => {
      const text = await window.statusText();
      return text.includes(`Sidecar ${total(plan.problems)},`) ? undefined : text;
    });
    step(`status bar: ${await window.statusText()}`);
    await repair(window);
    await breakJson(window);
    await loseAndFindProgram(window);
  },

  async restricted(window) {
    await showFindings(window);
    await window.page.getByText("Restricted Mode").first().waitFor();
    await window.page.waitForTimeout(plan.settle);
    await window.picture("restricted");
    if (executions().length > 0) {
      throw new Error(`executed from the workspace: ${executions().join(", ")}`);
    }
    step("Restricted Mode: findings are shown, 0 executions");
  },

  async trusted(window) {
    await showFindings(window);
    await window.page.waitForTimeout(plan.settle);
    const ours = executions().filter((name) => !plan.othersMayRun.includes(path.parse(name).name));
    if (ours.length > 0) {
      throw new Error(`executed from the workspace: ${ours.join(", ")}`);
    }
    const others = executions().join(", ") || "nothing";
    step(`trusted: 0 executions by the sidecar (by VS Code itself: ${others})`);
  },
};

const browser = await chromium.launch({
  executablePath: plan.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
});
let window;
try {
  window = await Workbench.open(browser, plan.address, plan.folder, plan.pictures);
  step("the workbench is there");
  await SCENARIOS[plan.scenario](window);
} catch (error) {
  await window?.picture(`failed-${plan.scenario}`);
  console.error(`FAILED ${plan.scenario}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
