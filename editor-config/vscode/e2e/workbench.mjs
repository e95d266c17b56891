// What a user sees and does in a VS Code window, through its own page.
import { mkdirSync } from "node:fs";
import path from "node:path";

const PATIENCE = 60_000;
const ROW = ".markers-panel .monaco-list-row";

export class Workbench {
  constructor(page, pictures) {
    this.page = page;
    this.pictures = pictures;
    mkdirSync(pictures, { recursive: true });
  }

  /** Opens a folder, or the folders that a `.code-workspace` file names. */
  static async open(browser, address, folder, pictures) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(PATIENCE);
    const what = folder.endsWith(".code-workspace") ? "workspace" : "folder";
    await page.goto(`${address}/?${what}=${encodeURIComponent(folder)}`);
    await page.locator(".explorer-folders-view .monaco-list-row").first().waitFor();
    return new Workbench(page, pictures);
  }

  /** Opens a file by the explorer; Ctrl+P is too quick for a machine under load. */
  async openFile(file) {
    const names = file.split("/");
    for (const name of names.slice(0, -1)) {
      const row = await this.explorerRow(name);
      if ((await row.getAttribute("aria-expanded")) === "false") {
        await row.click();
      }
    }
    await (await this.explorerRow(names.at(-1))).dblclick();
    await this.page.locator(`.tab.active[data-resource-name="${names.at(-1)}"]`).waitFor();
  }

  /** The row of a name; a row outside the screen does not exist until one scrolls to it. */
  async explorerRow(name) {
    const rows = this.page.locator(".explorer-folders-view .monaco-list-row");
    const row = rows.filter({ has: this.page.getByText(name, { exact: true }) }).first();
    await this.page.locator(".explorer-folders-view .monaco-list").hover();
    await this.page.mouse.wheel(0, -100_000);
    for (let pages = 0; pages < 50 && !(await row.isVisible()); pages++) {
      await this.page.waitForTimeout(100);
      await this.page.mouse.wheel(0, pages === 0 ? 0 : 200);
    }
    return row;
  }

  /** The number of underlined places on the screen, once there is one. */
  async squiggles() {
    const marks = this.page.locator(
      ["error", "warning", "info"].map((kind) => `.editor-instance .squiggly-${kind}`).join(", "),
    );
    await marks.first().waitFor();
    return marks.count();
  }

  async showProblems() {
    const panel = this.page.locator(".markers-panel");
    if (!(await panel.isVisible())) {
      await this.page.keyboard.press("Control+Shift+M");
    }
    await panel.waitFor();
  }

  /** The Problems list, file -> number, read from the lines of the files. */
  async problemCounts() {
    const found = {};
    for (const label of await this.problemRows(1)) {
      const [, count, file, folder] = /^(\d+) problems? in file (.*) of folder (.*)$/.exec(label) ?? [];
      if (count !== undefined) {
        found[folder === "." || folder === "" ? file : `${folder}/${file}`] = Number(count);
      }
    }
    return found;
  }

  /** The problems' texts with source and code, of those on the screen. */
  problemTexts() {
    return this.page
      .locator(`${ROW}[aria-level="2"]`)
      .evaluateAll((rows) => rows.map((row) => row.textContent ?? ""));
  }

  /** The labels of all files (level 1) or problems (level 2), also of those outside the screen. */
  async problemRows(level) {
    await this.page.locator(".markers-panel .monaco-list").hover();
    await this.page.mouse.wheel(0, -100_000);
    const found = new Set();
    const seen = new Set();
    for (let still = 0; still < 3; ) {
      await this.page.waitForTimeout(80);
      const before = seen.size;
      for (const label of await this.labels(`${ROW}[aria-level="${level}"]`)) {
        found.add(label);
      }
      // Of any level: the problems of one file alone may fill the screen.
      for (const label of await this.labels(`${ROW}[aria-level]`)) {
        seen.add(label);
      }
      still = seen.size === before ? still + 1 : 0;
      await this.page.mouse.wheel(0, 100);
    }
    await this.page.mouse.wheel(0, -100_000);
    return [...found];
  }

  labels(selector) {
    return this.page
      .locator(selector)
      .evaluateAll((rows) => rows.map((row) => row.getAttribute("aria-label") ?? ""));
  }

  /** Goes to the place of a problem in its file. */
  async goToProblem(text) {
    await this.problemRows(2);
    const row = this.page.locator(`${ROW}[aria-level="2"]`).filter({ hasText: text }).first();
    await row.dblclick();
    await this.page.locator(".editor-instance .monaco-editor.focused").waitFor();
  }

  /** Opens the quick fix menu at the cursor, and chooses an entry. */
  async quickFix(title) {
    const entries = this.page.locator(".action-widget .monaco-list-row.action");
    await this.page.keyboard.press("Control+.");
    await entries.filter({ hasText: title }).first().waitFor();
    await this.picture("quick-fix");
    await entries.filter({ hasText: title }).first().click();
    await entries.first().waitFor({ state: "hidden" });
  }

  async typeAtEnd(text) {
    await this.page.locator(".editor-instance .monaco-editor .view-lines").first().click();
    await this.page.keyboard.press("Control+End");
    await this.page.keyboard.type(text);
  }

  /** Puts the cursor `back` characters before the end of a line, counted from 1. */
  async goToEndOfLine(line, back) {
    await this.page.locator(".editor-instance .monaco-editor .view-lines").first().click();
    await this.page.keyboard.press("Control+Home");
    for (let passed = 1; passed < line; passed++) {
      await this.page.keyboard.press("ArrowDown");
    }
    await this.page.keyboard.press("End");
    for (let passed = 0; passed < back; passed++) {
      await this.page.keyboard.press("ArrowLeft");
    }
  }

  /** The text of the lines on the screen. */
  async shownText() {
    const lines = this.page.locator(".editor-instance .monaco-editor .view-lines").first();
    return (await lines.innerText()).replaceAll("\u00A0", " ");
  }

  isDirty() {
    return this.page.locator(".tab.active.dirty").isVisible();
  }

  async undo() {
    await this.page.locator(".editor-instance .monaco-editor .view-lines").first().click();
    await this.page.keyboard.press("Control+Z");
    await this.page.locator(".tab.active:not(.dirty)").waitFor();
  }

  async save() {
    await this.page.keyboard.press("Control+S");
    await this.page.locator(".tab.active:not(.dirty)").waitFor();
  }

  /** The sidecar's item in the status bar. */
  statusItem() {
    return this.page.locator("[id='loop-orchestrator.loop-orchestrator.sidecar.status']");
  }

  /** Its text and its tooltip, as a screen reader has them. */
  async statusText() {
    return (await this.statusItem().getAttribute("aria-label")).replaceAll(/\s+/g, " ").trim();
  }

  /** The first lens above the text that offers this. */
  lens(text) {
    return this.page.locator(".codelens-decoration a").filter({ hasText: text }).first();
  }

  notification(text) {
    return this.page.locator(".notification-toast").filter({ hasText: text }).first();
  }

  async picture(name) {
    await this.page.screenshot({ path: path.join(this.pictures, `${name}.png`) });
  }
}

/** Calls `probe` until it returns `undefined`; after a minute raises with what it returned last. */
export async function eventually(what, probe) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const trouble = await probe();
    if (trouble === undefined) {
      return;
    }
    if (Date.now() > end) {
      throw new Error(`${what}: ${trouble}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
