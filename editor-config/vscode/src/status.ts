import * as vscode from "vscode";

import type { State } from "./state.ts";

/** What the sidecar puts into the `source` of each of its diagnostics. */
const SOURCE = "sidecar";

/** The item in the status bar: the sidecar's state and the number of its findings. */
export class Status implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem(
    "sidecar.status",
    vscode.StatusBarAlignment.Left,
    0,
  );
  private readonly listener = vscode.languages.onDidChangeDiagnostics(() => this.draw());
  private state: State = { kind: "stopped" };

  constructor() {
    this.item.name = "Sidecar";
    this.item.command = "sidecar.showOutput";
  }

  show(state: State): void {
    this.state = state;
    this.draw();
  }

  dispose(): void {
    this.listener.dispose();
    this.item.dispose();
  }

  private draw(): void {
    const { item, state } = this;
    item.backgroundColor = undefined;
    switch (state.kind) {
      case "stopped":
        item.hide();
        return;
      case "starting":
        item.text = "$(sync~spin) Sidecar";
        item.tooltip = "The sidecar is starting.";
        break;
      case "running":
        this.drawFindings();
        break;
      case "failed":
        item.text = "$(warning) Sidecar";
        item.tooltip = `${state.reason}\nClick to see the output.`;
        item.backgroundColor = new vscode.ThemeColor("statusBarItem.errorBackground");
        break;
    }
    item.show();
  }

  private drawFindings(): void {
    const { errors, others, files } = countFindings();
    const total = errors + others;
    const icon = errors > 0 ? "error" : total > 0 ? "warning" : "check";
    this.item.text = `$(${icon}) Sidecar${total > 0 ? ` ${total}` : ""}`;
    this.item.tooltip =
      total === 0
        ? "The sidecar finds no mistake in the agent's files.\nClick to see the output."
        : `The sidecar finds ${plural(errors, "error")} and ${plural(others, "other finding")} ` +
          `in ${plural(files, "file")}.\nClick to see the output.`;
  }
}

function countFindings(): { errors: number; others: number; files: number } {
  let errors = 0;
  let others = 0;
  let files = 0;
  for (const [, diagnostics] of vscode.languages.getDiagnostics()) {
    // Hints are drawn in the text but listed nowhere.
    const ours = diagnostics.filter(
      ({ source, severity }) => source === SOURCE && severity !== vscode.DiagnosticSeverity.Hint,
    );
    const severe = ours.filter((one) => one.severity === vscode.DiagnosticSeverity.Error).length;
    errors += severe;
    others += ours.length - severe;
    files += ours.length > 0 ? 1 : 0;
  }
  return { errors, others, files };
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
