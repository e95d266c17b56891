import type { Readable } from "node:stream";
import { createInterface } from "node:readline";
import * as vscode from "vscode";
import { type Executable, LanguageClient, State } from "vscode-languageclient/node";

import { findProgram, searchPath } from "./command.ts";
import { middleware } from "./duplicates.ts";
import { documents } from "./files.ts";
import type { Status } from "./status.ts";

/** The one language server of a window: started once, restarted on demand, stopped with the window. */
export class Session implements vscode.Disposable {
  private client: LanguageClient | undefined;
  private attempted = false;
  /** Starts and stops follow one another, however fast they are asked for. */
  private turn: Promise<void> = Promise.resolve();

  constructor(
    private readonly folder: string,
    private readonly output: vscode.LogOutputChannel,
    private readonly status: Status,
  ) {}

  /** Whether a start was tried: a missing program is reported once, not with each file. */
  get started(): boolean {
    return this.attempted;
  }

  start(): Promise<void> {
    return this.inTurn(async () => {
      if (!this.attempted) {
        await this.launch();
      }
    });
  }

  restart(): Promise<void> {
    return this.inTurn(async () => {
      await this.end();
      await this.launch();
    });
  }

  stop(): Promise<void> {
    return this.inTurn(() => this.end());
  }

  dispose(): void {
    void this.stop();
  }

  private inTurn(step: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(step, step);
    return this.turn;
  }

  private async launch(): Promise<void> {
    this.attempted = true;
    const command = configuredCommand();
    const program = findProgram(command[0] ?? "", searchPath(process.env, process.platform));
    if (program === undefined) {
      this.reportMissing(command[0] ?? "");
      return;
    }
    const executable: Executable = {
      command: program,
      args: [...command.slice(1), "lsp"],
      // Neither the current folder nor Python's module path may be the workspace.
      options: { cwd: this.folder, env: { PYTHONSAFEPATH: "1" } },
    };
    this.output.info(`Starting ${[program, ...(executable.args ?? [])].join(" ")}`);
    this.status.show({ kind: "starting" });
    const client = this.connect(executable);
    this.client = client;
    try {
      await client.start();
    } catch (error) {
      this.reportFailure(`The sidecar did not start: ${messageOf(error)}`);
    }
  }

  private connect(executable: Executable): LanguageClient {
    const testLenses = wantsTestLenses();
    const client = new LanguageClient("sidecar", "Sidecar", executable, {
      documentSelector: documents(testLenses),
      // Left out when off, so that the workspace's own settings file can decide.
      ...(testLenses ? { initializationOptions: { test_lenses: true } } : {}),
      outputChannel: this.output,
      middleware,
      stdioOptions: { stdout: logged, stderr: logged },
    });
    client.onDidChangeState(({ newState }) => {
      if (this.client !== client) {
        return;
      }
      if (newState === State.Running) {
        this.status.show({ kind: "running" });
      } else if (newState === State.Starting) {
        this.status.show({ kind: "starting" });
      } else {
        this.status.show({ kind: "failed", reason: "The sidecar has ended." });
      }
    });
    return client;
  }

  private async end(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.status.show({ kind: "stopped" });
    try {
      await client?.dispose();
    } catch (error) {
      this.output.warn(`The sidecar did not end in order: ${messageOf(error)}`);
    }
  }

  private reportMissing(name: string): void {
    const reason = /[/\\]/.test(name)
      ? `There is no program \`${name}\` (setting \`sidecar.command\`; a path must be absolute).`
      : `The program \`${name}\` is not on PATH.`;
    this.reportFailure(
      `${reason} Install the Python package \`loop-orchestrator\`, or name the program in your ` +
        "user setting `sidecar.command`, then run \"Sidecar: Restart\".",
    );
  }

  private reportFailure(reason: string): void {
    this.output.error(reason);
    this.status.show({ kind: "failed", reason });
    const settings = "Open Settings";
    const output = "Show Output";
    void vscode.window.showErrorMessage(reason, settings, output).then((choice) => {
      if (choice === settings) {
        void vscode.commands.executeCommand("workbench.action.openSettings", "sidecar.command");
      } else if (choice === output) {
        this.output.show(true);
      }
    });
  }
}

export function wantsTestLenses(): boolean {
  return vscode.workspace.getConfiguration("sidecar").get("testLenses", false);
}

/** The user's value, or the default; a value from a workspace is never looked at. */
function configuredCommand(): readonly string[] {
  const found = vscode.workspace.getConfiguration("sidecar").inspect<unknown>("command");
  const value = found?.globalValue ?? found?.defaultValue;
  const words = Array.isArray(value) ? value : [];
  return words.length > 0 && words.every((word) => typeof word === "string") ? words : ["sidecar"];
}

function logged(stream: Readable, output: vscode.LogOutputChannel): void {
  createInterface({ input: stream }).on("line", (line) => output.info(line));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
