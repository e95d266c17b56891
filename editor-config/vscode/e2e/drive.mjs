// One scenario in a real VS Code: `drive.mjs PLAN.json`; prints one line a step, exits 1 on failure.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

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
  await eventually("Problems", async () => differences(plan.problems, await window.problemCounts()));
  const counts = await window.problemCounts();
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

const SCENARIOS = {
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
