import * as vscode from "vscode";

import { Sessions } from "./sessions.ts";
import { Status } from "./status.ts";

/** What the sidecar's own lenses call, for a file's address and words of its own. */
const COMMANDS = ["sidecar.validate", "sidecar.tellOffer", "sidecar.skipOffer"];

let sessions: Sessions | undefined;

/** Starts the sidecar in each agent's workspace, or as soon as one of its files is opened. */
export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const output = vscode.window.createOutputChannel("Sidecar", { log: true });
  const status = new Status();
  const started = new Sessions(context.extensionPath, output, status);
  sessions = started;
  context.subscriptions.push(
    output,
    status,
    started,
    vscode.commands.registerCommand("sidecar.restart", () => started.restart({ asked: true })),
    vscode.commands.registerCommand("sidecar.showOutput", () => output.show()),
    ...COMMANDS.map((name) =>
      vscode.commands.registerCommand(name, (...words: unknown[]) => started.execute(name, words)),
    ),
    vscode.workspace.onDidOpenTextDocument((document) => started.startFor(document)),
    vscode.workspace.onDidChangeWorkspaceFolders(() => started.follow()),
    vscode.workspace.onDidChangeConfiguration((change) => {
      const ours = ["sidecar.command", "sidecar.reportJsonSyntax", "sidecar.testLenses"];
      if (ours.some((name) => change.affectsConfiguration(name))) {
        void started.restart();
      }
    }),
  );
  await started.follow();
}

export async function deactivate(): Promise<void> {
  await sessions?.stop();
}
